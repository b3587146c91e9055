package ops

import "testing"

func TestRedact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                              "",
		"EOF":                           "EOF",
		"redis://127.0.0.1:6379/0 hung": "redis://127.0.0.1:6379/0 hung",
		"redis://desk:pw@10.0.0.5: hung; ask desk@example.com":   "redis://***@10.0.0.5: hung; ask desk@example.com",
		`parse "redis://:p@w/x@host": no, 'https://key@host/x'?`: `parse "redis://***@host": no, 'https://***@host/x'?`,
		"a://b://c@d": "a://***@d",
		"://":         "://",
	} {
		if got := redact(text); got != want {
			t.Errorf("redact(%q) is %q, want %q", text, got, want)
		}
	}
}
