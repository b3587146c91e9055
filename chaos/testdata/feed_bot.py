"""A bot: hears a source's channel, and checks what any bot would rely on.

feed_bot.py PORT CHANNEL: prints "ready" once it is subscribed, and after SIGTERM what it saw, as JSON.
"""
import json
import signal
import sys

import redis

seen = {}      # (epoch, key): [last seq, count]
wrong = []
connections = gaps = epoch = 0
connected = False
going = True


def stop(*_):
    global going
    going = False


signal.signal(signal.SIGTERM, stop)
pubsub = redis.Redis(port=int(sys.argv[1])).pubsub(ignore_subscribe_messages=True)
pubsub.subscribe(sys.argv[2])
print("ready", flush=True)
while going:
    message = pubsub.get_message(timeout=0.2)
    if message is None:
        continue
    event = json.loads(message["data"])
    if event["epoch"] < epoch:
        wrong.append(f"epoch {event['epoch']} after {epoch}")
    elif event["epoch"] > epoch:
        epoch, connected = event["epoch"], False
    if event["type"] == "signalbox.connected":
        connections, connected = connections + 1, True
    elif event["type"] == "signalbox.disconnected":
        connected = False
    elif event["type"] == "signalbox.gap":
        gaps += 1
    elif not connected:
        wrong.append(f"a tick of epoch {epoch}, and nobody said that it is connected")
        connected = True
    key = event["data"].get("S", "")
    last = seen.setdefault((event["epoch"], key), [0, 0])
    if event["seq"] != last[0] + 1:
        wrong.append(f"seq {event['seq']} of {key or 'the source'} after {last[0]} in epoch {event['epoch']}")
    last[0], last[1] = event["seq"], last[1] + 1
print(json.dumps({
    "seen": {f"{at}/{key}": n for (at, key), (_, n) in seen.items()},
    "connections": connections, "gaps": gaps, "wrong": wrong[:10], "wrongs": len(wrong),
}))
