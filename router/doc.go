// Package router carries each event of a channel to the named handlers that its
// routes wire to the event's type.
package router
