package router

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

type logOptions struct {
	Level   string            `toml:"level"`
	Fields  []string          `toml:"fields"`
	Headers map[string]string `toml:"headers"`
	Nested  struct{ List []int }
	Limit   *int
}

func logKind(name string) Kind[logOptions] {
	limit := 7
	k := Kind[logOptions]{Name: name, Doc: "Logs.", Defaults: logOptions{
		Level: "info", Fields: []string{"id", "type"}, Headers: map[string]string{"a": "b"}, Limit: &limit,
	}}
	k.Defaults.Nested.List = []int{1, 2}
	k.New = func(_ Env, o logOptions) (Handler, error) {
		return HandlerFunc(func(context.Context, *Event) error { return fmt.Errorf("level %s", o.Level) }), nil
	}
	return k
}

// The options of one instance are no other's: a TOML decoder fills slices and maps in place.
func TestKindOptionsAreCopies(t *testing.T) {
	info := logKind("log").Info()
	first := info.Options().(*logOptions)
	first.Level = "debug"
	first.Fields = append(first.Fields[:0], "time")
	first.Headers["x"] = "y"
	first.Nested.List[0] = 9
	*first.Limit = 8
	second := info.Options().(*logOptions)
	if second.Level != "info" || strings.Join(second.Fields, " ") != "id type" || len(second.Headers) != 1 || second.Nested.List[0] != 1 || *second.Limit != 7 {
		t.Errorf("the second instance begins with %+v, limit %d", second, *second.Limit)
	}
}

func TestKindWithoutOptions(t *testing.T) {
	if _, ok := (Kind[struct{}]{}).Info().Options().(*struct{}); !ok {
		t.Error("struct{}")
	}
	if _, ok := (Kind[any]{}).Info().Options().(*any); !ok {
		t.Error("any")
	}
}

func TestKindMakesHandlers(t *testing.T) {
	info := logKind("log").Info()
	options := info.Options().(*logOptions)
	options.Level = "warn"
	h, err := info.New(Env{}, options)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Handle(context.Background(), nil); err.Error() != "level warn" {
		t.Error(err)
	}
	if _, err := info.New(Env{}, logOptions{}); err == nil || !strings.Contains(err.Error(), `kind "log": options are router.logOptions, want *router.logOptions`) {
		t.Errorf("wrong options: %v", err)
	}
}

func TestRegistry(t *testing.T) {
	r := NewRegistry(logKind("b"), logKind("a"))
	r.Add(logKind("c"))
	if got := fmt.Sprint(r.Names()); got != "[a b c]" {
		t.Error(got)
	}
	if k, ok := r.Kind("a"); !ok || k.Name != "a" || k.Doc != "Logs." {
		t.Errorf("%+v", k)
	}
	if _, ok := r.Kind("z"); ok {
		t.Error("there is a z")
	}
	var zero Registry
	zero.Add(logKind("a"))
	if len(zero.Names()) != 1 {
		t.Error("the zero registry is of no use")
	}
	defer func() {
		if got := fmt.Sprint(recover()); got != `router: kind "a" is registered twice` {
			t.Error(got)
		}
	}()
	r.Add(logKind("d"), logKind("a"))
}
