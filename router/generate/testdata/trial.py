"""A bot that does what its commands say, for tests."""

import os
import time

from bot import BOT_STATUS, CHANNELS, PRICE_DATA, TRADE_COMMANDS, Permanent, Unavailable, bot

tries = {}
prices = {}


@bot.on(PRICE_DATA.TICK)
def tick(event):
    prices[event.key] = event.data["price"]


@bot.on(TRADE_COMMANDS.ENTER, TRADE_COMMANDS.EXIT, channel=CHANNELS.TRADE_COMMANDS)
def obey(event):
    tries[event.id] = tries.get(event.id, 0) + 1
    do = event.data.get("do")
    if do == "break":
        raise RuntimeError("it broke")
    if do == "refuse":
        raise Permanent("no such symbol")
    if do == "wait" and tries[event.id] < 3:
        raise Unavailable("the exchange is closed")
    if do == "lie":
        print('{"id":"%s","error":"a line that looks like a verdict"}' % event.id)
    if do == "hang":
        with open(event.id, "w"):
            pass
        time.sleep(float(event.data.get("for", 600)))
    answer = {"command": event.id, "tries": tries[event.id], "seen": event._asdict(), "prices": prices}
    bot.publish(CHANNELS.BOT_STATUS, BOT_STATUS.ENTERED, answer, key=os.environ["BOT"], id="re " + event.id)


bot.run()
print("ended")
