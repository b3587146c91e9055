"""Publishes N mixed messages to a Pub/Sub channel and to a stream: five types in turn,
and every hundredth malformed. Arguments: pubsub|stream|both N. Prints what it sent, as JSON."""
import json
import os
import sys

import redis

TYPES = ["alpha", "beta", "both", "order.new", "ignored"]
MALFORMED = ["hello", "", "[1,2", '"text"', "null", '{"type":7}', '{"Type":"alpha"}', '{"type":""}',
             '{"type":"alpha","typ\\u0065":"beta"}', '{"type":"alpha","data":NaN}', b'{"type":"\xff"}',
             '{"type":"alpha"} more', "{'type':'alpha'}", "[" * 2000, '{"type":"alpha","data":"' + "x" * 2_000_000 + '"}']


def entry(n, message):
    """An entry of a stream in one of the forms that producers use."""
    forms = [
        lambda: {"payload": json.dumps(message)},
        lambda: {"data": json.dumps(message)},
        lambda: {"message": json.dumps(message)},
        lambda: {"id": message["id"], "type": message["type"], "data": json.dumps(message["data"])},
    ]
    return forms[n % len(forms)]()


def main(where, count):
    client = redis.Redis.from_url(os.environ["REDIS_URL"])
    sent = {"malformed": 0, **{t: 0 for t in TYPES}}
    for n in range(count):
        if n % 100 == 50:
            bad = MALFORMED[n // 100 % len(MALFORMED)]
            sent["malformed"] += 1
            if where != "stream":
                client.publish("e2e:feed", bad)
            if where != "pubsub":
                client.xadd("e2e:orders", {"payload": bad})
            continue
        message = {"id": f"m-{n}", "type": TYPES[n % len(TYPES)], "data": {"n": n, "text": "ü€😀"}}
        sent[message["type"]] += 1
        if where != "stream":
            client.publish("e2e:feed", json.dumps(message))
        if where != "pubsub":
            client.xadd("e2e:orders", entry(n // len(TYPES), message))
    print(json.dumps(sent))


main(sys.argv[1], int(sys.argv[2]))
