// Package scenario runs the tests of a routes file in memory and says what differs.
//
// A test sends messages to declared channels of the real router, on Watermill's gochannel
// and in fake time ([routertest]). Handlers are replaced by ones that accept, or answer as
// the test says; kinds that are pure ([router.Kind]) run as they are. What became of each
// event and message is then compared with what the test expects.
package scenario
