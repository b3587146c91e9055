package sources

import (
	"errors"
	"runtime"
	"strings"
	"testing"
)

// No more of it is unpacked than may be, which its error alone would not show.
func TestWebSocketBombsAreNotUnpacked(t *testing.T) {
	bomb := strings.Repeat("0", 64<<20)
	for _, how := range []string{wsGzip, wsDeflate} {
		message := packed(t, how, bomb)
		decoder := wsDecoder{how: how, most: 16 << 10}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decoder.unpack(message)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errWSTooLarge) || took > 1<<20 {
			t.Errorf("%s: %v, and %d bytes of memory", how, err, took)
		}
	}
}

// Answers that wait are bounded in bytes, too.
func TestWebSocketLargeAnswers(t *testing.T) {
	t.Parallel()
	answer, err := parseWSMessage("reply.0.send", strings.Repeat("x", 600), wsScope{})
	if err != nil {
		t.Fatal(err)
	}
	s := &wsSession{plan: &wsPlan{maxBytes: 1000}, link: &wsLink{at: "ws://here"}, replies: make(chan []byte, wsReplies)}
	for i := range 3 {
		if err := s.reply(wsReply{send: answer}, wsIncoming{}); (err != nil) != (i == 2) {
			t.Errorf("answer %d: %v", i, err)
		}
	}
}
