package handlers

// EventLine is what tests outside of the package look at.
var EventLine = execLine

// VerdictOf is what a line of a program says, if it is a verdict.
func VerdictOf(line []byte) (verdict error, is bool) { //nolint:revive // as parseAnswer has it
	a, is := parseAnswer(line)
	return a.verdict(execSecrets{}), is
}

// PauseAfter is how long a program that ended is not started again.
var PauseAfter = pauseAfter
