package ops

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/internal/browsertest"
)

func pageCopies(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	visit(p, f)
	p.Eval(`Object.defineProperty(navigator, "clipboard", { value: { writeText: async (t) => { window.copied = t; } } })`)
	tests := []struct {
		event wireEvent
		want  []string
	}{
		{wireEvent{Type: "tick", Message: `{"type":"tick", "data":{"symbol":"BTCUSDT", "price":97000.10}}`}, []string{"publish", "price_data", "tick", `{"symbol":"BTCUSDT","price":97000.10}`}},
		{wireEvent{Type: "tick", Message: `{"type":"tick","n":12345678901234567890}`}, []string{"publish", "price_data", "tick", `{"type":"tick","n":12345678901234567890}`}},
		{wireEvent{Type: "it's", Message: `{"data":{"a":"it's $(touch x) ` + "`id`" + ` \"q\" \\"}}`}, []string{"publish", "price_data", "it's", `{"a":"it's $(touch x) ` + "`id`" + ` \"q\" \\"}`}},
		{wireEvent{Type: "a\nb\x1b[31m'\\", Message: `{"data":1}`}, []string{"publish", "price_data", "a\nb\x1b[31m'\\", "1"}},
		{wireEvent{Type: "-rf", Message: `{"data":-1}`}, []string{"publish", "--", "price_data", "-rf", "-1"}},
		{wireEvent{Type: "tick", Message: "{\"data\":\"\u202etxt.\u009b31m\"}"}, []string{"publish", "price_data", "tick", `"\u202etxt.\u009b31m"`}},
		{wireEvent{Result: "rejected", Message: "hello 'you'"}, []string{"publish", "--raw", "price_data", "hello 'you'"}},
	}
	for i, tt := range tests {
		tt.event.Channel = "price_data"
		if tt.event.Result == "" {
			tt.event.Result = "handled"
			f.happen(tt.event, "prices")
		} else {
			f.happen(tt.event)
		}
		p.Click(`[data-node='["channel","price_data"]']`)
		p.Until("it is there", fmt.Sprintf(`document.querySelectorAll(".events li").length === %d`, i+1))
		p.Eval("delete window.copied")
		p.Click(".events li:first-child .row")
		p.Click(".events li:first-child .body > button")
		p.Until("it says so", browsertest.TextOf(".events li:first-child .body > button")+` === "copied"`)
		if got := inBash(t, p.Eval("window.copied")); !slices.Equal(got, tt.want) {
			t.Errorf("%s\nis in bash %q, want %q", p.Eval("window.copied"), got, tt.want)
		}
	}
	p.Eval(`(() => { navigator.clipboard.writeText = async () => { throw new Error("no"); }; document.execCommand = () => false; })()`)
	p.Click(".events li:last-child .row")
	p.Click(".events li:last-child .body > button")
	p.Until("selected, to be copied by hand", `document.activeElement.matches("textarea.copy") && String(getSelection() || document.activeElement.value.slice(document.activeElement.selectionStart, document.activeElement.selectionEnd)).startsWith("router publish price_data tick")`)
}

// inBash is what the command `router` is given by a line.
func inBash(t *testing.T, line string) []string {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	cmd := exec.CommandContext(t.Context(), bash, "-c", `router() { printf '%s\0' "$@"; }; `+line)
	cmd.Env, cmd.Dir = []string{"LC_ALL=C.UTF-8"}, t.TempDir()
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func (f *fakeRouter) bury(ids ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range ids {
		f.dead["trade_commands"] = append(f.dead["trade_commands"], Letter{
			ID: id, Stream: "trade_commands.dead", Type: "enter", Event: "c-" + id, Route: "enter", Handler: "paper_bot", Reason: "failed",
			Error: "exchange timeout", Attempts: 3, At: time.Now(), Message: `{"type":"enter","data":{}}`,
		})
	}
	n := int64(len(f.dead["trade_commands"]))
	c := f.counts.Channels["trade_commands"]
	c.Dead = &n
	f.counts.Channels["trade_commands"] = c
}

func pageReplays(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	f.config.Write = true
	f.bury("1-0", "2-0", "3-0")
	visit(p, f)
	node := `[data-node='["channel","trade_commands"]']`
	p.Until("a badge", browsertest.TextOf(node+` [data-badge=dead]`)+` === "3 dead"`)
	p.Click(node)
	p.Click("#tab-1")
	p.Until("letters", `document.querySelectorAll(".letters li").length === 3`)
	p.Until("why", `["exchange timeout", "3 attempts", "route enter", "c-1-0"].every((t) => `+browsertest.TextOf(".letters li")+`.includes(t))`)
	p.Click(".letters .replay")
	p.Until("asked first", `document.querySelector("#confirm").open`)
	if posts := f.sent(); len(posts) > 0 {
		t.Errorf("sent before it was confirmed: %q", posts)
	}
	p.Until("asked about one", browsertest.TextOf("#confirm p")+`.startsWith("It is sent to trade_commands again")`)
	p.Click("#confirm .main")
	p.Until("the result", browsertest.TextOf("#pane-1 > .note[role=status]")+` === "1 replayed. 2 dead letters of trade_commands." && document.querySelectorAll(".letters li").length === 2`)
	p.Until("focus stays beside the list", `document.activeElement.textContent === "Refresh"`)
	p.Click(".letters li:nth-child(1) input")
	p.Click(".letters li:nth-child(2) input")
	p.Click("#pane-1 .filters button + button")
	p.Until("asked about two", browsertest.TextOf("#confirm p")+`.startsWith("They are sent to trade_commands again")`)
	p.Click("#confirm .main")
	p.Until("none is left", `document.querySelectorAll(".letters li").length === 0`)
	want := []string{`/api/replay {"channel":"trade_commands","ids":["1-0"]}`, `/api/replay {"channel":"trade_commands","ids":["2-0","3-0"]}`}
	if got := f.sent(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

func pageTellsWhoseLetters(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	f.bury("1-0", "2-0")
	f.dead["trade_commands"][1].Route = "save"
	visit(p, f)
	p.Click(nodeSelector("route", "enter"))
	p.Click("#tab-1")
	p.Until("one of two", browsertest.TextOf("#pane-1 > .note[role=status]")+` === "2 dead letters of trade_commands. Of this route: 1." && document.querySelectorAll(".letters li").length === 1`)
}

func pagePublishes(t *testing.T, f *fakeRouter, p *browsertest.Tab) {
	f.config.Write = true
	visit(p, f)
	p.Click("#open-publish")
	data := func(text string) {
		p.Eval(fmt.Sprintf(`(() => { const d = document.querySelector("#publish textarea"); d.value = %s; d.dispatchEvent(new Event("input")); })()`, browsertest.Quote(text)))
	}
	data("{nonsense")
	p.Until("checked first", browsertest.TextOf("#publish-said")+`.startsWith("not JSON") && document.querySelector("#publish .main").disabled`)
	data(`{"n":12345678901234567890}`)
	p.Click("#publish .main")
	p.Until("the result", browsertest.TextOf("#publish-said")+` === "2 subscribers got it"`)
	p.Until("the button still has the focus", `document.activeElement.matches("#publish .main")`)
	want := []string{`/api/publish {"channel":"price_data","type":"tick","data":{"n":12345678901234567890}}`}
	if got := f.sent(); !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
	visit(p, f)
	p.Click("#open-publish")
	p.Until("remembered", `document.querySelector("#publish textarea").value === '{"n":12345678901234567890}'`)
}

func pageOnlyReads(_ *testing.T, f *fakeRouter, p *browsertest.Tab) {
	f.bury("1-0")
	visit(p, f)
	p.Click(`[data-node='["channel","trade_commands"]']`)
	p.Click("#tab-1")
	p.Until("a letter without a button", `document.querySelectorAll(".letters li").length === 1 && !document.querySelector(".replay, .letters input")`)
	p.Until("what would permit it", browsertest.TextOf("#pane-1")+`.includes("[http] write = true")`)
	p.Click("#open-publish")
	p.Until("what would permit it", browsertest.TextOf("#publish")+`.includes("[http] write = true") && !document.querySelector("#publish textarea")`)
}
