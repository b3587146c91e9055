package schema

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A pattern takes time in proportion to its instructions and to the text. A bound on
// those of all bounds the memory of a configuration, too.
const (
	maxPattern  = 2000    // instructions of one
	maxPatterns = 200_000 // of all
)

// patterns are those that the schemas of a configuration have.
type patterns struct {
	known map[string]jsonschema.Regexp
	size  int
}

// engine compiles the patterns of one schema. When that is compiled, it has no patterns
// any more, and may be used concurrently.
type engine struct{ patterns *patterns }

func (e *engine) compile(text string) (jsonschema.Regexp, error) {
	if e.patterns == nil {
		re, _, err := compilePattern(text)
		return re, err
	}
	if re := e.patterns.known[text]; re != nil {
		return re, nil
	}
	if e.patterns.size > maxPatterns {
		return nil, errors.New("the patterns of this configuration are too large together")
	}
	re, size, err := compilePattern(text)
	if err != nil {
		return nil, err
	}
	e.patterns.size += size
	e.patterns.known[text] = re
	return re, nil
}

func compilePattern(text string) (_ jsonschema.Regexp, size int, err error) {
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, 0, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, 0, err
	}
	if size = len(program.Inst); size > maxPattern {
		return nil, 0, fmt.Errorf("it is too large: %d steps, more than %d", size, maxPattern)
	}
	re, err := regexp.Compile(text)
	return re, size, err
}

// patternError is what is wrong with a pattern, without the pattern.
func patternError(err error) string {
	if bad, ok := errors.AsType[*syntax.Error](err); ok {
		return fmt.Sprintf("%s: %s", bad.Code, shown(bad.Expr))
	}
	return err.Error()
}
