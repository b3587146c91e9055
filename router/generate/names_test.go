package generate

import (
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestNames(t *testing.T) {
	for _, test := range []struct{ text, screaming, camel string }{
		{"price_data", "PRICE_DATA", "PriceData"},
		{"order.created", "ORDER_CREATED", "OrderCreated"},
		{"orderCreated", "ORDER_CREATED", "OrderCreated"},
		{"24hrTicker", "X_24HR_TICKER", "24hrTicker"}, // in Go never the beginning of a name
		{"BTCUSDT@trade", "BTCUSDT_TRADE", "BTCUSDTTrade"},
		{"HTTPServer", "HTTPSERVER", "HTTPServer"},
		{"__init__", "INIT", "Init"},
		{"käufen", "K_UE4_UFEN", "KUE4Ufen"},
		{"注", "U6CE8", "U6CE8"},
		{"--", "X", "X"},
		{"", "X", "X"},
		{strings.Repeat("a", 100), strings.Repeat("A", 64), "A" + strings.Repeat("a", 63)},
	} {
		if got := screaming(test.text); got != test.screaming {
			t.Errorf("screaming(%q) = %s, want %s", test.text, got, test.screaming)
		}
		if got := camel(test.text); got != test.camel {
			t.Errorf("camel(%q) = %s, want %s", test.text, got, test.camel)
		}
	}
}

// Another channel may take a name away, and never gives it another meaning.
func TestDistinct(t *testing.T) {
	names := func(taken string, texts ...string) string {
		var candidates []candidate
		for _, text := range texts {
			candidates = append(candidates, candidate{screaming(text), text})
		}
		return strings.Join(distinct(candidates, taken), " ")
	}
	for _, test := range []struct{ got, want string }{
		{names("", "a.b"), "A_B"},
		{names("", "a.b", "c"), "A_B C"},
		{names("", "a.b", "a_b", "c"), "A_B_2E73 A_B_648F C"},
		{names("", "c", "a_b", "a.b"), "C A_B_648F A_B_2E73"},
		{names("", "a.b", "a_b", "a-b"), "A_B_2E73 A_B_648F A_B_D443"},
		{names("A_B", "a.b", "c"), "A_B_2E73 C"},
		// Somebody has the name with the suffix already.
		{names("", "a.b", "a_b", "a.b.2e73"), "A_B_2E7336DC A_B_648FA9B3 A_B_2E73"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
}

// FuzzNames makes names of any two texts, and literals of them.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{"tick", "order.created", "1st", "a b", "*/", `"""`, "\u2028", "注文", "\x00", "\xff", "🚀"} {
		f.Add(seed, "order_created")
	}
	identifier := regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		if a == b {
			return
		}
		names := distinct([]candidate{{screaming(a), a}, {screaming(b), b}})
		exported := distinct([]candidate{{"X" + camel(a), a}, {"X" + camel(b), b}})
		if names[0] == names[1] || exported[0] == exported[1] {
			t.Errorf("%q and %q share a name: %q, %q", a, b, names, exported)
		}
		for _, name := range names {
			if !identifier.MatchString(name) {
				t.Errorf("%q is no name", name)
			}
		}
		for _, name := range exported {
			if !token.IsIdentifier(name) || !token.IsExported(name) {
				t.Errorf("%q is no exported name of Go", name)
			}
		}
		if !utf8.ValidString(a) {
			return
		}
		for _, literal := range []string{quotePython(a), quoteScript(a)} {
			if strings.ContainsFunc(literal, func(r rune) bool { return r < ' ' || r == '\u2028' || r == '\u2029' }) {
				t.Errorf("%q has bytes that end a literal", literal)
			}
		}
		if back, err := strconv.Unquote(quotePython(a)); err != nil || back != a { // Go reads these literals as Python does
			t.Errorf("%q is written %s, which is %q: %v", a, quotePython(a), back, err)
		}
		comment := plain(a)
		if strings.ContainsAny(comment, "\r\n\u2028\u2029\u0085\u202e") || !slices.Equal(strings.Fields(comment), strings.Split(comment, " ")) && comment != "" {
			t.Errorf("%q does not stay on a line of a comment", comment)
		}
	})
}
