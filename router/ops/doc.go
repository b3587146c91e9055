// Package ops is the HTTP side of a running router: health for an orchestrator, metrics
// for Prometheus, a live page for people, and the few requests that change something.
//
// It sees the program as a [Program], knows the router and nothing of Redis or TOML, and
// never holds up an event: whoever reads too slowly misses something, and is told.
package ops
