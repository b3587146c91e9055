package sources

import (
	"regexp"
	"strings"
	"testing"
)

func TestWebSocketMessage(t *testing.T) {
	t.Parallel()
	values := &wsValues{id: 7, request: `{"token":"a\"b","n":1.0,"list":[1,{"x":2}],"none":null,"big":12345678901234567890}`, on: `{"ping":3,"a":[{"b":"c"}]}`}
	const digits, id = `\d{13}`, `[0-9a-f-]{36}`
	for _, test := range []struct {
		message any
		want    string // a regular expression
	}{
		{"ping", "ping"},
		{`{"op":"subscribe","args":["{x","a}",{}]}`, `\{"op":"subscribe","args":\["\{x","a\}",\{\}\]\}`},
		{`{"t":{time_ms},"s":{time_s}}`, `\{"t":` + digits + `,"s":\d{10}\}`},
		{"{id}", "7"},
		{"{{id}}", `\{7\}`},
		{"{request.token}", `a"b`},
		{table{"a": "{request.token}", "n": "{request.n}", "list": "{request.list}", "big": "{request.big}"}, `\{"a":"a\\"b","big":12345678901234567890,"list":\[1,\{"x":2\}\],"n":1.0\}`},
		{table{"a": "x {request.token}{request.none} {request.list.1.x}"}, `\{"a":"x a\\"b 2"\}`},
		{table{"t": "{time_ms}", "u": "{uuid}", "i": "{id}", "s": "{time_s}", "text": "id {id}"}, `\{"i":7,"s":\d{10},"t":` + digits + `,"text":"id 7","u":"` + id + `"\}`},
		{table{"pong": "{on.ping}", "b": "{on.a.0.b}", "no": "{on.x}", "text": "<{on.x}>"}, `\{"b":"c","no":null,"pong":3,"text":"<>"\}`},
		{[]any{"a", int64(1), 1.5, true, []any{}, table{}}, `\["a",1,1.5,true,\[\],\{\}\]`},
		{table{"{id}": "<&>\x00\xff"}, `\{"\{id\}":"<&>\\u0000` + "\uFFFD" + `"\}`},
	} {
		message, err := parseWSMessage("m", test.message, wsScope{request: true, on: true})
		if err != nil {
			t.Errorf("%v: %v", test.message, err)
			continue
		}
		got, err := message.of(values)
		if err != nil || !regexp.MustCompile(`^`+test.want+`$`).Match(got) {
			t.Errorf("%v becomes %s (%v), want %s", test.message, got, err, test.want)
		}
	}
}

func TestWebSocketMessageErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		message any
		want    string
	}{
		{"", "m: the text is empty"},
		{5, "m: a message is a text, a table or a list"},
		{"{ids}", "m: {ids} is no reference; there are {id}"},
		{table{"a": []any{"x", "{time-ms}"}}, "m.a.1: {time-ms} is no reference"},
		{table{"a": "{on.ping}"}, "m.a: {on.ping} refers to the message that is answered"},
		{table{"a": "{request.token}"}, "m.a: {request.token} refers to the answer of auth.request"},
		{table{"a": "{request}"}, "m.a: {request} is no reference"},
		{table{"a": "{request.}"}, "m.a: {request.} is no reference"},
		{table{"a": []string{"x"}}, "m.a: a []string can't be in it"},
		{table{"a": "{x}", "b": "{y}"}, "m.a: {x} is no reference; there are {id}, {uuid}, {time_ms}, {time_s}, {request.PATH} and, in reply, {on.PATH}\nm.b: "},
	} {
		if _, err := parseWSMessage("m", test.message, wsScope{}); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%v: %v\nwant %s…", test.message, err, test.want)
		}
	}
	message, err := parseWSMessage("m", table{"a": "{request.x.y}"}, wsScope{request: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := message.of(&wsValues{request: `{}`}); err == nil || err.Error() != `the answer to auth.request has nothing at "x.y"` {
		t.Errorf("the error is %v", err)
	}
}

// Whatever a text is, it is read without a panic, and what has no reference stays as it is.
func FuzzWebSocketText(f *testing.F) {
	for _, seed := range []string{"", "{", "}", "{id}", "{{id}}", "{id", "{request.a.b}", `{"a":{time_ms}}`, "{}", "{.}", "{on.}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseWSText(text, wsScope{loose: true})
		if err != nil {
			return
		}
		for _, part := range parsed {
			if part.name != "" {
				return
			}
		}
		if got, err := parsed.fill(&wsValues{}, nil); err != nil || got != text {
			t.Errorf("%q becomes %q (%v)", text, got, err)
		}
	})
}
