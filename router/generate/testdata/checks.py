"""What bot.py of testdata/nasty does without Redis."""

import json
import unittest

from bot import CHANNELS, ORDER_CREATED_F4F0, Bot, Channel, _event, bot


def event(channel, message, **more):
    return _event(channel, more.pop("name", str(channel)), json.dumps(message), **{"entry": "", **more})


class Checks(unittest.TestCase):
    def test_channel_is_its_name(self):
        self.assertEqual(CHANNELS.ORDER_CREATED_A9A5, 'shop:"orders"\n*/ # \u2028 `${x}`')
        self.assertEqual((CHANNELS.ORDER_CREATED_A9A5.declared, CHANNELS.ORDER_CREATED_A9A5.start), ("order.created", "new"))
        self.assertEqual((CHANNELS.ORDER_CREATED_A9A5.max_len, CHANNELS.ORDER_CREATED_F4F0.max_len), (500, 100_000))
        self.assertTrue(CHANNELS.CLASS.pattern and not CHANNELS.X.pattern)

    def test_fields_of_a_feed(self):
        got = event(CHANNELS.X, {"e": "trade", "E": 1795314624123, "s": "BTC", "t": 12345, "p": "97000.1"})
        self.assertEqual((got.type, got.id, got.time, got.key), ("trade", "12345", "2026-11-22T02:30:24.123000Z", "BTC"))
        self.assertEqual((got.channel, got.name, got.data["p"]), ("--", "--", "97000.1"))
        self.assertEqual(event(CHANNELS.X, {}).type, "any")

    def test_times(self):
        for number in (1795314624.5, 1795314624500, 1795314624500000, 1795314624500000000):
            self.assertEqual(event(CHANNELS.X, {"E": number}).time, "2026-11-22T02:30:24.500000Z")
        self.assertEqual(event(CHANNELS.X, {"E": "yesterday"}).time, "yesterday")
        self.assertEqual(event(CHANNELS.X, {}, entry="1795314624500-3").time, "2026-11-22T02:30:24.500000Z")

    def test_what_is_missing(self):
        got = event(CHANNELS.CLASS, {"type": "tick", "id": None, "source": 5.5, "data": None}, name="class:7")
        self.assertEqual((got.key, got.source, got.data), ("class:7", "5.5", None))
        self.assertNotEqual(got.id, event(CHANNELS.CLASS, {"type": "tick"}).id)
        self.assertEqual(event(CHANNELS.CLASS, {"type": "tick", "id": True}, entry="5-0").id, "5-0")

    def test_traces(self):
        ids, state = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "congo=t61"
        for parent in ("00-" + ids, "01-" + ids, "cc-" + ids + "-more"):
            got = event(CHANNELS.CLASS, {"type": "tick", "traceparent": parent, "tracestate": state})
            self.assertEqual((got.traceparent, got.tracestate), (parent, state))
        for parent in ("00-" + ids + "-more", "ff-" + ids, "00-" + ids.upper(), "00-" + ids + "\n", "00-" + "0" * 32 + ids[32:], "", None, 7, {}):
            got = event(CHANNELS.CLASS, {"type": "tick", "traceparent": parent, "tracestate": state})
            self.assertEqual((got.traceparent, got.tracestate), ("", ""), parent)
        for state in ("a=1\r\nEvil: yes", "a=é", "a" * 513, "", None, 7):
            got = event(CHANNELS.CLASS, {"type": "tick", "traceparent": "00-" + ids, "tracestate": state})
            self.assertEqual((got.traceparent, got.tracestate), ("00-" + ids, ""), state)

    def test_what_is_no_event(self):
        for message in ([], "tick", 5, None, {"data": 1}, {"type": 5}, {"type": ""}, {"type": {"type": "tick"}}):
            with self.assertRaises(ValueError, msg=message):
                event(CHANNELS.CLASS, message)

    def test_functions(self):
        one = Bot(CHANNELS)
        one.on("tick", channel=CHANNELS.CLASS)(print)
        one.on("tick")(repr)
        one.on("signalbox.gap")(print)
        self.assertEqual([c.declared for c in one._subscriptions()], ["class", "CHANNELS"])
        self.assertIs(one._function(event(CHANNELS.CLASS, {"type": "tick"})), print)
        self.assertIs(one._function(event(CHANNELS.CHANNELS_19A3, {"type": "tick"})), repr)
        self.assertIsNone(one._function(event(CHANNELS.CLASS, {"type": "tock"})))
        for wrong, call in [
            ("the type 'tick' has a function already", lambda: one.on("tick")(print)),
            ("no type 'tik'; there are ['tick']", lambda: one.on("tik", channel=CHANNELS.CLASS)),
            ("who is this bot? Set BOT, or run(name=…)", lambda: one_for("TYPE").run("redis://127.0.0.1:1")),
            ("which channel has the type 'any'? @bot.on('any', channel=…)", lambda: one_for("any").run("redis://127.0.0.1:1")),
            ("-- has split, which only the router does", lambda: one_for("any", channel=CHANNELS.X).run("redis://127.0.0.1:1")),
        ]:
            self.refused(wrong, call)

        class CLOSED:
            ONLY = Channel("only", types=("a", "b"))

        self.refused("no type 'c'; there are ['a', 'b']", lambda: Bot(CLOSED).on("c"))

    def test_publish(self):
        sent = []

        class Client:
            def xadd(self, *args, **more):
                sent.append((*args, more))

            publish = xadd

        class FEEDS:
            DEEP = Channel("deep", declared="d", key_field="data.bot")
            FLAT = Channel("flat", declared="f", key_field="bot")

        one = Bot(FEEDS)
        one.name, one._client = "b1", Client()
        for channel, data, want in [
            (FEEDS.DEEP, {"x": 1}, {"data": {"bot": "k", "x": 1}}),
            (FEEDS.DEEP, {"bot": "mine"}, {"data": {"bot": "mine"}}),
            (FEEDS.FLAT, [], {"bot": "k", "data": []}),
        ]:
            self.assertEqual(one.publish(channel, "any", data, key="k", id="7"), "7")
            name, text, _ = sent.pop()
            message = json.loads(text)
            self.assertRegex(message.pop("time"), r"^20\d\d-\d\d-\d\dT[0-9:.]+Z$")
            self.assertEqual((name, message), (channel, {"id": "7", "type": "any", "source": "/bots/b1", **want}))
        self.assertNotEqual(one.publish(CHANNELS.ORDER_CREATED_A9A5, "käufen"), one.publish(CHANNELS.ORDER_CREATED_A9A5, "käufen"))
        name, fields, more = sent.pop()
        self.assertEqual((name, json.loads(fields["payload"])["data"], more), (CHANNELS.ORDER_CREATED_A9A5, None, {"maxlen": 500}))

    def test_publish_refuses(self):
        for wrong, call in [
            ("class: a bot can't publish to a pattern, or in the layout of a feed", lambda: bot.publish(CHANNELS.CLASS, "tick")),
            ("--: a bot can't publish to a pattern, or in the layout of a feed", lambda: bot.publish(CHANNELS.X, "tick")),
            ("1st: no type 'y'; there are [", lambda: bot.publish(CHANNELS.X_1ST, "y")),
            ("order_created: no key can be set at key_field '' of this data", lambda: bot.publish(CHANNELS.ORDER_CREATED_F4F0, ORDER_CREATED_F4F0.TYPE, {}, key="k")),
            ("not JSON compliant", lambda: bot.publish(CHANNELS.ORDER_CREATED_F4F0, ORDER_CREATED_F4F0.TYPE, float("nan"))),
        ]:
            self.refused(wrong, call)

    def refused(self, wrong, call):
        with self.assertRaises(ValueError) as caught:
            call()
        self.assertIn(wrong, str(caught.exception))


def one_for(*types, **channel):
    one = Bot(CHANNELS)
    one.name = ""
    one.on(*types, **channel)(print)
    return one


unittest.main()
