package ops

import "strings"

// redact hides who logs in to the addresses in a text. What the program says of itself has
// no password; this is for what a library says of an address that it was given.
func redact(text string) string {
	var shown strings.Builder
	for {
		before, after, found := strings.Cut(text, "://")
		shown.WriteString(before)
		if !found {
			return shown.String()
		}
		shown.WriteString("://")
		end := strings.IndexAny(after, " \t\n\"'`<>")
		if end < 0 {
			end = len(after)
		}
		// The last one: a password that nobody encoded may hold another, or a slash.
		if at := strings.LastIndexByte(after[:end], '@'); at >= 0 {
			shown.WriteString("***")
			after = after[at:]
		}
		text = after
	}
}
