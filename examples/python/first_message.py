import json, os, redis
r = redis.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
tick = {"type": "tick", "data": {"symbol": "BTCUSDT", "price": 97000}}
enter = {"type": "enter", "data": json.dumps({"bot": "momentum-1", "symbol": "BTCUSDT", "side": "long", "size": "0.02"})}
print(r.publish("price_data", json.dumps(tick)), "got the tick")
print("the command is kept as", r.xadd("trade_commands", enter, maxlen=100_000).decode())
