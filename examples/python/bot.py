"""A bot that obeys the commands of a stream, follows prices and tells its status."""

import json
import os
import signal
import sys

import redis

BOT = os.environ.get("BOT", "momentum-1")
STATUS = {"start": "started", "stop": "stopped", "enter": "entered", "exit": "exited"}
prices = {}  # symbol -> the newest price


def event_of(entry):
    """Signalbox keeps an event's JSON in `payload`; of an entry added by hand the fields are the event."""
    entry_id, fields = entry
    if "payload" in fields:
        return {"id": entry_id, **json.loads(fields["payload"])}
    return {"id": entry_id, **fields, "data": json.loads(fields.get("data", "{}"))}


def on_tick(r, event):
    prices[event["data"]["symbol"]] = event["data"]["price"]


def on_command(r, event):
    data = event["data"]
    if data["bot"] != BOT or event["type"] not in STATUS:
        return
    status = {"bot": BOT, "command": event["id"], "price": prices.get(data.get("symbol"))}
    message = {"type": STATUS[event["type"]], "source": f"/bots/{BOT}", "data": status}
    r.publish("bot_status", json.dumps(message))
    print(BOT, message["type"], status, flush=True)


def attempt(function, r, decode, raw):
    try:
        function(r, decode(raw))
    except (AttributeError, KeyError, TypeError, ValueError) as err:  # not an event; the next one may be
        print(f"ignored {raw!r:.80}: {err!r}", flush=True)


def main():
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    signal.signal(signal.SIGINT, lambda *_: running.clear())
    r = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), decode_responses=True)
    ticks = r.pubsub(ignore_subscribe_messages=True)
    ticks.subscribe("price_data")
    try:  # a group of its own: every bot sees every command
        r.xgroup_create("trade_commands", BOT, id="0", mkstream=True)
    except redis.ResponseError as err:
        if "BUSYGROUP" not in str(err):
            raise

    after = "0"  # first what an earlier run read and did not finish, then (">") what is new
    while running:
        while message := ticks.get_message():
            attempt(on_tick, r, json.loads, message["data"])
        read = r.xreadgroup(BOT, BOT, {"trade_commands": after}, count=16, block=200)
        entries = read[0][1] if read else []
        for entry in entries:
            if entry[1].get("signalbox_group", BOT) == BOT:  # else a dead letter of another group, tried again
                attempt(on_command, r, event_of, entry)
            r.xack("trade_commands", BOT, entry[0])  # after the work: a crash repeats it, never skips it
        if not entries:
            after = ">"
    print(BOT, "ends", flush=True)


if __name__ == "__main__":
    try:
        main()
    except redis.ConnectionError as err:
        sys.exit(f"Redis does not answer: {err}")
