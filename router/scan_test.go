package router

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// values are JSON and nearly JSON.
var values = []string{
	`0`, `-0`, `7`, `-17`, `1.5`, `0.25e-7`, `1E+9`, `1e9`, `123456789012345678901234567890`,
	`00`, `01`, `-`, `+1`, `.5`, `1.`, `1.e3`, `1e`, `1e+`, `0x1`, `1_000`, `NaN`, `Infinity`, `-Infinity`,
	`""`, `"a"`, `"a\"b"`, `"\\"`, `"\/\b\f\n\r\t"`, `"\u00e9"`, `"\uD83D\uDE00"`, `"é"`, `"😀"`,
	`"`, `"a`, `"\"`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\ud83d"`, `"\ude00\ud83d"`, "\"\n\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\xff\"", "\"\xe2\x28\xa1\"", `'a'`,
	`true`, `false`, `null`, `tru`, `True`, `nul`, `nulll`, `truefalse`,
	`[]`, `[1]`, `[1,2]`, `[ 1 , [ ] ]`, `[`, `]`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `[1}`,
	`{}`, `{"a":1}`, `{"a":{"b":[{}]}}`, `{"a":1,"a":2}`, ` { "a" : 1 , "b" : 2 } `, "\t\r\n{}\n",
	`{`, `}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{a:1}`, `{"a" 1}`, `{"a":1 "b":2}`, `{"a":1]`, `{1:2}`, `{"a`, `{"a"`, `{"a":`, `{"a":1`,
	``, ` `, `{} {}`, `{}x`, "\ufeff{}", "\v{}", "{}\f", "{\u00a0}",
	strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	strings.Repeat(`{"a":`, maxDepth) + "1" + strings.Repeat("}", maxDepth),
	strings.Repeat(`{"a":`, maxDepth+1) + "1" + strings.Repeat("}", maxDepth+1),
}

// scanned checks that a scan and a parser that shares no code with it are of one mind.
func scanned(t *testing.T, text string) {
	t.Helper()
	want := jsontext.Value(text).IsValid(jsontext.AllowDuplicateNames(true)) && tooDeep([]byte(text)) < 0
	if got := newWalker(0).scan(&member{}, text); got != want {
		t.Errorf("%.200q: scanned %t, want %t", text, got, want)
	}
}

func TestScan(t *testing.T) {
	for _, text := range values {
		scanned(t, text)
		for _, around := range [][2]string{{" ", "\n"}, {"[", "]"}, {`{"a":`, "}"}, {`{"a":[0,`, `],"b":{}}`}} {
			if len(text) < maxDepth {
				scanned(t, around[0]+text+around[1])
			}
		}
	}
}

func FuzzScan(f *testing.F) {
	for _, text := range values {
		f.Add(text)
	}
	f.Add(tick)
	f.Fuzz(scanned)
}

// What a scan finds is what stands there.
func TestScanFinds(t *testing.T) {
	root, count := memberTree([slotCount]string{slotType: "type", slotID: "a.b", slotKey: "a", slotData: "data", slotSource: "ü"})
	text := ` {"x":{"type":0,"a":{"b":0}}, "type" : "t\u0061", "a":{"c":[{"b":9}],"b": -1.5e3 ,"a":0},"data":[1,"]"],"` + `\u00fc":null} `
	w := newWalker(count)
	if !w.scan(root, text) || w.twice != nil || w.whole.kind != object || w.whole.at != 1 {
		t.Fatalf("%+v", w)
	}
	for slot, want := range map[slot]found{
		slotType:   {kind: quoted, escaped: true, raw: `"t\u0061"`},
		slotID:     {kind: number, raw: "-1.5e3"},
		slotKey:    {kind: object, raw: `{"c":[{"b":9}],"b": -1.5e3 ,"a":0}`},
		slotData:   {kind: array, raw: `[1,"]"]`},
		slotSource: {kind: null, raw: "null"},
		slotTime:   {},
	} {
		got := w.slots[slot]
		if at := got.at; got.kind != missing && text[at:at+len(got.raw)] != got.raw {
			t.Errorf("slot %d: %q stands not at %d", slot, got.raw, at)
		}
		if got.at = 0; got != want {
			t.Errorf("slot %d: %+v, want %+v", slot, got, want)
		}
	}
	if got := w.slots[slotType].text(); got != "ta" {
		t.Errorf("text %q", got)
	}
	for _, text := range []string{`{"a":1,"a":2}`, `{"a":{"b":1,"b":2}}`, `{"type":"t","\u0074ype":"u"}`} {
		if !w.scan(root, text) || w.twice == nil {
			t.Errorf("%s: nothing stands twice", text)
		}
	}
	if w.scan(root, `{"a":1,"a":2,}`) {
		t.Error("what comes after a name that stands twice is not looked at")
	}
}
