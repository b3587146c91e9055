package sources

import (
	"strings"
	"testing"
)

func TestWebSocketPattern(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern any
		message string
		want    bool
	}{
		{"pong", "pong", true},
		{"pong", "pong ", false},
		{"pong", `"pong"`, false},
		{table{"op": "pong"}, `{"op":"pong","x":1}`, true},
		{table{"op": "pong"}, `{"op":"PONG"}`, false},
		{table{"op": "pong"}, `{"Op":"pong"}`, false},
		{table{"op": "pong"}, `{"x":{"op":"pong"}}`, false},
		{table{"op": "pong"}, `{"op":"pong"`, false}, // no JSON
		{table{"op": "pong", "ok": true}, `{"op":"pong","ok":true}`, true},
		{table{"op": "pong", "ok": true}, `{"op":"pong","ok":"true"}`, false},
		{table{"ok": false}, `{"ok":false}`, true},
		{table{"ok": false}, `{"ok":null}`, false},
		{table{"ok": false}, `{}`, false},
		{table{"code": int64(0)}, `{"code":0}`, true},
		{table{"code": int64(0)}, `{"code":"0"}`, false},
		{table{"code": int64(0)}, `{}`, false},
		{table{"code": 406}, `{"code":406.0}`, true},
		{table{"id": int64(9007199254740993)}, `{"id":9007199254740993}`, true},
		{table{"id": int64(9007199254740993)}, `{"id":9007199254740992}`, false},
		{table{"code": "0"}, `{"code":"0"}`, true},
		{table{"v": 1.5}, `{"v":1.50}`, true},
		{table{"result": "*"}, `{"result":null}`, true},
		{table{"result": "*"}, `{"id":1}`, false},
		{table{"channel": []any{"a", "b"}}, `{"channel":"b"}`, true},
		{table{"channel": []any{"a", "b"}}, `{"channel":"c"}`, false},
		{table{"data.x": int64(1)}, `{"data":{"x":1}}`, true},
		{table{"data": table{"x": int64(1)}}, `{"data":{"x":1}}`, true},
		{table{"data": table{"x": int64(1)}}, `{"data":{"x":2}}`, false},
		{table{"1": "hb"}, `[7,"hb"]`, true},
		{table{"1": "hb"}, `[7,"te",["hb"]]`, false},
		{table{"data.0.T": "x"}, `{"data":[{"T":"x"}]}`, true},
		{table{"a*": "x"}, `{"ab":"x"}`, false}, // no wildcard, no modifier
		{table{"a*": "x"}, `{"a*":"x"}`, true},
		{table{"@this": "*"}, `{"a":1}`, false},
		{table{"#": "*"}, `[1,2]`, false},
		{[]any{"x", table{"op": "pong"}}, `{"op":"pong"}`, true},
		{[]any{"x", table{"op": "pong"}}, "x", true},
		{[]any{"x", table{"op": "pong"}}, "y", false},
		{nil, "", false},
	} {
		patterns, err := parseWSPatterns("p", test.pattern)
		if err != nil {
			t.Errorf("%v: %v", test.pattern, err)
			continue
		}
		if got := patterns.match(newWSIncoming([]byte(test.message))); got != test.want {
			t.Errorf("%v and %s: %t, want %t", test.pattern, test.message, got, test.want)
		}
	}
}

func TestWebSocketPatternErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pattern any
		want    string
	}{
		{"", "p: the text is empty"},
		{table{}, "p: a table is empty"},
		{table{"a": table{}}, "p: a table is empty"},
		{[]any{}, "p: the list is empty"},
		{[]any{"a", true}, "p.1: a pattern is a text, a table"},
		{5, "p: a pattern is a text, a table"},
		{table{"": 1}, `p: "" is no path`},
		{table{"a..b": 1}, `p: "a..b" is no path`},
		{table{"a": nil}, `p: "a" has to be a text`},
		{table{"a": []any{table{}}}, `p: "a" has to be a text`},
	} {
		if _, err := parseWSPatterns("p", test.pattern); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v: %v\nwant %s…", test.pattern, err, test.want)
		}
	}
}
