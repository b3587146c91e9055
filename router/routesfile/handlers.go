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
		if kind, ok := c.kindOf(n); ok {
			c.makeHandler(one, kind)
		}
	}
}

// kindOf finds the kind of a [handlers.NAME] table.
func (c *compiler) kindOf(n *node) (router.KindInfo, bool) {
	value := n.get("kind")
	if value == nil {
		kind, ok := c.kinds.Kind(n.name())
		if !ok {
			c.report.errorf(n.key, "%s: kind is missing, and %q is no kind itself; write kind = \"…\"%s", n.subject(), n.name(), didYouMean(n.name(), "kinds", c.kinds.Names()))
		}
		return kind, ok
	}
	if value.skipped {
		return router.KindInfo{}, false
	}
	name, ok := value.value.(string)
	if !ok {
		(&decoder{c.report}).notText(value)
		return router.KindInfo{}, false
	}
	kind, ok := c.kinds.Kind(name)
	if !ok {
		c.report.errorf(value.at, "%s: unknown kind %s%s", n.subject(), value.quoted(name), didYouMean(name, "kinds", c.kinds.Names()))
		if near, found := nearest.Name(name, c.kinds.Names()); found {
			c.guessOptions(n, near)
		}
	}
	return kind, ok
}

// guessOptions checks options as those of the kind that was probably meant, unless one of
// them is nothing like an option of it.
func (c *compiler) guessOptions(n *node, meant string) {
	kind, _ := c.kinds.Kind(meant)
	options := OptionsOf(kind)
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.Name
	}
	for _, option := range n.children() {
		if _, near := nearest.Name(option.name(), names); !near && option.name() != "kind" {
			return
		}
	}
	guess := &handler{node: n, options: kind.Options()}
	guess.Name, guess.Kind = n.name(), meant
	c.decodeOptions(guess)
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
		c.decodeOptions(one)
	}
	if located, ok := one.options.(interface{ Locate(dir string) }); ok {
		located.Locate(one.dir)
	}
	one.Revision = fingerprint(one.options)
	one.New = func(env router.Env) (router.Handler, error) { return kind.New(env, one.options) }
	if c.report.failures() > before || one.node.skips() {
		return // its own checks would complain of what is missing for that reason
	}
	if checked, ok := one.options.(interface{ Validate() error }); ok && !c.sealed {
		errs := joined(checked.Validate())
		for _, err := range errs {
			c.report.errorf(one.blame(err.Error()), "%s: %s%s", one.subject(), err, one.remedy())
		}
		if len(errs) > 0 {
			return
		}
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

func (c *compiler) decodeOptions(one *handler) {
	into := reflect.ValueOf(one.options)
	if into.Kind() == reflect.Pointer && into.Elem().Kind() == reflect.Struct && len(fieldsOf(into.Elem().Type())) > 0 {
		(&decoder{c.report}).table(one.node, into.Elem(), "kind")
		return
	}
	for _, child := range one.node.children() {
		if child.name() != "kind" {
			c.report.errorf(child.key, "%s: unknown option %q; kind %q has none", one.subject(), child.name(), one.Kind)
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

// blame is where an error of a handler's own check points: at the option that it
// begins with, or at the one that has the path which it begins with, if it is written.
func (h *handler) blame(message string) place {
	word, _, _ := strings.Cut(strings.ReplaceAll(message, ":", " "), " ")
	word = strings.Trim(word, `"`)
	outer, _, _ := strings.Cut(word, ".")
	for _, name := range []string{word, outer} {
		if option := h.node.get(name); option != nil {
			return option.at
		}
	}
	return h.at
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
