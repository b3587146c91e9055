package sources

import (
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"signalbox/router"
)

// wsVerdict is a verdict in words.
func wsVerdict(err error) string {
	after, away := router.IsUnavailable(err)
	switch {
	case err == nil:
		return "planned"
	case router.IsPermanent(err):
		return "permanent"
	case router.IsStandDown(err):
		return "stand down"
	case away:
		return "wait " + after.String()
	default:
		return "failed"
	}
}

// What close codes mean, with and without rules for them.
func TestWebSocketCloseCodes(t *testing.T) {
	t.Parallel()
	rules := []WebSocketError{
		{Code: int64(4008), Then: "fatal"},
		{Code: []any{int64(4009), int64(1000)}, Then: "stand_down"},
		{Code: int64(4010), Then: "retry", After: 7 * time.Second},
		{Code: int64(4011), Then: "reauth"},
		{Code: int64(4012), Then: "rotate"},
	}
	for _, test := range []struct {
		code  websocket.StatusCode
		rules []WebSocketError
		want  string
	}{
		{1000, nil, "failed"},
		{1001, nil, "failed"},
		{1008, nil, "failed"},
		{1012, nil, "wait 5s"},
		{1013, nil, "wait 30s"},
		{4008, nil, "failed"},
		{1000, rules, "stand down"},
		{1001, rules, "failed"},
		{4008, rules, "permanent"},
		{4009, rules, "stand down"},
		{4010, rules, "wait 7s"},
		{4011, rules, "failed"},
		{4012, rules, "planned"},
	} {
		url := newWSServer(t, func(p *wsPeer) { _ = p.conn.Close(test.code, "why") })
		err := runWS(t, WebSocketOptions{URL: []string{url}, Errors: test.rules}).verdict()
		if got := wsVerdict(err); got != test.want {
			t.Errorf("code %d, %d rules: %s (%v), want %s", test.code, len(test.rules), got, err, test.want)
		}
		if err != nil && !strings.Contains(err.Error(), "why") {
			t.Errorf("code %d: the reason is not in %v", test.code, err)
		}
		if reads := err != nil && strings.Contains(err.Error(), "credentials are read again"); reads != (test.code == 4011) {
			t.Errorf("code %d: %v", test.code, err)
		}
	}
}

// What messages mean; the first rule that fits counts, and none of them is data.
func TestWebSocketErrorMessages(t *testing.T) {
	t.Parallel()
	rules := []WebSocketError{
		{Match: table{"T": "error", "code": int64(400)}, Then: "ignore"},
		{Match: table{"T": "error", "code": int64(406)}, Then: "stand_down"},
		{Match: table{"T": "error", "code": []any{int64(402), int64(404)}}, Then: "reauth", After: time.Second},
		{Match: []any{table{"T": "error", "code": int64(12)}, "fatal!"}, Then: "fatal"},
		{Match: table{"T": "error"}, Then: "retry"},
	}
	for message, test := range map[string]struct {
		verdict, text string
	}{
		`[{"T":"error","code":406,"msg":"connection limit"}]`:              {"stand down", `says: {"T":"error","code":406,"msg":"connection limit"}`},
		`{"T":"error","code":402}`:                                         {"wait 1s", "credentials are read again"},
		`fatal!`:                                                           {"permanent", "says: fatal!"},
		`{"T":"error","code":7,"msg":"line\nbreak S3cr3tS3"}`:              {"failed", "says: (not shown: it repeats what may be secret)"},
		`{"T":"error","code":8,"msg":"` + strings.Repeat("x", 1000) + `"}`: {"failed", `xxx…`},
	} {
		url := newWSServer(t, func(p *wsPeer) {
			p.say(`{"T":"error","code":400,"msg":"symbol not found"}`, `[{"T":"t"},{"T":"error","code":400}]`, message)
			p.stay()
		})
		run := runWS(t, WebSocketOptions{URL: []string{url}, Errors: rules, Auth: WebSocketAuth{Message: table{"key": "S3cr3tS3"}}})
		err := run.failure(test.text)
		if got := wsVerdict(err); got != test.verdict {
			t.Errorf("%s: %s (%v), want %s", message, got, err, test.verdict)
		}
		run.want(`data [{"T":"t"}]`)
		select {
		case said := <-run.said:
			t.Errorf("%s: the source also tells %s", message, said)
		default:
		}
		if !strings.Contains(run.log.String(), "message of the server ignored") {
			t.Errorf("the log is %q", run.log)
		}
	}
}

// A source that another session has evicted stands down, also while it is being logged in.
func TestWebSocketErrorBeforeSteps(t *testing.T) {
	t.Parallel()
	url := newWSServer(t, func(p *wsPeer) {
		p.say(`{"T":"error","code":406}`)
		p.stay()
	})
	err := runWS(t, WebSocketOptions{
		URL:    []string{url},
		Auth:   WebSocketAuth{Message: "x", Expect: "ok", FailOn: table{"T": "error"}},
		Errors: []WebSocketError{{Match: table{"code": int64(406)}, Then: "stand_down"}},
	}).failure("says")
	if !router.IsStandDown(err) {
		t.Errorf("the verdict is %v, want to stand down", err)
	}
}
