package routesfile

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/internal/nearest"
)

// handler is a handler that is declared, or that a route names by its kind.
type handler struct {
	router.HandlerSpec
	node    *node  // nil without a table
	at      place  // where errors about it point
	dir     string // folder of that file
	options any    // pointer to the kind's options; nil when the kind is not known
	target  bool   // its kind works for a target that may be away
	workers int    // of its routes that don't say how many
	routed  bool   // a route that is not off uses it
	named   bool   // a route uses it
}

func (c *compiler) compileHandlers() {
	c.handlers = make(map[string]*handler, len(c.raw.Handlers))
	for _, name := range slices.Sorted(maps.Keys(c.raw.Handlers)) {
		n := c.raw.Handlers[name].node
		one := &handler{node: n, at: n.key, dir: n.dir}
		one.Name = name
		c.handlers[name] = one
		if n.table == nil {
			continue
		}
		c.report.checkName(n.key, "handler", name)
		if found, ok := c.kindOf(n, handlerKinds(c.kinds), "kind"); ok {
			kind, _ := c.kinds.Kind(found.name)
			c.makeHandler(one, kind)
		}
	}
}

// kindOf is the kind that a table such as [handlers.NAME] names, of those that there are.
// Common are the keys that are no options.
func (c *compiler) kindOf(n *node, kinds []kind, common ...string) (found kind, ok bool) {
	names := make([]string, len(kinds))
	for i, one := range kinds {
		names[i] = one.name
	}
	value := n.get("kind")
	if value == nil {
		if i := slices.Index(names, n.name()); i >= 0 {
			return kinds[i], true
		}
		c.report.errorf(n.key, "%s: kind is missing, and %q is no kind itself; write kind = \"…\"%s", n.subject(), n.name(), didYouMean(n.name(), "kinds", names))
		return kind{}, false
	}
	if value.skipped {
		return kind{}, false
	}
	name, ok := value.value.(string)
	if !ok {
		(&decoder{c.report}).notText(value)
		return kind{}, false
	}
	if i := slices.Index(names, name); i >= 0 {
		return kinds[i], true
	}
	c.report.errorf(value.at, "%s: unknown kind %s%s", n.subject(), value.quoted(name), didYouMean(name, "kinds", names))
	if near, found := nearest.Name(name, names); found {
		c.guessOptions(n, kinds[slices.Index(names, near)], common)
	}
	return kind{}, false
}

// guessOptions checks options as those of the kind that was probably meant, unless one of
// them is nothing like an option of it.
func (c *compiler) guessOptions(n *node, meant kind, common []string) {
	options := keyOfKind(Key{}, meant).Keys
	names := slices.Clone(common)
	for _, o := range options {
		names = append(names, o.Name)
	}
	for _, option := range n.children() {
		if _, near := nearest.Name(option.name(), names); !near && !slices.Contains(common, option.name()) {
			return
		}
	}
	decodeOptions(c.report, n, meant.name, meant.options(), common)
}

// handlerFor is the handler that a route names: a declared one, or a kind with its
// default options.
func (c *compiler) handlerFor(route *node, used name) *handler {
	if declared := c.handlers[used.text]; declared != nil {
		return declared
	}
	kind, ok := c.kinds.Kind(used.text)
	if !ok {
		if c.report.full() {
			c.report.errorf(used.node.at, "")
			return nil
		}
		known := slices.Concat(slices.Collect(maps.Keys(c.handlers)), c.kinds.Names())
		c.report.errorf(used.node.at, "%s: unknown handler %s%s", route.subject(), used.node.quoted(used.text), didYouMean(used.text, "handlers", slices.Compact(slices.Sorted(slices.Values(known)))))
		return nil
	}
	one := &handler{at: used.node.at, dir: used.node.dir}
	one.Name = used.text
	c.handlers[used.text] = one
	c.makeHandler(one, kind)
	return one
}

// makeHandler decodes and checks the options of a handler.
func (c *compiler) makeHandler(one *handler, kind router.KindInfo) {
	one.Kind, one.options, one.target, one.workers = kind.Name, kind.Options(), kind.Target, kind.Workers
	before := c.report.failures()
	if one.node != nil {
		decodeOptions(c.report, one.node, one.Kind, one.options, []string{"kind"})
	}
	locateOptions(one.options, one.dir)
	one.Revision = fingerprint(one.options)
	one.New = func(env router.Env) (router.Handler, error) { return kind.New(env, one.options) }
	if c.report.failures() > before || one.node.skips() {
		return // its own checks would complain of what is missing for that reason
	}
	if !c.sealed && !c.report.validate(one.options, one.node, one.at, one.subject(), one.remedy()) {
		return
	}
	if checker, ok := one.options.(interface {
		Check(ctx context.Context) (found string, err error)
	}); ok {
		one.Check = checker.Check
	}
	if publisher, ok := one.options.(interface{ PublishesTo() []string }); ok {
		one.PublishesTo = publisher.PublishesTo()
	}
}

// decodeOptions fills in options, a pointer to those of a kind, from n, the table of a
// handler or a source. Common are the keys in it that are no options.
func decodeOptions(report *report, n *node, kind string, options any, common []string) {
	into := reflect.ValueOf(options)
	if isStruct := into.Kind() == reflect.Pointer && into.Elem().Kind() == reflect.Struct; isStruct && len(fieldsOf(into.Elem().Type()))+len(common) > 1 {
		(&decoder{report}).table(n, into.Elem(), common...)
		return
	}
	for _, child := range n.children() {
		if !slices.Contains(common, child.name()) {
			report.errorf(child.key, "%s: unknown option %q; kind %q has none", n.subject(), child.name(), kind)
		}
	}
}

// joined is what errors.Join has put together, however deep, or err alone, so that each has
// its own place. What fmt.Errorf wraps is one error, with words around it.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(several.Unwrap()...).Error() {
		return []error{err}
	}
	var errs []error
	for _, one := range several.Unwrap() {
		errs = append(errs, joined(one)...)
	}
	return errs
}

// locateOptions tells options where relative paths start.
func locateOptions(options any, dir string) {
	if located, ok := options.(interface{ Locate(dir string) }); ok {
		located.Locate(dir)
	}
}

// validate reports what options say is wrong with themselves. N is the table that has them,
// nil without one, and at where errors point that are about no option.
func (r *report) validate(options any, n *node, at place, subject, remedy string) (ok bool) {
	checked, ok := options.(interface{ Validate() error })
	if !ok {
		return true
	}
	errs := joined(checked.Validate())
	for _, err := range errs {
		r.errorf(blame(n, at, err.Error()), "%s: %s%s", subject, r.masked(n, err.Error()), remedy)
	}
	return len(errs) == 0
}

// blame is where an error of options' own check points: at the option that it begins with,
// or at the one that has the path which it begins with, if it is written.
func blame(n *node, otherwise place, message string) place {
	word, _, _ := strings.Cut(strings.ReplaceAll(message, ":", " "), " ")
	word = strings.Trim(word, `"`)
	outer, _, _ := strings.Cut(word, ".")
	for _, name := range []string{word, outer} {
		if option := n.get(name); option != nil {
			return option.at
		}
	}
	return otherwise
}

// remedy says where to write what is missing when there is no table to write it in.
func (h *handler) remedy() string {
	if h.node != nil {
		return ""
	}
	return "; set its options in [handlers." + h.Name + "]"
}

func (h *handler) subject() string { return (&node{path: []string{"handlers", h.Name}}).subject() }

// checkPublishing reports handlers that publish to what is no channel with a name.
func (c *compiler) checkPublishing() {
	for _, one := range c.handlers {
		for _, target := range one.PublishesTo {
			at := one.place(target)
			to := c.channels[target]
			switch {
			case to == nil && c.report.full():
				c.report.errorf(at, "")
			case to == nil:
				c.report.errorf(at, "%s: publishes to %q, which is no declared channel%s", one.subject(), target, didYouMean(target, "channels", slices.Collect(maps.Keys(c.channels))))
			case to.Pattern:
				c.report.errorf(at, "%s: publishes to channel %q, which is the pattern %q; a message needs one name: declare a channel with name for it", one.subject(), target, to.Topic)
			}
		}
	}
}

// place is where a handler's options say text.
func (h *handler) place(text string) place {
	if h.node != nil {
		for _, option := range h.node.children() {
			if option.value == text {
				return option.at
			}
		}
	}
	return h.at
}
