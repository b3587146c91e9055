// Package transport puts Redis Pub/Sub, Redis Streams and memory behind Watermill's
// Subscriber and Publisher.
//
// [Open] makes a [Redis] without dialing; its methods make subscribers and
// publishers that connect in the background, survive Redis going away, and share one
// consumer name, one Pub/Sub connection and one client for writing:
//
//	r, err := transport.Open(transport.Config{URL: "redis://127.0.0.1:6379/0", Service: "bot"}, log)
//	sub := r.Stream(transport.StreamConfig{Group: "bot"})
//	messages, err := sub.Subscribe(ctx, "trade_commands")
//	for msg := range messages {
//		handle(msg.Payload)
//		msg.Ack()
//	}
//
// # Messages and batches
//
// With MaxBatch 1, the default, each event is one plain message: its ack completes
// the event, its nack delivers it again (streams) or gives it up (Pub/Sub). With a
// larger MaxBatch, what is ready crosses as one message whose context carries the
// batch (package batch): one event when idle, without any waiting, and up to MaxBatch
// under load. Of each subscription one message at a time is outstanding, so order
// holds. Consumers must not change payloads.
//
// # What is promised
//
// Pub/Sub is at most once: what is lost by overflow, by a reconnection or at shutdown
// is reported to [Config.OnLoss] and logged. A stream is at least once: an entry is
// acknowledged after it was completed, and never before. Entries of a process that
// died are taken over within 10 s; see stream_takeover.go for the protocol.
//
// # What Redis must permit
//
// Everybody: HELLO, AUTH, SELECT, PING, CLIENT SETNAME, TIME. Pub/Sub: SUBSCRIBE,
// UNSUBSCRIBE, PSUBSCRIBE, PUNSUBSCRIBE on the names and patterns as they are
// configured; PUBLISH. Publishing to streams: XADD. Reading streams: XGROUP CREATE,
// XREADGROUP, XACK, XPENDING, XCLAIM, XAUTOCLAIM, XRANGE, XINFO CONSUMERS, XINFO GROUPS,
// XINFO STREAM, CLIENT ID, CLIENT UNBLOCK; SET, PEXPIRE, EXISTS, DEL on the keys
// signalbox:alive:*, GET, SET, DEL on signalbox:trimmed:*, and SET on signalbox:routes:*.
// Deduplication: SET, GET, PEXPIRE, DEL on the keys signalbox:dedupe:*. Leases: EVALSHA,
// SCRIPT LOAD, HSET, HMGET on signalbox:lease:*, INFO, and what publishing takes. Connect
// budgets: EVALSHA, SCRIPT LOAD, LRANGE, LPUSH, RPUSH, LTRIM, DEL, PTTL, PEXPIRE on
// signalbox:connects:*.
package transport
