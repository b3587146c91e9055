package routesfile

import (
	"cmp"
	"reflect"
	"time"

	"signalbox/router"
)

// rawDedupe is what a route says under dedupe: a window, or a table with it.
type rawDedupe struct {
	located
	Window time.Duration `toml:"window" required:"true" min:"1s" max:"720h" doc:"how long an event that was handled is remembered"`
	By     string        `toml:"by" enum:"id,key" otherwise:"id" doc:"what makes two events the same: id or key"`
}

func (r *rawDedupe) decodeNode(d *decoder, n *node) {
	r.locate(n)
	if n.table == nil {
		window, _ := reflect.TypeFor[rawDedupe]().FieldByName("Window")
		d.field(n, reflect.ValueOf(&r.Window).Elem(), window)
		return
	}
	d.table(n, reflect.ValueOf(r).Elem())
	if n.get("window") == nil {
		d.failf(n, `window is missing; write { window = "10m" }`)
	}
}

// dedupeOf is a route's deduplication. By key it needs channels that have keys: without
// one, each event goes by its id, which is not what was asked for.
func (e *expander) dedupeOf(raw *rawRoute, channels []*channel) router.DedupePolicy {
	if raw.Dedupe == nil {
		return router.DedupePolicy{}
	}
	by := router.DedupeBy(cmp.Or(raw.Dedupe.By, string(router.DedupeByID)))
	for _, one := range channels {
		keyless := one.Fields.Key == "" && !one.Fields.KeyFromName && one.raw.node != nil && !one.raw.node.written("key_field")
		if by == router.DedupeByKey && keyless {
			e.report.errorf(raw.Dedupe.node.place("by"), `%s: by = "key", but the events of channel %q have no key; give it a key_field`, raw.Dedupe.node.label(), one.Name)
		}
	}
	return router.DedupePolicy{Window: raw.Dedupe.Window, By: by}
}

// checkDedupeNames finds routes whose default names depend on their order. What a
// route has handled is remembered by its name: with another name, all is handled again.
func (e *expander) checkDedupeNames() {
	reported := make(map[*rawRoute]bool)
	for _, r := range e.routes {
		if r.raw.Dedupe == nil || r.raw.Name != "" || e.unnamed[[2]string{r.Channel, r.Handler}] < 2 || reported[r.raw] {
			continue
		}
		reported[r.raw] = true
		e.report.errorf(r.raw.node.place("dedupe"), "%s: dedupe needs a name here: channel %q has several routes to handler %q, and which of them is called %q depends on their order; write name = \"…\"",
			r.raw.node.subject(), r.Channel, r.Handler, r.Name)
	}
}
