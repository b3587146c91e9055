package transport

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	t.Parallel()
	p := newPace()
	late := fmt.Errorf("read: %w", context.DeadlineExceeded) // it is a timeout
	p.failed(errors.New("EOF"))
	if p != newPace() {
		t.Fatalf("an error that is no timeout: %+v", p)
	}
	for range 4 {
		p.failed(late)
	}
	if p != (pace{1, readSlack}) {
		t.Fatalf("after four timeouts: %+v", p)
	}
	for range 10 {
		p.failed(late)
	}
	if p != (pace{1, slackMost}) {
		t.Fatalf("after many: %+v", p)
	}
	p.worked(0)
	if p != (pace{1, slackMost}) {
		t.Fatalf("silence proves nothing: %+v", p)
	}
	p.worked(1)
	if p != (pace{2, slackMost / 2}) {
		t.Fatalf("after a success: %+v", p)
	}
	for range 20 {
		p.worked(1)
	}
	if p != newPace() || p.slack > time.Minute {
		t.Fatalf("after many: %+v", p)
	}
}
