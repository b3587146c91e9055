package source

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"signalbox/router"
)

// messages are of one key, "seq" or "seq<prev", with a ! for a snapshot.
func TestSequence(t *testing.T) {
	t.Parallel()
	plain := router.Sequence{Path: "n"}
	chained := router.Sequence{Path: "n", Previous: "p", Snapshot: "snapshot"}
	for _, c := range []struct {
		name     string
		by       router.Sequence
		messages string
		want     string // of each message: missing, "again" or "-"
	}{
		{"in order", plain, "1 2 3", "- - -"},
		{"some are missing", plain, "1 2 5 6", "- - 2 -"},
		{"the same again", plain, "1 2 2 3", "- - again -"},
		{"it begins anew", plain, "7 8 1 2", "- - - -"},
		{"numbers that are texts", plain, `"9" "10" "12"`, "- - 1"},
		{"no number says nothing", plain, "1 null 3", "- - 1"},
		{"steps", router.Sequence{Path: "n", Step: 10}, "10 20 50", "- - 2"},
		{"a step that is not whole", router.Sequence{Path: "n", Step: 10}, "10 25 26", "- 1 -"},
		{"too far to be a loss", plain, fmt.Sprint("1 ", 1+2+1<<32, " ", 4+1<<32), "- - -"},
		{"from the lowest to the highest", plain, fmt.Sprint(math.MinInt64, math.MaxInt64), "- -"},
		{"after the highest", plain, fmt.Sprint(math.MaxInt64, " 5 6"), "- - -"},
		{"each tells the one before", chained, "5<4 9<5 20<9", "- - -"},
		{"the one before is another", chained, "5<4 9<8 20<9", "- 1 -"},
		{"the same again, with the one before", chained, "5<4 9<5 9<5 20<9", "- - again -"},
		{"a snapshot begins anew", chained, "5<4 90<80! 91<90", "- - -"},
		{"a snapshot is no repetition", chained, "5<4 5<4!", "- -"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSequence(&c.by)
			var got []string
			for text := range strings.FieldsSeq(c.messages) {
				got = append(got, verdictText(s.next("k", numbered(text))))
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
		})
	}
}

// numbered is a message with a number, and perhaps the one before.
func numbered(text string) []byte {
	text, isSnapshot := strings.CutSuffix(text, "!")
	n, previous, chained := strings.Cut(text, "<")
	message := `{"n":` + n
	if chained {
		message += `,"p":` + previous
	}
	if isSnapshot {
		message += `,"snapshot":true`
	}
	return []byte(message + "}")
}

func verdictText(v verdict) string {
	switch {
	case v.again:
		return "again"
	case v.missing > 0:
		return fmt.Sprint(v.missing)
	}
	return "-"
}

// Keys are counted apart or together, and a new session begins anew only where it says so.
func TestSequenceOfKeysAndSessions(t *testing.T) {
	t.Parallel()
	each, all := newSequence(&router.Sequence{Path: "n", PerKey: true}), newSequence(&router.Sequence{Path: "n"})
	for _, step := range []struct{ key, n, each, all string }{
		{"a", "1", "-", "-"},
		{"b", "4", "-", "2"},
		{"a", "5", "3", "-"},
		{"restart", "", "", ""},
		{"a", "9", "3", "-"},
	} {
		if step.key == "restart" {
			each.restart()
			all.restart()
			continue
		}
		message := numbered(step.n)
		if got := verdictText(each.next(step.key, message)); got != step.each {
			t.Errorf("%s of %s by key: %s, want %s", step.n, step.key, got, step.each)
		}
		if got := verdictText(all.next(step.key, message)); got != step.all {
			t.Errorf("%s of %s by session: %s, want %s", step.n, step.key, got, step.all)
		}
	}
	var none *sequence
	none.restart()
	if got := verdictText(none.next("a", numbered("1"))); got != "-" {
		t.Errorf("without a sequence: %s", got)
	}
}
