package ops

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// deed is what the program was asked to do.
type deed struct {
	what, channel, typ, data string
	n                        int
	ids                      []string
}

// recorder makes a program note what it is asked, and answer with err.
func recorder(deeds *[]deed, err error) Program {
	p := newFake().program()
	p.Dead = func(_ context.Context, channel string, n int) ([]Letter, int, error) {
		*deeds = append(*deeds, deed{what: "dead", channel: channel, n: n})
		return []Letter{{ID: "1-0", Stream: "orders.dead", Reason: "failed", At: time.UnixMilli(0).UTC(), Message: "<b>"}}, 7, err
	}
	p.Replay = func(_ context.Context, channel string, ids []string) (string, error) {
		*deeds = append(*deeds, deed{what: "replay", channel: channel, ids: ids})
		return "1 dead letter of orders replayed", err
	}
	p.Publish = func(_ context.Context, channel, typ string, data json.RawMessage) (string, error) {
		*deeds = append(*deeds, deed{what: "publish", channel: channel, typ: typ, data: string(data)})
		return "2 subscribers got it", err
	}
	return p
}

// askAPI sends a request to the API and returns its answer.
func askAPI(t *testing.T, p Program, write bool, method, path, kind, body string) (status int, text string) {
	t.Helper()
	mux := http.NewServeMux()
	newAPI(p, write).mount(mux, func(h http.Handler) http.Handler { return h })
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n")
}

func TestAPI(t *testing.T) {
	for name, tt := range map[string]struct {
		method, path, body string
		want               string
		deed               deed
	}{
		"dead": {
			"GET", "/api/dead?channel=orders&n=3", "",
			`{"letters":[{"id":"1-0","stream":"orders.dead","reason":"failed","attempts":0,"replays":0,"at":"1970-01-01T00:00:00Z","message":"\u003cb\u003e"}],"total":7}`,
			deed{what: "dead", channel: "orders", n: 3},
		},
		"replay": {
			"POST", "/api/replay", `{"channel":"orders","ids":["1-0","2-0"]}`,
			`{"result":"1 dead letter of orders replayed"}`,
			deed{what: "replay", channel: "orders", ids: []string{"1-0", "2-0"}},
		},
		"publish": {
			"POST", "/api/publish", ` {"data": {"a":1e2,"b":"ü"} , "channel":"orders","type":"enter"}`,
			`{"result":"2 subscribers got it"}`,
			deed{what: "publish", channel: "orders", typ: "enter", data: `{"a":1e2,"b":"ü"}`},
		},
		"publish nothing": {
			"POST", "/api/publish", `{"channel":"orders","type":"enter"}`,
			`{"result":"2 subscribers got it"}`,
			deed{what: "publish", channel: "orders", typ: "enter"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var deeds []deed
			status, text := askAPI(t, recorder(&deeds, nil), true, tt.method, tt.path, "application/json; charset=utf-8", tt.body)
			if status != http.StatusOK || text != tt.want {
				t.Errorf("%d %s, want %s", status, text, tt.want)
			}
			if len(deeds) != 1 || !same(deeds[0], tt.deed) {
				t.Errorf("asked %+v, want %+v", deeds, tt.deed)
			}
		})
	}
}

func same(a, b deed) bool {
	ids := slices.Equal(a.ids, b.ids)
	a.ids, b.ids = nil, nil
	return ids && a.what == b.what && a.channel == b.channel && a.typ == b.typ && a.data == b.data && a.n == b.n
}

// What is wrong with a request is told, and the program is not asked.
func TestAPIRefuses(t *testing.T) {
	const sort = "application/json"
	for name, tt := range map[string]struct {
		method, path, kind, body string
		status                   int
		want                     string
	}{
		"no channel":     {"GET", "/api/dead", "", "", 400, `name the channel whose dead letters to tell: /api/dead?channel=NAME`},
		"n is no number": {"GET", "/api/dead?channel=a&n=x", "", "", 400, `n=\"x\": want a number of dead letters from 1 to 200`},
		"n is too large": {"GET", "/api/dead?channel=a&n=201", "", "", 400, `n=\"201\": want a number of dead letters from 1 to 200`},
		"n is 0":         {"GET", "/api/dead?channel=a&n=0", "", "", 400, `n=\"0\": want a number of dead letters from 1 to 200`},
		"no kind":        {"POST", "/api/replay", "", `{}`, 415, `the body has to be JSON, and say so: Content-Type: application/json`},
		"a form":         {"POST", "/api/publish", "application/x-www-form-urlencoded", `{}`, 415, `the body has to be JSON, and say so: Content-Type: application/json`},
		"no JSON":        {"POST", "/api/replay", sort, `{"channel":`, 400, `the body has to be a JSON object with channel and ids: unexpected EOF`},
		"empty":          {"POST", "/api/replay", sort, ``, 400, `the body has to be a JSON object with channel and ids: unexpected EOF`},
		"a list":         {"POST", "/api/replay", sort, `[]`, 400, `the body has to be a JSON object with channel and ids: it is an array`},
		"wrong member":   {"POST", "/api/publish", sort, `{"channel":"a","typ":"b"}`, 400, `the body has to be a JSON object with channel, type and data: /typ is none of these`},
		"wrong case":     {"POST", "/api/publish", sort, `{"Channel":"a"}`, 400, `the body has to be a JSON object with channel, type and data: /Channel is none of these`},
		"wrong kind":     {"POST", "/api/replay", sort, `{"channel":"a","ids":[1]}`, 400, `the body has to be a JSON object with channel and ids: /ids/0 is a number`},
		"twice":          {"POST", "/api/replay", sort, `{"channel":"a","channel":"b","ids":["1-0"]}`, 400, `duplicate object member name \"channel\"`},
		"two":            {"POST", "/api/replay", sort, `{"channel":"a","ids":["1-0"]}{}`, 400, `invalid character '{' after top-level value`},
		"no UTF-8":       {"POST", "/api/replay", sort, "{\"channel\":\"\xff\",\"ids\":[\"1-0\"]}", 400, `invalid UTF-8`},
		"no ids":         {"POST", "/api/replay", sort, `{"channel":"a","ids":[]}`, 400, `ids: name the dead letters to replay; GET /api/dead tells their ids`},
		"null":           {"POST", "/api/replay", sort, `null`, 400, `ids: name the dead letters to replay; GET /api/dead tells their ids`},
		"many ids":       {"POST", "/api/replay", sort, `{"channel":"a","ids":["1-0"` + strings.Repeat(`,"1-0"`, maxLetters) + `]}`, 400, `ids: 201 are too many at a time; 200 may be replayed here, and router dead replay does them all`},
		"too large":      {"POST", "/api/publish", sort, `{"channel":"` + strings.Repeat("x", maxBody) + `"}`, 413, `the body is larger than 1048576 bytes`},
		"GET":            {"GET", "/api/publish", "", "", 405, `takes POST`},
	} {
		t.Run(name, func(t *testing.T) {
			var deeds []deed
			status, text := askAPI(t, recorder(&deeds, nil), true, tt.method, tt.path, tt.kind, tt.body)
			if status != tt.status || !strings.Contains(text, tt.want) || !strings.HasPrefix(text, `{"error":"`) {
				t.Errorf("%d %s, want %d %s", status, text, tt.status, tt.want)
			}
			if len(deeds) > 0 {
				t.Errorf("the program was asked %+v", deeds)
			}
		})
	}
}

func TestAPIWritesOnlyWhereItMay(t *testing.T) {
	for path, want := range map[string]string{
		"/api/replay":  `{"error":"nobody may replay dead letters here; [http] write = true in the configuration permits it"}`,
		"/api/publish": `{"error":"nobody may publish events here; [http] write = true in the configuration permits it"}`,
	} {
		var deeds []deed
		status, text := askAPI(t, recorder(&deeds, nil), false, "POST", path, "application/json", `{"channel":"a","ids":["1-0"]}`)
		if status != http.StatusForbidden || text != want || len(deeds) > 0 {
			t.Errorf("%d %s, want %s; did %+v", status, text, want, deeds)
		}
	}
}

func TestAPITellsErrors(t *testing.T) {
	for _, tt := range []struct {
		err    error
		status int
		want   string
	}{
		{&RequestError{errors.New(`channel "a" is not declared`)}, http.StatusBadRequest, `{"error":"channel \"a\" is not declared"}`},
		{errors.New("redis is away"), http.StatusBadGateway, `{"error":"redis is away"}`},
	} {
		for _, r := range [][3]string{
			{"GET", "/api/dead?channel=a"},
			{"POST", "/api/replay", `{"channel":"a","ids":["1-0"]}`},
			{"POST", "/api/publish", `{"channel":"a","type":"b","data":null}`},
		} {
			var deeds []deed
			status, text := askAPI(t, recorder(&deeds, tt.err), true, r[0], r[1], "application/json", r[2])
			if status != tt.status || text != tt.want || len(deeds) != 1 {
				t.Errorf("%s: %d %s, want %d %s", r[1], status, text, tt.status, tt.want)
			}
		}
	}
}

// An error says what somebody sent, and no more of it than a person reads.
func TestAPITellsShortErrors(t *testing.T) {
	long := strings.Repeat("é", 1<<18)
	var deeds []deed
	for _, r := range [][3]string{
		{"GET", "/api/dead?channel=a&n=" + long},
		{"POST", "/api/publish", `{"channel":"a","type":"b","data":null}`},
	} {
		_, text := askAPI(t, recorder(&deeds, &RequestError{errors.New(long)}), true, r[0], r[1], "application/json", r[2])
		if len(text) > 3<<10 || !strings.Contains(text, "é…") {
			t.Errorf("%s: %d bytes", r[0], len(text))
		}
	}
}

// Letters may be large: those who ask at the same time are answered one after the other.
func TestAPIReadsLettersOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newFake().program()
		reading, most := 0, 0
		p.Dead = func(context.Context, string, int) ([]Letter, int, error) {
			reading++
			most = max(most, reading)
			time.Sleep(3 * time.Second) // all at once would do so, too
			reading--
			return nil, 0, nil
		}
		a := newAPI(p, false)
		statuses := make(chan int, 5)
		for range cap(statuses) {
			go func() {
				w := httptest.NewRecorder()
				a.dead(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/dead?channel=a", nil))
				statuses <- w.Code
			}()
		}
		got := map[int]int{}
		for range cap(statuses) {
			got[<-statuses]++
		}
		if most != 1 || got[http.StatusOK] != 4 || got[http.StatusBadGateway] != 1 {
			t.Errorf("%d at a time, %v", most, got)
		}
	})
}

// Two who replay at the same time do so one after the other: both might have meant the
// same letter.
func TestAPIReplaysOneAfterTheOther(t *testing.T) {
	p := newFake().program()
	begun, end := make(chan string, 2), make(chan struct{})
	p.Replay = func(_ context.Context, channel string, _ []string) (string, error) {
		begun <- channel
		<-end
		return "done", nil
	}
	a := newAPI(p, true)
	replay := func(ctx context.Context, channel string) <-chan int {
		status := make(chan int, 1)
		go func() {
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/api/replay", strings.NewReader(`{"channel":"`+channel+`","ids":["1-0"]}`))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			a.replay(w, r)
			status <- w.Code
		}()
		return status
	}
	first := replay(t.Context(), "first")
	<-begun
	gone, leave := context.WithCancel(t.Context())
	second := replay(gone, "second")
	leave()
	<-second // who is gone does not wait, and nothing is done for him
	third := replay(t.Context(), "third")
	select {
	case who := <-begun:
		t.Errorf("%s began beside the first", who)
	case <-time.After(20 * time.Millisecond):
	}
	end <- struct{}{}
	if who := <-begun; who != "third" {
		t.Errorf("%s began", who)
	}
	end <- struct{}{}
	if a, b := <-first, <-third; a != http.StatusOK || b != http.StatusOK {
		t.Errorf("answers %d and %d", a, b)
	}
}
