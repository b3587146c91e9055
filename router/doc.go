// Package router carries each event of a channel to the named handlers that its
// routes wire to the event's type.
//
// A [Config] declares channels, handlers and routes; package routesfile reads one from
// TOML files, and a Go program may write one by hand. A [Router] subscribes to the
// channels through Watermill, decodes each message into an [Event], and gives it to
// every route that takes its type. A [Handler] does something with the event and
// returns its verdict.
//
// The pieces also work on their own: [DecodeJSON], [FilterTypes], [Recover] and
// [LogErrors] are Watermill middleware for any Watermill router, and [HandleEvents]
// puts a Handler behind them. A [Publisher] is the way back: it completes and checks
// an event and sends it to a declared channel.
//
// The package knows nothing of Redis, of files or of HTTP.
package router
