package routesfile

import (
	"maps"
	"slices"

	"signalbox/router"
)

// session makes the source for one session. What its options refer to is looked up again,
// since a token in a file may be another one by now.
func (s *source) session(env router.SourceEnv) (router.Source, error) {
	report := newReport()
	n := s.raw.node.anew(&parser{env: s.env, report: report})
	n.tellTroubles(report)
	options := s.decode(n, report, true)
	if err := report.err(); err != nil {
		return nil, err
	}
	made, err := s.kind.New(env, options)
	if err != nil {
		return nil, report.censored(n, err)
	}
	return made, nil
}

// decode makes the kind's options from n, the table of the source, and asks them, if it may,
// whether they are right.
func (s *source) decode(n *node, report *report, ask bool) any {
	options := s.kind.Options()
	before := report.failures()
	decodeOptions(report, n, s.Kind, options, sourceKeys())
	locateOptions(options, n.dir)
	if ask && report.failures() == before && !n.skips() {
		report.validate(options, n, n.key, n.subject(), "")
	}
	return options
}

// anew is n with what it refers to looked up again.
func (n *node) anew(p *parser) *node {
	fresh := *n
	if n.table != nil {
		fresh.table = make(map[string]*node, len(n.table))
		for _, key := range slices.Sorted(maps.Keys(n.table)) {
			fresh.table[key] = n.table[key].anew(p)
		}
	}
	if n.list != nil {
		fresh.list = make([]*node, len(n.list))
		for i, inner := range n.list {
			fresh.list[i] = inner.anew(p)
		}
	}
	if n.raw != "" {
		fresh.trouble, fresh.skipped, fresh.source, p.dir = nil, false, "", n.dir
		p.expand(&fresh, n.raw)
	}
	return &fresh
}

// said is what the configuration says in n. What it refers to a file for is not in it: that
// is read for each session.
func (n *node) said() any {
	switch {
	case n.table != nil:
		table := make(map[string]any, len(n.table))
		for key, child := range n.table {
			table[key] = child.said()
		}
		return table
	case n.list != nil:
		list := make([]any, len(n.list))
		for i, inner := range n.list {
			list[i] = inner.said()
		}
		return list
	case slices.ContainsFunc(references(n.raw), func(part reference) bool { return part.file != "" }):
		return []any{n.dir, n.raw}
	}
	return n.value
}

// censored is an error of a kind about n, without the secrets in it and with the verdict
// that it has.
func (r *report) censored(n *node, err error) error {
	text := r.masked(n, err.Error())
	if text == err.Error() {
		return err
	}
	return &censoredError{text, err}
}

type censoredError struct {
	text string
	err  error
}

func (e *censoredError) Error() string { return e.text }
func (e *censoredError) Unwrap() error { return e.err }
