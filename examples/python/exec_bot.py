"""A bot that the router feeds (exec_bot.toml): events come on stdin, verdicts go to stdout."""
import json, os, sys
import redis

BOT = os.environ["BOT"]
STATUS = {"start": "started", "stop": "stopped", "enter": "entered", "exit": "exited"}
prices = {}  # symbol -> the newest price
r = redis.Redis.from_url(os.environ["REDIS_URL"])

for line in sys.stdin:
    event = json.loads(line)
    verdict, data = {"id": event["id"], "ok": True}, event["data"]
    try:
        if event["type"] == "tick":
            prices[data["symbol"]] = data["price"]
        else:
            status = {"bot": BOT, "command": event["id"], "price": prices.get(data.get("symbol"))}
            r.publish("bot_status", json.dumps({"type": STATUS[event["type"]], "source": f"/bots/{BOT}", "data": status}))
            print("obeyed", event["type"])  # not a verdict: the router logs it
    except redis.ConnectionError as err:
        verdict = {"id": event["id"], "error": str(err), "unavailable": True}  # the event waits
    except (AttributeError, KeyError, TypeError) as err:
        verdict = {"id": event["id"], "error": repr(err), "permanent": True}  # trying again mends nothing
    print(json.dumps(verdict))
