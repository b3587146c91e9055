package handlers

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signalbox/router"
)

// answers is what a raw peer does when it has read a request.
func answers(do func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := readRequest(conn); err == nil {
			do(conn)
		}
	}
}

// says is an answer of these bytes.
func says(text string) func(net.Conn) {
	return func(conn net.Conn) { _, _ = io.WriteString(conn, text) }
}

// drips writes a text, and then a byte every 20 ms without end.
func drips(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_, err := io.WriteString(conn, text)
		for err == nil {
			time.Sleep(20 * time.Millisecond) // that is the fault
			_, err = conn.Write([]byte("x"))
		}
	}
}

// repeats writes a text, and then another one without end; sent counts what could be written.
func repeats(text, again string, sent *atomic.Int64) func(net.Conn) {
	chunk := []byte(strings.Repeat(again, 1+4000/len(again)))
	return func(conn net.Conn) {
		_, err := io.WriteString(conn, text)
		for n := 0; err == nil; sent.Add(int64(n)) {
			n, err = conn.Write(chunk)
		}
	}
}

// pours does so without a line break.
func pours(text string, sent *atomic.Int64) func(net.Conn) { return repeats(text, "x", sent) }

// hangs waits until the other side closes.
func hangs(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// bomb is 32 MiB of zeros, packed to less than an answer may have.
func bomb(t *testing.T) []byte {
	t.Helper()
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 32 {
		if _, err := zip.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// packed is an answer that is packed by gzip.
func packed(status int, body []byte) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d x\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", status, len(body))
		_, _ = conn.Write(body)
	}
}

// Each fault of a receiver has its verdict, every time, and soon. Errors are short.
func TestWebhookFaults(t *testing.T) {
	t.Parallel()
	const (
		events = 20
		short  = 300 * time.Millisecond // for what ends at the timeout
		long   = time.Minute            // for what does not
		ok     = "HTTP/1.1 200 OK\r\n"
	)
	// sent is what receivers could write whose answer has no end.
	var sent atomic.Int64
	zeros := bomb(t)
	for name, test := range map[string]struct {
		peer    func(net.Conn)
		timeout time.Duration
		want    string
		text    string // in the error
	}{
		"hangs":                      {answers(hangs), short, "unavailable", "no answer within 300ms"},
		"a byte at a time: header":   {answers(drips(ok + "X-A: ")), short, "unavailable", "no answer within 300ms"},
		"a byte at a time: done":     {answers(drips(ok + "\r\n")), long, "done", ""},
		"a byte at a time: gone":     {answers(drips("HTTP/1.1 410 Gone\r\n\r\n")), long, "permanent", "410 Gone"},
		"a byte at a time: away":     {answers(drips("HTTP/1.1 503 x\r\n\r\n")), long, "unavailable", "503 Service Unavailable"},
		"endless field":              {answers(pours(ok+"X-A: ", &sent)), long, "unavailable", "header"},
		"endless fields":             {answers(repeats(ok, "X-A: b\r\n", &sent)), long, "unavailable", "header"},
		"endless body: done":         {answers(pours(ok+"\r\n", &sent)), long, "done", ""},
		"endless body: away":         {answers(pours("HTTP/1.1 500 x\r\n\r\n", &sent)), long, "unavailable", "500 Internal Server Error: xxx"},
		"endless 1xx":                {answers(repeats("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", &sent)), long, "unavailable", "exceeded"},
		"gzip bomb: done":            {answers(packed(200, zeros)), long, "done", ""},
		"gzip bomb: refused":         {answers(packed(400, zeros)), long, "permanent", "400 Bad Request"},
		"huge length":                {answers(says("HTTP/1.1 500 x\r\nContent-Length: 9999999999999\r\n\r\nhuge")), long, "unavailable", "500 Internal Server Error"},
		"resets":                     {answers(reset), long, "unavailable", "reset"},
		"resets at once":             {reset, long, "unavailable", ""},
		"resets in the body":         {answers(func(c net.Conn) { says(ok + "Content-Length: 9\r\n\r\nhalf")(c); reset(c) }), long, "done or unavailable", ""},
		"ends in the body: done":     {answers(says(ok + "Content-Length: 9\r\n\r\nhalf")), long, "done", ""},
		"ends in the body: away":     {answers(says("HTTP/1.1 502 x\r\nContent-Length: 9\r\n\r\nhalf")), long, "unavailable", "502 Bad Gateway"},
		"ends in the header":         {answers(says(ok + "X-A: b\r\n")), long, "unavailable", "EOF"},
		"closes":                     {answers(func(net.Conn) {}), long, "unavailable", "EOF"},
		"speaks no HTTP":             {answers(says("SSH-2.0-OpenSSH_9.2\r\n\x1b[31m")), long, "unavailable", `malformed HTTP response "SSH-2.0-OpenSSH_9.2"`},
		"lies about its status":      {answers(says("HTTP/1.1 42 x\r\n\r\n")), long, "unavailable", "malformed HTTP status"},
		"a status that is too large": {answers(says("HTTP/1.1 999 x\r\n\r\n")), long, "unavailable", "999"},
		"injects a line":             {answers(says("HTTP/1.1 400 \x1b[31m\r\nConnection: close\r\nContent-Length: 17\r\n\r\na\n\nlevel=INFO x\x1by")), long, "permanent", `400 Bad Request: a\u000a\u000alevel=INFO x\u001by`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := testWebhook(t, WebhookOptions{URL: "http://" + rawPeer(t, test.peer), Timeout: test.timeout, Connections: events})
			verdicts := make([]error, events)
			var all sync.WaitGroup
			within(t, 15*time.Second, "the events", func() { // a race detector on a busy machine; far less than long
				for i := range events {
					all.Go(func() { verdicts[i] = w.Handle(t.Context(), &router.Event{ID: fmt.Sprint(i), Type: "a"}) })
				}
				all.Wait()
			})
			for _, err := range verdicts {
				// A reset may overtake the answer before it.
				if got := verdictOf(err); got != test.want && (test.want != "done or unavailable" || got != "done" && got != "unavailable") {
					t.Fatalf("%s, want %s: %v", got, test.want, err)
				}
				if err != nil && (!strings.HasPrefix(err.Error(), "POST to "+w.where+": ") || !strings.Contains(err.Error(), test.text)) {
					t.Fatalf("%v\nwant %q in it", err, test.text)
				}
				if err != nil && (len(err.Error()) > 1<<10 || strings.ContainsFunc(err.Error(), isControl)) {
					t.Fatalf("the error is no short line: %q", err)
				}
			}
			t.Logf("%d events, %d verdicts: %s", events, len(verdicts), verdictOf(verdicts[0]))
		})
	}
	t.Cleanup(func() {
		// Beside what is read, the buffers of a loopback connection hold some MiB.
		if got, most := sent.Load(), int64(5*events*16<<20); got > most {
			t.Errorf("%d bytes of endless answers were taken, want %d at most", got, most)
		}
	})
}

func TestWebhookStatuses(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := newReceiver(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	var status atomic.Int64
	peer := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", other.URL)
		w.WriteHeader(int(status.Load()))
	})
	w := testWebhook(t, WebhookOptions{URL: peer.URL})
	verdicts := 0
	for want, statuses := range map[string][]int{
		"done":        {200, 201, 202, 204, 206, 299},
		"permanent":   {101, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 421, 422, 426, 451, 499},
		"unavailable": {408, 425, 429, 500, 501, 502, 503, 504, 520, 599},
	} {
		for _, s := range statuses {
			verdicts++
			status.Store(int64(s))
			err := w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"})
			if got := verdictOf(err); got != want {
				t.Errorf("%d is %s, want %s: %v", s, got, want, err)
			}
			if s/100 == 3 && !strings.Contains(err.Error(), "redirects are not followed") {
				t.Errorf("%d: %v", s, err)
			}
		}
	}
	if got := len(peer.requests()); got != verdicts || elsewhere.Load() != 0 {
		t.Errorf("%d requests for %d events, and %d followed a redirect", got, verdicts, elsewhere.Load())
	}
}

func TestWebhookRetryAfter(t *testing.T) {
	t.Parallel()
	const date = "Sat, 21 Nov 2026 22:30:00 GMT"
	for text, want := range map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"7":                                7 * time.Second,
		" 7 ":                              7 * time.Second,
		"300":                              5 * time.Minute,
		"301":                              5 * time.Minute,
		"9999999999999999999999":           5 * time.Minute,
		"18446744073709551615":             5 * time.Minute,
		"9223372036":                       5 * time.Minute, // more nanoseconds than an int64 holds
		"9223372037":                       5 * time.Minute,
		"-1":                               0,
		"-9999999999999999999999":          0,
		"+7":                               0,
		"1.5":                              0,
		"1e3":                              0,
		"0x10":                             0,
		"7s":                               0,
		"٧":                                0,
		"NaN":                              0,
		"soon":                             0,
		"Sat, 21 Nov 2026 22:30:42 GMT":    42 * time.Second,
		"Sat, 21 Nov 2026 22:29:00 GMT":    0,
		"Sat, 21 Nov 2026 23:30:00 GMT":    5 * time.Minute,
		"Fri, 31 Dec 9999 23:59:59 GMT":    5 * time.Minute,
		"Mon, 01 Jan 0001 00:00:00 GMT":    0,
		"Saturday, 21-Nov-26 22:30:42 GMT": 42 * time.Second,
		"2026-11-21T22:30:42Z":             0,
	} {
		header := http.Header{"Retry-After": {text}, "Date": {date}}
		if got := retryAfter(header); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
		header.Set("Date", "garbage")
		if got := retryAfter(header); got < 0 || got > maxRetryAfter {
			t.Errorf("%q without a date is %v", text, got)
		}
	}
	soon := http.Header{"Retry-After": {time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)}}
	if got := retryAfter(soon); got < 50*time.Second || got > time.Minute {
		t.Errorf("a minute from now is %v", got)
	}

	for _, status := range []int{429, 503} {
		for text, want := range map[string]string{"2": "unavailable 2s", "99999999999999999999": "unavailable 5m0s", "-3": "unavailable", "\tx": "unavailable"} {
			peer := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", text)
				w.WriteHeader(status)
			})
			w := testWebhook(t, WebhookOptions{URL: peer.URL})
			if got := verdictOf(w.Handle(t.Context(), &router.Event{ID: "7", Type: "a"})); got != want {
				t.Errorf("%d with Retry-After %q is %s, want %s", status, text, got, want)
			}
		}
	}
}
