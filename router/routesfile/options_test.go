package routesfile_test

import (
	"fmt"
	"net/netip"
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
	want := []routesfile.Option{
		{"timeout", "duration", "1.5s", "how long to wait"},
		{"table", "string", "required", "where to"},
		{"create", "boolean", "true", ""},
		{"from", "string", "-", ""},
		{"extra", "any value", "-", ""},
		{"sizes", "list of number", "1, 2", ""},
		{"labels", "table", "-", ""},
		{"plain", "number", "0", ""},
	}
	got := routesfile.OptionsOf(kind.Info())
	if fmt.Sprint(got) != fmt.Sprint(want) {
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
