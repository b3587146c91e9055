//go:build unix

package handlers_test

import (
	"encoding/json"
	"testing"
	"unicode"

	"signalbox/handlers"
)

// Whatever a program writes: only an object with ok or error is a verdict, and its text
// cannot begin another line.
func FuzzExecVerdict(f *testing.F) {
	for _, line := range []string{
		`{"id":"a","ok":true}`, `{"error":"x\u001b\n","permanent":true}`, `{"ok":1,"id":7}`, `hello`, `{"a":{"ok":true}}`, `{"error":null}`, `{"ok":`,
	} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		verdict, is := handlers.VerdictOf(line)
		if !is {
			return
		}
		var object map[string]any
		if err := json.Unmarshal(line, &object); err != nil {
			t.Fatalf("%q is a verdict, and no object: %v", line, err)
		}
		if object["ok"] == nil && object["error"] == nil && verdict == nil {
			t.Errorf("%q is done", line)
		}
		if verdict == nil {
			return
		}
		for _, r := range verdict.Error() {
			if !unicode.IsPrint(r) {
				t.Errorf("%q says %q", line, verdict)
			}
		}
	})
}
