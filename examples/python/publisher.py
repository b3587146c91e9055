"""Publish made-up prices and commands, in the two ways that a channel can be carried.

publisher.py                          both, four messages a second, until Ctrl-C
publisher.py --transport pubsub       prices only, PUBLISHed to price_data
publisher.py --transport stream --channel trade_commands --count 100 --rate 0
"""

import argparse
import itertools
import json
import os
import random
import signal
import sys
import time
import uuid

import redis

from bot import CHANNELS, PRICE_DATA, TRADE_COMMANDS

prices = {"BTCUSDT": 97000.0, "ETHUSDT": 3100.0}
bots = os.environ.get("BOT", "momentum-1").split(",")  # whom to command, in turn
kinds = [TRADE_COMMANDS.START, TRADE_COMMANDS.ENTER, TRADE_COMMANDS.EXIT, TRADE_COMMANDS.STOP]
commands = itertools.cycle((kind, bot) for kind in kinds for bot in bots)


def publish_tick(r, channel):
    """Pub/Sub: the message is one JSON object; who isn't listening misses it."""
    symbol = random.choice(list(prices))
    prices[symbol] *= 1 + random.gauss(0, 0.0002)
    tick = {"type": PRICE_DATA.TICK, "data": {"symbol": symbol, "price": round(prices[symbol], 2)}}
    # NaN and Infinity are not JSON, though json.dumps writes them unless told not to.
    r.publish(channel, json.dumps(tick, allow_nan=False))


def add_command(r, channel):
    """Stream: the fields of the entry are the event, and `data` is JSON inside it."""
    kind, bot = next(commands)
    command = {
        "type": kind,
        "id": str(uuid.uuid4()),
        "data": json.dumps({"bot": bot, "symbol": "BTCUSDT", "size": "0.02"}),
    }
    # A stream only grows unless who adds to it says how much to keep.
    r.xadd(channel, command, maxlen=100_000, approximate=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transport", choices=["pubsub", "stream", "both"], default="both")
    parser.add_argument("--channel", help="default: price_data on pubsub, trade_commands on stream")
    parser.add_argument("--count", type=int, default=0, help="messages to send; 0: no end")
    parser.add_argument("--rate", type=float, default=4, help="messages per second; 0: as fast as possible")
    args = parser.parse_args()
    if args.channel and args.transport == "both":
        parser.error("--channel needs --transport pubsub or --transport stream")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    r = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), decode_responses=True)
    send = {
        "pubsub": [(publish_tick, args.channel or CHANNELS.PRICE_DATA)],
        "stream": [(add_command, args.channel or CHANNELS.TRADE_COMMANDS)],
        "both": [(publish_tick, CHANNELS.PRICE_DATA)] * 7 + [(add_command, CHANNELS.TRADE_COMMANDS)],
    }[args.transport]
    for sent, (function, channel) in enumerate(itertools.cycle(send), start=1):
        function(r, channel)
        if sent == args.count:
            print(f"sent {sent} messages")
            return
        if args.rate > 0:
            time.sleep(1 / args.rate)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
    except redis.ConnectionError as err:
        sys.exit(f"Redis does not answer: {err}")
