package order_test

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"signalbox/router/internal/order"
)

type pair struct{ key, place int }

func TestStable(t *testing.T) {
	t.Parallel()
	list := []pair{{2, 0}, {1, 1}, {2, 2}, {0, 3}, {1, 4}}
	order.Stable(list, func(a, b *pair) int { return cmp.Compare(a.key, b.key) })
	if want := []pair{{0, 3}, {1, 1}, {1, 4}, {2, 0}, {2, 2}}; !slices.Equal(list, want) {
		t.Errorf("got %v, want %v", list, want)
	}
	order.Stable[pair](nil, nil)
}

func ExampleStable() {
	words := []string{"bb", "a", "cc"}
	order.Stable(words, func(a, b *string) int { return len(*a) - len(*b) })
	fmt.Println(words)
	// Output: [a bb cc]
}
