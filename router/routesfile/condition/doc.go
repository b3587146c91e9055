// Package condition compiles what a route says under when, an expression in CEL, to a
// router.Condition.
//
// An expression sees two variables: service, a text, and event with the fields id,
// type, source, key, channel and name (texts), time (a timestamp), data and msg
// (whatever JSON holds). In data and msg a number is a double, as CEL reads JSON;
// but a whole number that a double would round, beyond 2^53, is an int or a uint.
package condition
