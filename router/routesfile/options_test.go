package routesfile_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"signalbox/router"
	"signalbox/router/routesfile"
)

type connection struct {
	Timeout time.Duration `toml:"timeout" doc:"how long to wait"`
}

type everyOption struct {
	connection

	Table  string         `toml:"table" required:"true" doc:"where to"`
	Create *bool          `toml:"create,omitempty"`
	From   netip.Addr     `toml:"from"`
	Extra  any            `toml:"extra"`
	Sizes  []int          `toml:"sizes"`
	Labels map[string]int `toml:"labels"`
	Plain  float64
	Hidden int `toml:"-"`
	inner  int
}

// What is listed is what is decoded, embedded structs and fields without a tag included.
func TestOptionsOf(t *testing.T) {
	t.Parallel()
	create := true
	kind := router.Kind[everyOption]{Defaults: everyOption{
		connection: connection{Timeout: 1500 * time.Millisecond}, Create: &create, Sizes: []int{1, 2}, Hidden: 1, inner: 2,
	}}
	type option struct {
		name, typ, preset, doc string
		required               bool
	}
	want := []option{
		{"timeout", "duration", "1.5s", "how long to wait", false},
		{"table", "string", "", "where to", true},
		{"create", "boolean", "true", "", false},
		{"from", "string", "", "", false},
		{"extra", "any value", "", "", false},
		{"sizes", "list of numbers", "1, 2", "", false},
		{"labels", "table", "", "", false},
		{"plain", "number", "0", "", false},
	}
	var got []option
	for _, key := range routesfile.OptionsOf(kind.Info()) {
		got = append(got, option{key.Name, key.Type, key.Default, key.Doc, key.Required})
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if got := routesfile.OptionsOf(router.Kind[struct{}]{}.Info()); got != nil {
		t.Errorf("a kind without options has %v", got)
	}
	if got := routesfile.OptionsOf(router.Kind[any]{}.Info()); got != nil {
		t.Errorf("a kind whose options are no struct has %v", got)
	}
}

func ExampleOptionsOf() {
	type options struct {
		Every time.Duration `toml:"every" doc:"at most one line in this time"`
	}
	kind := router.Kind[options]{Name: "log", Defaults: options{Every: time.Second}}
	for _, o := range routesfile.OptionsOf(kind.Info()) {
		fmt.Printf("%s (%s, default %s): %s\n", o.Name, o.Type, o.Default, o.Doc)
	}
	// Output: every (duration, default 1s): at most one line in this time
}
