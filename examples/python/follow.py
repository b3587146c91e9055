import json, os, redis, sys, time

CHANNEL, STALE = sys.argv[1], float(sys.argv[2])         # a Pub/Sub channel, and seconds
r = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
feed = r.pubsub(ignore_subscribe_messages=True)
feed.subscribe(CHANNEL)
epoch, fresh, last, prices, heard = 0, False, {}, {}, time.monotonic()
while True:
    try:
        message = feed.get_message(timeout=0.2)
    except redis.ConnectionError:
        time.sleep(1)                                    # what is published now is lost: seq will tell
        message = None
    if prices and time.monotonic() - heard > STALE:
        prices.clear()                                   # no price at all is better than an old one
        print("stale", flush=True)
    if message is None:
        continue
    event = json.loads(message["data"])
    if event.get("epoch", -1) < epoch:
        continue                                         # of a holder that was replaced since, or of no source
    if event["epoch"] > epoch:                           # another holder: each key counts from 1 again
        fresh, epoch, last = epoch > 0, event["epoch"], {}
    key = event["data"].get("symbol", "")                # own events have none, and are counted together
    missing = event["seq"] - last.get(key, 0 if fresh else event["seq"] - 1) - 1
    last[key] = event["seq"]
    if missing > 0:
        print("missing", missing, "of", key or "own events", flush=True)
    if event["type"].startswith("signalbox."):
        print(event["type"], event["data"], flush=True)
        if event["type"] == "signalbox.disconnected":
            prices.clear()
    else:
        prices[key], heard = event["data"]["price"], time.monotonic()
        print(key, prices[key], flush=True)
