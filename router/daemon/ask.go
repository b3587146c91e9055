package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"signalbox/router/internal/wording"
)

// HealthOptions say what [AskHealth] asks.
type HealthOptions struct {
	AskOptions
	Live bool // whether it lives, not whether it is ready
}

// AskHealth asks a router that runs whether it is ready, and prints its answer on one line. Its
// error is a [PrintedError] when the router is not.
func AskHealth(ctx context.Context, opts Options, what HealthOptions) error {
	p, err := newPeer(opts, what.AskOptions)
	if errors.Is(err, errNoListener) {
		return fmt.Errorf("%w, so the router cannot be asked; write listen = \"127.0.0.1:8080\" into [http]", err)
	}
	if err != nil {
		return err
	}
	path := "readyz"
	if what.Live {
		path = "livez"
	}
	got, err := p.ask(ctx, http.MethodGet, path)
	if err != nil {
		return err
	}
	var is state
	known := got.status == http.StatusOK || got.status == http.StatusServiceUnavailable
	if json.Unmarshal(got.text, &is) != nil || !known || is.Status == "" {
		return p.strange(got)
	}
	good := got.status == http.StatusOK
	if what.JSON {
		return printAnswer(opts, got, good)
	}
	line := is.Status
	if reasons := is.texts(); len(reasons) > 0 {
		line += ": " + strings.Join(reasons, "; ")
	}
	_, err = fmt.Fprintln(opts.Stdout, printable(line))
	return unless(good, err)
}

// state is what a router says of its health.
type state struct {
	Status  string
	Reasons []struct{ Text string }
}

func (s state) texts() []string {
	texts := make([]string, len(s.Reasons))
	for i, reason := range s.Reasons {
		texts[i] = reason.Text
	}
	return texts
}

// printAnswer prints an answer as it came. One that is not good is an error.
func printAnswer(opts Options, got answered, good bool) error {
	_, err := fmt.Fprintln(opts.Stdout, escaped(strings.TrimSpace(string(got.text)), jsonEscape))
	return unless(good, err)
}

// unless is the error of an answer that was printed and is not good.
func unless(good bool, err error) error {
	if err != nil || good {
		return err
	}
	return &PrintedError{errors.New("the answer says so")}
}

// AskReload has a router that runs read its configuration again, and prints what runs then,
// or what is wrong with it.
func AskReload(ctx context.Context, opts Options, what AskOptions) error {
	p, err := newPeer(opts, what)
	if errors.Is(err, errNoListener) {
		return fmt.Errorf("%w, so the router cannot be asked; send it SIGHUP: kill -HUP and its process id", err)
	}
	if err != nil {
		return err
	}
	got, err := p.ask(ctx, http.MethodPost, "-/reload")
	switch {
	case errors.Is(err, errInterrupted):
		return err
	case err != nil:
		return fmt.Errorf("%w; SIGHUP reloads, too, also where listen was changed", err)
	}
	var is struct {
		Error, Hash string
		Routes      int
		Files       []string
	}
	err = json.Unmarshal(got.text, &is)
	done := got.status == http.StatusOK && is.Hash != ""
	refused := (got.status == http.StatusConflict || got.status == http.StatusUnprocessableEntity) && is.Error != ""
	if err != nil || !done && !refused {
		return p.strange(got)
	}
	if what.JSON {
		return printAnswer(opts, got, done)
	}
	if done {
		// The files, since it may be another router than the one that is meant.
		_, err = fmt.Fprintf(opts.Stdout, "reloaded: %s of %s, hash %s\n", wording.Count(is.Routes, "route"), printable(strings.Join(is.Files, " ")), printable(is.Hash))
		return err
	}
	const goesOn = "reload refused; the old configuration goes on"
	if got.status == http.StatusConflict {
		return fmt.Errorf("%s: %s", goesOn, is.Error)
	}
	for line := range strings.Lines(is.Error) { // as `router check` shows them
		fmt.Fprintln(opts.Stderr, printable(strings.TrimSuffix(line, "\n")))
	}
	return errors.New(goesOn)
}
