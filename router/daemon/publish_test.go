package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

func TestReadLinesSaysWhyItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		lines, failed := readLines(ctx, strings.NewReader("one\n"))
		stop()
		if err := <-failed; !errors.Is(err, context.Canceled) {
			t.Errorf("ended with %v", err)
		}
		if line, more := <-lines; more {
			t.Errorf("there is another line: %q", line)
		}
	})
}
