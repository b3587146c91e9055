package python

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"signalbox/internal/redistest"
)

// The program that docs/bots.md shows is the one in the folder. It notices what is missing, old
// or of a holder that was replaced.
func TestFollow(t *testing.T) {
	code, err := os.ReadFile("follow.py")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/bots.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "```python\n"+string(code)+"```\n") {
		t.Error("docs/bots.md does not show follow.py as it is")
	}

	server := redistest.Start(t)
	client := server.Client()
	follow := script(t, server.URL(), "follow.py", "price_data", "0.6")
	follow.Stderr = os.Stderr
	stdout, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = follow.Process.Kill()
		_ = follow.Wait()
	}()
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	for deadline := time.Now().Add(patience); client.PubSubNumSub(t.Context(), "price_data").Val()["price_data"] == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody subscribes")
		}
	}
	own := func(typ string, epoch, seq int) string {
		return fmt.Sprintf(`{"type":%q,"data":{"source":"broker"},"epoch":%d,"seq":%d}`, typ, epoch, seq)
	}
	tick := func(symbol string, price, epoch, seq int) string {
		return fmt.Sprintf(`{"type":"tick","data":{"symbol":%q,"price":%d},"epoch":%d,"seq":%d}`, symbol, price, epoch, seq)
	}
	for _, step := range []struct{ send, want string }{
		{tick("A", 10, 5, 7), "A 10"}, // it began before
		{tick("B", 20, 5, 3), "B 20"},
		{tick("A", 11, 5, 10), "missing 2 of A\nA 11"},
		{own("signalbox.connected", 6, 1), "signalbox.connected {'source': 'broker'}"},
		{tick("A", 12, 5, 11) + "\n" + `{"type":"tick","data":{}}` + "\n" + tick("A", 13, 6, 1), "A 13"},
		{tick("B", 21, 6, 2), "missing 1 of B\nB 21"},
		{"", "stale"},
		{tick("B", 22, 6, 3), "B 22"},
		{own("signalbox.disconnected", 6, 3), "missing 1 of own events\nsignalbox.disconnected {'source': 'broker'}"},
	} {
		for message := range strings.SplitSeq(step.send, "\n") {
			if message != "" {
				client.Publish(t.Context(), "price_data", message)
			}
		}
		for want := range strings.SplitSeq(step.want, "\n") {
			select {
			case got := <-lines:
				if got != want {
					t.Fatalf("after %s it says %q, want %q", step.send, got, want)
				}
			case <-time.After(patience):
				t.Fatalf("after %s it says nothing, want %q", step.send, want)
			}
		}
	}
}
