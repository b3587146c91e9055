package scenario

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"signalbox/router/routesfile"
)

// An expectation that asks for little gives way to those that ask for more.
func TestAssign(t *testing.T) {
	t.Parallel()
	happened := []happening{
		{list: "handled", typ: "a", id: "1"},
		{list: "handled", typ: "a", id: "2"},
		{list: "handled", typ: "b", id: "3"},
		{list: "failed", dead: true, typ: "a"},
	}
	expected := []routesfile.Expectation{
		{List: "handled"}, {List: "handled", Type: "a"}, {List: "handled", ID: "1"}, // each of the first two could have taken 1
		{List: "failed"}, {List: "dead"}, // one thing that happened is in both lists
		{List: "handled", ID: "3"}, // the first has to give way again, and there is none left
		{List: "not_handled", Type: "c"},
	}
	wishes := make([]wish, len(expected))
	for i, e := range expected {
		wishes[i].Expectation = e
	}
	met, _ := assign(t.Context(), wishes, happened)
	if got := []int{met[3], met[4]}; !slices.Equal(got, []int{3, 3}) {
		t.Errorf("failed and dead are met by %v", got)
	}
	left := 0
	for i := range 6 {
		if met[i] < 0 {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%v: %d are not met, want 1", met, left)
	}
	if failures, _ := compare(t.Context(), expected, happened); len(failures) != 1 || !strings.Contains(failures[0].Differs[0], "already") && len(failures[0].Differs) != 1 {
		t.Errorf("%+v", failures)
	}
}

func TestSubset(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ want, have, differs string }{
		{`{}`, `{"a":1}`, ``},
		{`{"a":1}`, `{"a":1.0,"b":2}`, ``},
		{`{"a":9007199254740993}`, `{"a":9007199254740993}`, ``},
		{`{"a":9007199254740993}`, `{"a":9007199254740992}`, `data.a: want 9007199254740993, have 9007199254740992`},
		{`{"a":{"b":null}}`, `{"a":{"b":null,"c":1}}`, ``},
		{`{"a":{"b":1}}`, `{"a":{}}`, `data.a.b: want 1, and there is none`},
		{`{"a":{"b":1}}`, `{"a":[1]}`, `data.a: want {"b":1}, have [1]`},
		{`{"a":[1,{"x":"<"}]}`, `{"a":[1,{"x":"<","y":1}]}`, ``},
		{`{"a":[1,2]}`, `{"a":[1,2,3]}`, `data.a: want [1,2], have [1,2,3]`},
		{`{"a":[1,2]}`, `{"a":[2,2]}`, `data.a.0: want 1, have 2`},
		{`{"a":"1"}`, `{"a":1}`, `data.a: want "1", have 1`},
		{`{"a":true,"b":"x"}`, `{"a":false,"b":"y"}`, `data.a: want true, have false; data.b: want "x", have "y"`},
		{`{"a":1}`, `7`, `data: want {"a":1}, have 7`},
		{`{"a":1}`, ``, `data: it has none`},
	} {
		if got := strings.Join(subset("data", json.RawMessage(c.want), json.RawMessage(c.have)), "; "); got != c.differs {
			t.Errorf("%s in %s: %s\nwant %s", c.want, c.have, got, c.differs)
		}
		want, _ := parse(json.RawMessage(c.want))
		if has := (&known{}).has(json.RawMessage(c.have), want); has != (c.differs == "") {
			t.Errorf("%s in %s: within is %t", c.want, c.have, has)
		}
	}
}
