"""Carries out each command once, also when it is killed in the middle: what was executed,
the order of it and the answer become known to Redis in one step."""
import json, os, sys, redis

ANSWERS = {"start": "started", "stop": "stopped", "enter": "entered", "exit": "exited"}
r = redis.Redis.from_url(os.environ["REDIS_URL"])
r.set("story:pid", os.getpid())
for line in sys.stdin:
    event = json.loads(line)
    if not r.sismember("story:executed", event["id"]):
        status = {"type": ANSWERS[event["type"]], "id": "status of " + event["id"], "data": {"bot": "momentum-1", "command": event["id"]}}
        with r.pipeline(transaction=True) as step:
            step.sadd("story:executed", event["id"])
            step.rpush("story:ledger", event["id"])
            step.publish("bot_status", json.dumps(status))
            step.execute()
    print(json.dumps({"id": event["id"], "ok": True}), flush=True)
