package nearest_test

import (
	"fmt"
	"strings"
	"testing"

	"signalbox/router/internal/nearest"
)

func TestName(t *testing.T) {
	long := strings.Repeat("a", 65)
	for _, test := range []struct {
		name  string
		valid []string
		want  string
	}{
		{"lgo", []string{"drop", "log", "publish"}, "log"},                                    // a swap is one step
		{"loog", []string{"drop", "log", "publish"}, "log"},                                   // one too many
		{"price_dat", []string{"bot_status", "price_data"}, "price_data"},                     // one too few
		{"Price_Data", []string{"bot_status", "price_data"}, "price_data"},                    // case is free
		{"prize-data", []string{"bot_status", "price_data"}, "price_data"},                    // two of ten
		{"orders", []string{"order", "orderz", "bestellung"}, "order"},                        // equally near: the first
		{"orders", []string{"orders.new", "orders"}, "orders"},                                // the same is nearest
		{"ab", []string{"cd"}, ""},                                                            // short names: one step
		{"ab", []string{"cb"}, "cb"},                                                          //
		{"", []string{"x", "xy"}, ""},                                                         //
		{"quotes", []string{"price_data"}, ""},                                                // nothing is near
		{"quotes", nil, ""},                                                                   //
		{long, []string{long}, ""},                                                            // too long to compare
		{"short", []string{long, "shor"}, "shor"},                                             //
		{strings.Repeat("b", 64), []string{strings.Repeat("b", 63)}, strings.Repeat("b", 63)}, //
	} {
		got, ok := nearest.Name(test.name, test.valid)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("Name(%q, %q) is %q, %v; want %q", test.name, test.valid, got, ok, test.want)
		}
	}
}

func ExampleName() {
	if name, ok := nearest.Name("trade_comands", []string{"price_data", "trade_commands"}); ok {
		fmt.Printf("did you mean %q?\n", name)
	}
	// Output: did you mean "trade_commands"?
}
