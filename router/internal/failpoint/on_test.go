//go:build failpoints

package failpoint

import (
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	plan, err := parse("after-read=kill@3,before-ack=pause:2s@1")
	if err != nil {
		t.Fatal(err)
	}
	if a := plan[AfterRead]; a == nil || a.nth != 3 || a.pause != 0 {
		t.Errorf("after-read: %+v", a)
	}
	if a := plan[BeforeAck]; a == nil || a.nth != 1 || a.pause != 2*time.Second {
		t.Errorf("before-ack: %+v", a)
	}
	for text, want := range map[string]string{
		"after-read=kill":      "want point=kill@N",
		"after-read=kill@x":    "want point=kill@N",
		"after-read=sleep@1":   `"after-read=sleep@1"`,
		"after-read=pause:2@1": "missing unit",
	} {
		if _, err := parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
