package routesfile

import "reflect"

// LoadHTTP reads [http] and nothing else, for who asks the router that runs: that one
// may have been started before somebody broke the files, or with variables that are not set
// here. What is wrong elsewhere is left alone, and a file that is no TOML left out; only
// when no other says where the router listens, it is an error.
func LoadHTTP(src Source) (HTTP, error) {
	found := newReport()
	store := &nodes{}
	p := &parser{nodes: store, env: environment(src.Environ), report: found}
	var trees []map[string]any
	for _, f := range src.read(found) {
		if tree, ok := p.parse(f); ok {
			trees = append(trees, tree)
		}
	}
	broken := found.err()
	root, err := layer(store, found, trees, src)
	if err != nil {
		return HTTP{}, err
	}
	report := newReport()
	report.texts, report.widths, report.secrets = found.texts, found.widths, found.secrets
	var raw struct {
		HTTP rawHTTP `toml:"http"`
	}
	if n := root.get("http"); n != nil {
		n.tellTroubles(report)
		(&decoder{report}).value(n, reflect.ValueOf(&raw.HTTP).Elem())
	}
	set := compileHTTP(&raw.HTTP, report)
	if err := report.err(); err != nil {
		return HTTP{}, err
	}
	if set.Listen == "" {
		return set, broken
	}
	return set, nil
}
