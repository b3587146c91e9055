"""Functions for events, fed by the router (kind exec) or by Redis itself.

    from bot import bot

    @bot.on("enter")
    def enter(event):
        print(event.time, event.data)

    bot.run()

A function that returns has done its event, one that raises has failed it. Publishing, and
events from Redis itself, need redis-py (pip install redis).
"""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import stat
import sys
import time
import uuid
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any, Callable, Final, NamedTuple, TypeVar

log = logging.getLogger("bot")


class Channel(str):
    """A channel is its name in Redis, and knows what the configuration says of it."""

    declared = ""  # its name in the configuration: an event's channel
    transport = "pubsub"  # or "stream"
    types: tuple[str, ...] = ()  # none: any
    pattern = False  # it names many places in Redis, and nobody can publish to it
    arrays = False  # a message may be many events (split)
    type_field, default_type, id_field, time_field, key_field = "type", "", "id", "time", ""
    start = "oldest"  # or "new": where a new group begins
    max_len = 100_000  # about how many entries are kept

    def __new__(cls, name: str, **settings: Any) -> Channel:
        channel = super().__new__(cls, name)
        vars(channel).update(settings)
        return channel


# CONSTANTS


class Permanent(Exception):
    """Raise it for an event that trying again would not mend."""


class Unavailable(Exception):
    """Raise it when what an event needs is away: the event waits, and comes again."""


class Event(NamedTuple):
    """A message; channel is the name in the configuration, name the one in Redis.

    traceparent and tracestate are empty, unless it has a trace context (W3C)."""

    id: str
    type: str
    source: str
    time: str
    key: str
    channel: str
    name: str
    data: Any
    traceparent: str = ""
    tracestate: str = ""


Function = TypeVar("Function", bound=Callable[[Event], object])


class Bot:
    """Calls functions for events, one at a time, and publishes."""

    def __init__(self, channels: type) -> None:
        self.name = os.environ.get("BOT", "")
        self._url = os.environ.get("REDIS_URL", "")
        self._channels = [c for c in vars(channels).values() if isinstance(c, Channel)]
        self._functions: dict[tuple[str, str], Callable[[Event], object]] = {}
        self._client: Any = None
        self._trace: dict[str, str] = {}  # that of the event in hand
        self._running = True

    def on(self, *types: str, channel: Channel | None = None) -> Callable[[Function], Function]:
        """Have a function called for events of these types, of one channel or of any."""
        among = self._channels if channel is None else [channel]
        for kind in types:
            if not kind.startswith("signalbox.") and all(c.types and kind not in c.types for c in among):
                raise ValueError(f"no type {kind!r}; there are {sorted({t for c in among for t in c.types})}")

        def register(function: Function) -> Function:
            for kind in types:
                if self._functions.setdefault((kind, channel.declared if channel else ""), function) is not function:
                    raise ValueError(f"the type {kind!r} has a function already")
            return function

        return register

    def publish(self, channel: Channel, type: str, data: Any = None, *, key: str = "", id: str = "") -> str:
        """Send an event and return its id. Give an id to what may be sent twice: readers can tell then.

        It continues the trace of the event in hand, if that is part of one."""
        if channel.pattern or (channel.type_field, channel.id_field, channel.time_field) != ("type", "id", "time"):
            raise ValueError(f"{channel.declared}: a bot can't publish to a pattern, or in the layout of a feed")
        if channel.types and type not in channel.types:
            raise ValueError(f"{channel.declared}: no type {type!r}; there are {sorted(channel.types)}")
        id = id or str(uuid.uuid4())
        message: dict[str, Any] = {"id": id, "type": type, "source": f"/bots/{self.name or 'bot'}"}
        message.update(time=_rfc3339(time.time()), data=data, **self._trace)
        if key:
            folder, _, field = channel.key_field.rpartition(".")
            if folder == "data" and isinstance(data, dict):
                message["data"] = {field: key, **data}
            elif field and not folder:
                message[field] = key
            else:
                raise ValueError(f"{channel.declared}: no key can be set at key_field {channel.key_field!r} of this data")
        text = json.dumps(message, allow_nan=False)  # NaN is no JSON
        client = self.redis()
        import redis

        try:
            if channel.transport == "stream":
                client.xadd(channel, {"payload": text}, maxlen=channel.max_len)
            else:
                client.publish(channel, text)
        except (redis.ConnectionError, redis.TimeoutError) as err:
            raise Unavailable(f"Redis: {err}") from err
        return id

    def redis(self) -> Any:
        """The redis-py client of this bot."""
        if self._client is None:
            import redis

            if not self._url:
                raise RuntimeError('REDIS_URL is not set; the router passes it on with env = { REDIS_URL = "…" }')
            self._client = redis.Redis.from_url(
                self._url, socket_timeout=10, socket_connect_timeout=5, health_check_interval=15
            )
        return self._client

    def run(self, redis: str = "", name: str = "") -> None:
        """Call the functions until stdin ends, or a SIGTERM or SIGINT comes.

        The events are the router's if it started the bot (stdin is a pipe), else they come from
        the Redis at this URL, at REDIS_URL or on this machine. Name, or the variable BOT, is
        the bot's consumer group on streams: of one name, one process runs at a time."""
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
        self.name = name or self.name
        if not redis and stat.S_ISFIFO(os.fstat(0).st_mode):
            log.info("events come from the router")
            self._obey_router()
        else:
            self._url = redis or self._url or "redis://127.0.0.1:6379/0"
            self._follow_redis()

    def stop(self, number: int = 0, frame: Any = None) -> None:
        """Let run return when the event in hand is done."""
        self._running = False
        if number:
            signal.signal(number, signal.SIG_DFL)  # a second signal ends it at once

    def _function(self, event: Event) -> Callable[[Event], object] | None:
        return self._functions.get((event.type, event.channel)) or self._functions.get((event.type, ""))

    def _call(self, function: Callable[[Event], object], event: Event) -> None:
        self._trace = _trace(event._asdict())
        try:
            function(event)
        finally:
            self._trace = {}

    def _obey_router(self) -> None:
        answers, sys.stdout = sys.stdout, sys.stderr  # what a function prints is no verdict
        for line in sys.stdin.buffer:
            fields = json.loads(line)
            event = Event(**{name: fields[name] for name in Event._fields if name in fields})
            verdict: dict[str, Any] = {"id": event.id}
            try:
                function = self._function(event)
                if function is None:
                    raise Permanent(f"this bot has no function for the type {event.type!r}")
                self._call(function, event)
                verdict["ok"] = True
            except Exception as err:
                permanent, unavailable = isinstance(err, Permanent), isinstance(err, Unavailable)
                if not permanent and not unavailable:
                    log.exception("%s %s failed", event.type, event.id)
                text = str(err) if permanent or unavailable else f"{type(err).__name__}: {err}"
                verdict.update(error=(text or type(err).__name__)[:1000], permanent=permanent, unavailable=unavailable)
            print(json.dumps(verdict), file=answers, flush=True)
            if not self._running:
                return

    def _follow_redis(self) -> None:
        import redis

        channels = self._subscriptions()
        live = {str(c): c for c in channels if c.transport == "pubsub"}
        streams = {str(c): c for c in channels if c.transport == "stream"}
        if streams and not self.name:
            raise ValueError("who is this bot? Set BOT, or run(name=…): it is the group in which it reads streams")
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)
        log.info("events come from Redis: %s", ", ".join([*live, *streams]))
        pause = 0.1
        while self._running:
            pubsub = self.redis().pubsub()
            try:
                for name, channel in live.items():
                    (pubsub.psubscribe if channel.pattern else pubsub.subscribe)(name)
                for name, channel in streams.items():
                    self._join(name, channel.start)
                after = dict.fromkeys(streams, "0")  # what was read and not done; then (">") what is new
                while self._running:
                    self._hear(pubsub, live, 0.02 if streams else 0.5)
                    self._read(pubsub, live, streams, after)
                    pause = 0.1
            except (redis.ConnectionError, redis.TimeoutError, redis.ResponseError, Unavailable) as err:
                refused = isinstance(err, redis.ResponseError) and not str(err).startswith("NOGROUP")
                if refused or isinstance(err, redis.AuthenticationError):
                    raise
                log.warning("%s: %s; again in %.1f s", type(err).__name__, err, pause)
                until, pause = time.monotonic() + pause, min(pause * 2, 30)
                while self._running and time.monotonic() < until:
                    time.sleep(0.05)
            finally:
                pubsub.close()

    def _subscriptions(self) -> list[Channel]:
        found = {}
        for kind, declared in self._functions:
            homes = [c for c in self._channels if (c.declared == declared if declared else kind in c.types)]
            if not homes and not kind.startswith("signalbox."):  # these are the router's own
                raise ValueError(f"which channel has the type {kind!r}? @bot.on({kind!r}, channel=…)")
            for channel in homes:
                if channel.arrays:
                    raise ValueError(f"{channel.declared} has split, which only the router does: let it run the bot")
                found[channel.declared] = channel
        return list(found.values())

    def _join(self, stream: str, start: str) -> None:
        import redis

        try:
            self.redis().xgroup_create(stream, self.name, id="$" if start == "new" else "0", mkstream=True)
        except redis.ResponseError as err:
            if not str(err).startswith("BUSYGROUP"):
                raise

    def _hear(self, pubsub: Any, live: dict[str, Channel], wait: float) -> None:
        """Handle what comes on Pub/Sub in this time; when there is always more, streams get their turn."""
        until = time.monotonic() + wait
        while live and self._running and time.monotonic() < until + 0.1:
            message = pubsub.get_message(timeout=max(until - time.monotonic(), 0))
            if message is None:
                return
            if message["type"] not in ("message", "pmessage"):
                continue  # a subscription is confirmed
            channel = live[(message["pattern"] or message["channel"]).decode()]
            try:
                self._handle(channel, message["channel"].decode(), message["data"])
            except Unavailable as err:
                log.error("an event on %s is lost: %s", channel, err)  # Pub/Sub sends nothing twice

    def _read(self, pubsub: Any, live: dict[str, Channel], streams: dict[str, Channel], after: dict[str, str]) -> None:
        if not streams:
            return
        found = self.redis().xreadgroup(self.name, self.name, after, count=16, block=None if live else 500)
        self._hear(pubsub, live, 0)  # a command finds the prices that came before it
        for stream, entries in found or []:
            name = stream.decode()
            if not entries:
                after[name] = ">"
            for entry, fields in entries:
                if not self._running:
                    return
                group = (fields or {}).get(b"signalbox_group", b"").decode()
                if fields and group in ("", self.name):  # not trimmed meanwhile, not replayed for another group
                    self._handle(streams[name], name, fields, entry.decode())
                self.redis().xack(name, self.name, entry)  # after the work: a crash repeats it, never skips it

    def _handle(self, channel: Channel, name: str, message: Any, entry: str = "") -> None:
        try:
            event = _event(channel, name, message, entry)
        except Exception as err:  # of whatever it is that is no event
            log.warning("a message on %s is ignored: %s", name, err)
            return
        function = self._function(event)
        try:
            if function is not None:  # else others use this type
                self._call(function, event)
        except Unavailable:
            raise
        except Exception as err:
            traceback = not isinstance(err, Permanent)
            log.error("%s %s failed, and is not tried again: %s", event.type, event.id, err, exc_info=traceback)


def _event(channel: Channel, name: str, message: Any, entry: str) -> Event:
    raw = message
    if isinstance(message, dict):  # a stream's entry: Signalbox writes payload, others have fields of their own
        raw = message.get(b"payload") or len(message) == 1 and (message.get(b"data") or message.get(b"message"))
        message = {field.decode(errors="replace"): value.decode(errors="replace") for field, value in message.items()}
        with suppress(KeyError, ValueError):
            message["data"] = json.loads(message["data"])
    if raw:
        message = json.loads(raw)
    kind = _at(message, channel.type_field) or channel.default_type
    if not isinstance(kind, str) or not kind:
        raise ValueError(f"it is no object with a type at {channel.type_field!r}")
    arrived = int(entry.split("-")[0]) if entry else time.time()
    return Event(
        id=_text(_at(message, channel.id_field)) or entry or str(uuid.uuid4()),
        type=kind,
        source=_text(message.get("source")),
        time=_rfc3339(_at(message, channel.time_field) or arrived),
        key=_text(_at(message, channel.key_field)) or (name if channel.pattern else ""),
        channel=channel.declared,
        name=name,
        data=message.get("data", message),
        **_trace(message),
    )


def _trace(message: dict[str, Any]) -> dict[str, str]:
    """The trace context of a message (W3C), if it has a valid one."""
    parent, state = message.get("traceparent"), message.get("tracestate")
    form = "(?!ff)(?!00.{53}.)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]*)?"
    if not isinstance(parent, str) or len(parent) > 512 or not re.fullmatch(form, parent):
        return {}
    if not isinstance(state, str) or not 0 < len(state) <= 512 or not (state.isascii() and state.isprintable()):
        return {"traceparent": parent}
    return {"traceparent": parent, "tracestate": state}



def _at(message: Any, path: str) -> Any:
    """What is at a dotted path, or None."""
    for name in path.split("."):
        message = message.get(name) if isinstance(message, dict) else None
    return message


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, (bool, dict, list)) else str(value)


def _rfc3339(at: Any) -> str:
    """A time as it stands, or of a number since 1970: in s, ms, µs or ns, by its magnitude."""
    if not isinstance(at, (int, float)):
        return str(at)
    for _ in range(3):
        at = at / 1000 if abs(at) >= 1e11 else at
    return datetime.fromtimestamp(at, timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


bot = Bot(CHANNELS)
