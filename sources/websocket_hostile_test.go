package sources

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"signalbox/router"
)

// newRawServer accepts TCP connections, one after another, and has each served.
func newRawServer(t *testing.T, serve func(conn net.Conn, in *bufio.Reader)) string {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			stop := context.AfterFunc(t.Context(), func() { _ = conn.Close() })
			serve(conn, bufio.NewReader(conn))
			stop()
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-ended
	})
	return "ws://" + listener.Addr().String()
}

// silent is a server that reads, and says nothing.
func silent(conn net.Conn, _ *bufio.Reader) { _, _ = io.Copy(io.Discard, conn) }

// upgraded is a server that accepts the upgrade by hand and then writes bytes as they are.
func upgraded(t *testing.T, write func(conn net.Conn, in *bufio.Reader)) string {
	t.Helper()
	return newRawServer(t, func(conn net.Conn, in *bufio.Reader) {
		request, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		sum := sha1.Sum([]byte(request.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		write(conn, in)
	})
}

// frame is a frame of a server.
func frame(first byte, payload string) []byte {
	out := []byte{first}
	switch n := len(payload); {
	case n < 126:
		out = append(out, byte(n))
	case n <= 0xffff:
		out = binary.BigEndian.AppendUint16(append(out, 126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, 127), uint64(n))
	}
	return append(out, payload...)
}

const (
	fin  = 0x80
	text = 0x1

	more   = 0x0
	closed = 0x8
)

// Whatever comes, the session ends with an error that says what it was, or goes on.
func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 10<<20)
	for name, test := range map[string]struct {
		bytes []byte
		data  []string // that is handed over before
		want  string   // in the error
	}{
		"garbage":               {[]byte("\xff\x00HTTP/1.1 garbage\r\n\r\n"), nil, "broke: "},
		"reserved bits":         {frame(0xf1, "x"), nil, "unexpected rsv bits"},
		"unknown opcode":        {frame(fin|0x5, "x"), nil, "unknown opcode"},
		"fragments":             {bytes.Join([][]byte{frame(text, `{"a"`), frame(more, ""), frame(more, ":1"), frame(fin|0x9, "ping"), frame(fin|more, "}"), frame(fin|closed, "\x03\xe8")}, nil), []string{`{"a":1}`}, "code 1000"},
		"fragment of nothing":   {frame(fin|more, "x"), nil, "broke: "},
		"message in a message":  {append(frame(text, "a"), frame(fin|text, "b")...), nil, "broke: "},
		"invalid UTF-8":         {append(frame(fin|text, "\xc3\x28\xff"), frame(fin|closed, "\x03\xe8")...), []string{"\xc3\x28\xff"}, "code 1000"},
		"too large":             {frame(fin|text, big), nil, "sent a message of more than 1048576 bytes; max_bytes allows for larger ones"},
		"too large, in pieces":  {bytes.Join([][]byte{frame(text, big[:1<<20]), frame(more, big[:1<<20]), frame(fin|more, "")}, nil), nil, "of more than 1048576 bytes"},
		"as large as can be":    {append(frame(fin|text, big[:1<<20]), frame(fin|closed, "\x03\xe8")...), []string{big[:1<<20]}, "code 1000"},
		"a size that lies":      {append([]byte{fin | text, 127}, bytes.Repeat([]byte{0xff}, 8)...), nil, "broke: "},
		"a size that is huge":   {append([]byte{fin | text, 127, 0x7f}, bytes.Repeat([]byte{0xff}, 7)...), nil, "broke: "},
		"end in a frame":        {frame(fin|text, "twenty bytes of text")[:10], nil, "broke: "},
		"end after a fragment":  {frame(text, "a"), nil, "broke: "},
		"end after a header":    {frame(fin|text, "twenty bytes of text")[:2], nil, "broke: "},
		"end in what is read":   {frame(fin|text, big[:1<<10])[:4+512], nil, "broke: "},
		"end":                   {nil, nil, "broke: "},
		"no code":               {frame(fin|closed, ""), nil, "closed the session with code 1005"},
		"code and reason":       {frame(fin|closed, "\x0f\xa0go\r\naway\x1b[31m"), nil, `closed the session with code 4000: go\u000d\u000aaway\u001b[31m`},
		"code that is none":     {frame(fin|closed, "\x00\x01"), nil, "broke: "},
		"ping that is too long": {frame(fin|0x9, strings.Repeat("p", 126)), nil, "broke: "},
		"packed, but not asked": {frame(0xc1, "x"), nil, "unexpected rsv bits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := upgraded(t, func(conn net.Conn, _ *bufio.Reader) {
				go func() { _, _ = io.Copy(io.Discard, conn) }() // or what it is sent resets the connection
				_, _ = conn.Write(test.bytes)
				if strings.Contains(name, "too large") || strings.Contains(name, "size") {
					time.Sleep(50 * time.Millisecond)
				}
			})
			run := runWS(t, WebSocketOptions{URL: []string{url}})
			err := run.failure(test.want)
			if len(err.Error()) > 600 {
				t.Errorf("the verdict is %d bytes long", len(err.Error()))
			}
			for _, want := range test.data {
				if got := run.next(); got != "data "+want {
					t.Errorf("the source tells %q, want %q", got, want)
				}
			}
			select {
			case said := <-run.said:
				t.Errorf("the source also tells %q", said)
			default:
			}
		})
	}
}

// A server may write as slowly as it likes.
func TestWebSocketByteByByte(t *testing.T) {
	t.Parallel()
	url := upgraded(t, func(conn net.Conn, _ *bufio.Reader) {
		for _, b := range bytes.Join([][]byte{frame(fin|text, `{"a":1}`), frame(text, "b"), frame(fin|more, "c")}, nil) {
			_, _ = conn.Write([]byte{b})
			time.Sleep(time.Millisecond)
		}
		<-t.Context().Done()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Heartbeat: "hb"})
	run.want(`data {"a":1}`, "data bc")
}

// JSON that is nested as deep as a message can be is no danger, and neither is what only looks
// like JSON.
func TestWebSocketNested(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 1<<20)
	messages := []string{deep, deep[:1<<19] + strings.Repeat("]", 1<<19), strings.Repeat(`{"a":`, 100_000), `{"T":`, `[{"T":1},`, "\xff\xfe", `"`, "nul"}
	url := newWSServer(t, func(p *wsPeer) {
		p.say(messages...)
		p.stay()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Heartbeat: table{"a.a.a.T": "*"}})
	for _, message := range messages {
		run.want("data " + message)
	}
}

func packed(t *testing.T, how, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	var to io.WriteCloser = gzip.NewWriter(&out)
	if how == wsDeflate {
		to, _ = flate.NewWriter(&out, flate.BestCompression)
	}
	if _, err := io.WriteString(to, text); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWebSocketDecode(t *testing.T) {
	t.Parallel()
	for _, how := range []string{wsGzip, wsDeflate} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			url := newWSServer(t, func(p *wsPeer) {
				for i := range 3 {
					p.sayBinary(packed(t, how, fmt.Sprintf(`{"tick":%d}`, i)))
				}
				p.say("text as it is")
				p.sayBinary(packed(t, how, `{"ping":1}`))
				p.hear(`{"pong":1}`)
				p.sayBinary([]byte("this is not packed at all"))
				p.stay()
			})
			run := runWS(t, WebSocketOptions{
				URL: []string{url}, Decode: how,
				Reply: []WebSocketReply{{On: table{"ping": "*"}, Send: table{"pong": "{on.ping}"}}},
			})
			run.want(`data {"tick":0}`, `data {"tick":1}`, `data {"tick":2}`, "data text as it is")
			run.wantError("a binary message is not " + how + ": ")
		})
	}
}

// Without decode, binary messages are handed over as they are.
func TestWebSocketBinary(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.sayBinary([]byte{0})
		p.sayBinary([]byte{0, 1, 2})
		p.stay()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Heartbeat: "\x00"})
	run.want("data \x00\x01\x02")
}

// What is small when it comes and large when it is unpacked ends the session at the limit.
func TestWebSocketBombs(t *testing.T) {
	t.Parallel()
	bomb := strings.Repeat("0", 4<<20)
	for name, test := range map[string]struct {
		options WebSocketOptions
		serve   func(p *wsPeer)
	}{
		"gzip":               {WebSocketOptions{Decode: wsGzip}, func(p *wsPeer) { p.sayBinary(packed(t, wsGzip, bomb)) }},
		"deflate":            {WebSocketOptions{Decode: wsDeflate}, func(p *wsPeer) { p.sayBinary(packed(t, wsDeflate, bomb)) }},
		"permessage-deflate": {WebSocketOptions{Compression: true}, func(p *wsPeer) { p.say(bomb) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newWSServer(t, func(p *wsPeer) {
				test.serve(p)
				p.stay()
			})
			test.options.URL, test.options.MaxBytes = []string{url}, 16<<10
			runWS(t, test.options).wantError("of more than 16384 bytes; max_bytes allows for larger ones")
		})
	}
}

// A server that asks for answers and reads none of them neither stops the reading nor fills
// the memory.
func TestWebSocketAsksAndDoesNotRead(t *testing.T) {
	t.Parallel()
	url := upgraded(t, func(conn net.Conn, _ *bufio.Reader) {
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		for {
			if _, err := conn.Write(frame(fin|text, `{"ping":"`+strings.Repeat("p", 30_000)+`"}`)); err != nil {
				return
			}
		}
	})
	many := strings.Repeat("{on.ping}", 16) // more to write than to read, to be soon through
	run := runWS(t, WebSocketOptions{URL: []string{url}, Reply: []WebSocketReply{{On: table{"ping": "*"}, Send: table{"pong": many}}}})
	run.wantError("asks for answers faster than it reads them")
}

// wsSlow is what no end takes, not even on a machine that does much else: 50 milliseconds are
// its limit, and what would not obey it waits for seconds.
const wsSlow = 2 * time.Second

// A session ends at once when it has to, whatever the server does, and leaves no connection.
func TestWebSocketEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		url     string
		options WebSocketOptions
		wait    bool // until it is open
	}{
		"no answer to the upgrade": {newRawServer(t, silent), WebSocketOptions{}, false},
		"no answer to the request": {"ws://127.0.0.1:1", WebSocketOptions{Auth: WebSocketAuth{Request: WebSocketRequest{URL: strings.Replace(newRawServer(t, silent), "ws:", "http:", 1)}}}, false},
		"no goodbye":               {upgraded(t, silent), WebSocketOptions{}, true},
		"nothing is read": {
			upgraded(t, func(net.Conn, *bufio.Reader) { <-t.Context().Done() }),
			WebSocketOptions{Subscribe: []any{strings.Repeat("x", 8<<20)}},
			false,
		},
		"in a pause": {newWSServer(t, func(p *wsPeer) { p.stay() }), WebSocketOptions{Subscribe: []any{"a", "b"}, SubscribeEvery: time.Hour}, false},
		"in a step":  {newWSServer(t, func(p *wsPeer) { p.stay() }), WebSocketOptions{Greeting: WebSocketAnswer{Expect: "x"}}, false},
		"in a ping":  {upgraded(t, silent), WebSocketOptions{Ping: WebSocketPing{Every: time.Millisecond}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.options.URL = []string{test.url}
			run := runWS(t, test.options)
			if test.wait {
				run.wantOpened(test.url)
			}
			time.Sleep(20 * time.Millisecond)
			begin := time.Now()
			run.stop()
			_ = run.verdict()
			if took := time.Since(begin); took > wsSlow {
				t.Errorf("the end took %s", took)
			}
		})
	}
}

// Even a goodbye that may take its time does not, when nobody waits any more.
func TestWebSocketRotateEndsAtOnce(t *testing.T) {
	t.Parallel()
	rotating := make(chan struct{})
	url := upgraded(t, func(_ net.Conn, in *bufio.Reader) {
		_, _ = in.Peek(1) // the goodbye; it is not answered
		close(rotating)
		<-t.Context().Done()
	})
	run := runWS(t, WebSocketOptions{URL: []string{url}, Rotate: 10 * time.Millisecond})
	<-rotating
	begin := time.Now()
	run.stop()
	if err := run.verdict(); err != nil {
		t.Errorf("the verdict is %v, want a planned end", err)
	}
	if took := time.Since(begin); took > wsSlow {
		t.Errorf("the end took %s", took)
	}
}

// A server that closes again and again is an error each time, not a planned end.
func TestWebSocketClosesAgainAndAgain(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		time.Sleep(5 * time.Millisecond)
		_ = p.conn.Close(websocket.StatusGoingAway, "bye")
	})
	for range 5 {
		err := runWS(t, WebSocketOptions{URL: []string{url}}).failure("closed the session with code 1001: bye")
		if after, ok := router.IsUnavailable(err); ok {
			t.Errorf("the verdict is to wait %s", after)
		}
	}
}
