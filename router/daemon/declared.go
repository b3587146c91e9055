package daemon

import (
	"signalbox/router/routesfile"
)

// Declared loads a configuration for what is written from it: without Redis, and with no
// variable set. A channel that depends on one which is not set is an error, since what is
// written would say something else than what runs.
func Declared(opts Options) (*routesfile.Result, error) {
	opts.Source.Check = true
	loaded, err := routesfile.Load(opts.Source, opts.Kinds)
	if err != nil {
		return nil, err
	}
	all := (&program{loaded: loaded}).declared()
	if err := lacksChannels(loaded.Notes, all); err != nil {
		return nil, err
	}
	return loaded, nil
}
