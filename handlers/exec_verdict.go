package handlers

import (
	"errors"
	"fmt"

	"github.com/tidwall/gjson"

	"signalbox/router"
)

// execAnswer is a line of a program that may be a verdict.
type execAnswer struct {
	id    string
	named bool   // it says for which event it is
	alone bool   // it has no members but those of a verdict
	ok    bool   // the event is done
	text  string // else, why not
	wrong string // why the line is not understood
	// retrying cannot mend it; the target is away
	permanent, unavailable bool
}

// parseAnswer reads a line. It reports false for what is no JSON object with ok or error
// in it: that is the program's own output.
func parseAnswer(line []byte) (a execAnswer, is bool) {
	if len(line) < len(`{"ok":1}`) || line[0] != '{' || !gjson.ValidBytes(line) {
		return execAnswer{}, false
	}
	a.alone = true
	said, failed := false, false
	gjson.ParseBytes(line).ForEach(func(name, value gjson.Result) bool {
		switch name.Str {
		case "id":
			a.named = value.Type != gjson.Null
			a.id = value.String() // of a number its digits, as it is written
			if value.Type == gjson.Number {
				a.id = value.Raw
			}
		case "ok":
			is = true
			said, a.ok = true, value.Type == gjson.True
			a.expect(value.IsBool(), "ok is not true or false")
		case "error":
			is = true
			if value.Type == gjson.Null || value.Type == gjson.String && value.Str == "" {
				break // no error, as many programs write it
			}
			failed, a.text = true, value.String()
			a.expect(value.Type == gjson.String, "error is not a text")
		case "permanent":
			a.permanent = value.Type == gjson.True
			a.expect(value.IsBool() || value.Type == gjson.Null, "permanent is not true or false")
		case "unavailable":
			a.unavailable = value.Type == gjson.True
			a.expect(value.IsBool() || value.Type == gjson.Null, "unavailable is not true or false")
		default:
			a.alone = false
		}
		return true
	})
	a.expect(!a.permanent || !a.unavailable, "it is both permanent and unavailable")
	a.expect(!a.ok || !failed, "it has ok and an error")
	a.expect(said || failed, "it has neither ok nor an error")
	a.ok = a.ok && a.wrong == ""
	return a, is
}

// expect notes the first thing that is wrong.
func (a *execAnswer) expect(right bool, wrong string) {
	if !right && a.wrong == "" {
		a.wrong = wrong
	}
}

// verdict is what the answer says of an event.
func (a *execAnswer) verdict(hide execSecrets) error {
	switch {
	case a.wrong != "":
		return fmt.Errorf("the program's verdict is not understood: %s", a.wrong)
	case a.ok:
		return nil
	case a.text == "":
		a.text = "the program says that it failed, and not why"
	}
	err := errors.New(oneLine(hide.in(a.text)))
	switch {
	case a.permanent:
		return router.Permanent(err)
	case a.unavailable:
		return router.Unavailable(err, 0)
	default:
		return err
	}
}

// cutShort is the verdict on an event whose attempt ended: its time was over, or the
// router's.
type cutShort struct {
	text  string
	cause error // of the context
}

func (e *cutShort) Error() string { return e.text }
func (e *cutShort) Unwrap() error { return e.cause }
