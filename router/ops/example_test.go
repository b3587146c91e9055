package ops_test

import (
	"fmt"
	"strings"

	"signalbox/router/ops"
)

func ExampleShownMessage() {
	text, cut := ops.ShownMessage(`{"type":"tick"}`)
	fmt.Println(text, cut)
	text, cut = ops.ShownMessage(strings.Repeat("x", 20_000))
	fmt.Println(len(text), cut)
	// Output:
	// {"type":"tick"} false
	// 16384 true
}
