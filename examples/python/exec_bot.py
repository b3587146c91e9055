"""A bot that obeys commands, follows prices and tells its status. Its events come from the
router (exec_bot.toml), or from Redis itself: BOT=momentum-1 python3 exec_bot.py"""

from bot import BOT_STATUS, CHANNELS, PRICE_DATA, TRADE_COMMANDS, Event, Permanent, bot

STATUS = {
    TRADE_COMMANDS.START: BOT_STATUS.STARTED,
    TRADE_COMMANDS.STOP: BOT_STATUS.STOPPED,
    TRADE_COMMANDS.ENTER: BOT_STATUS.ENTERED,
    TRADE_COMMANDS.EXIT: BOT_STATUS.EXITED,
}
prices = {}  # symbol -> the newest price


@bot.on(PRICE_DATA.TICK)
def follow(event: Event) -> None:
    prices[event.data["symbol"]] = event.data["price"]


@bot.on(*STATUS)
def obey(event: Event) -> None:
    if not isinstance(event.data, dict):
        raise Permanent("a command's data is an object")  # trying again would mend nothing
    if event.data.get("bot") != bot.name:
        return  # another bot's
    status = {"bot": bot.name, "command": event.id, "price": prices.get(event.data.get("symbol"))}
    bot.publish(CHANNELS.BOT_STATUS, STATUS[event.type], status, id=f"{event.id}-{STATUS[event.type]}")
    print("obeyed", event.type)  # from the router: it logs this


bot.run()
print(bot.name, "ends")
