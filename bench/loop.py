"""The loop that one writes in Python: BENCH_REDIS, BENCH_CHANNEL, BENCH_COUNT."""

import json
import os
import time

import redis

host, port = os.environ["BENCH_REDIS"].split(":")
want = int(os.environ["BENCH_COUNT"])
handled, total = 0, 0


def tick(event):
    global handled, total
    symbol = event["data"]["symbol"]
    handled += 1
    total += len(symbol) + ord(symbol[0])
    if handled % want == 0:
        print("done", handled, total, time.time_ns(), flush=True)


handlers = {"tick": tick}
sub = redis.Redis(host, int(port)).pubsub(ignore_subscribe_messages=True)
sub.subscribe(os.environ["BENCH_CHANNEL"])
sub.get_message(timeout=5)
print("ready", flush=True)
for message in sub.listen():
    event = json.loads(message["data"])
    handlers[event["type"]](event)
