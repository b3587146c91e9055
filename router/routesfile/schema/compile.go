package schema

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"signalbox/router"
)

// maxMessage is how deep a message may nest; no deeper one is an event.
const maxMessage = 1000

// Compiler compiles the schemas of one configuration. It is for one goroutine.
type Compiler struct {
	read     func(path string) ([]byte, error)
	files    map[string]*file         // read so far, by absolute path
	compiled map[string]router.Schema // by absolute path
	failed   map[string]error         // likewise
	patterns *patterns
	schemas  int // in all files so far
}

// NewCompiler returns a Compiler that gets the text of each file, once, from read.
func NewCompiler(read func(path string) ([]byte, error)) *Compiler {
	return &Compiler{
		read: read, files: map[string]*file{}, compiled: map[string]router.Schema{},
		failed: map[string]error{}, patterns: &patterns{known: map[string]jsonschema.Regexp{}},
	}
}

// Compile compiles the schema in a file. Its error is one line, which begins with the
// file and, where it is about a place in it, the line and column.
func (c *Compiler) Compile(path string) (router.Schema, error) {
	at, err := filepath.Abs(path)
	if err != nil {
		return router.Schema{}, fmt.Errorf("%s: %w", path, err)
	}
	if err := c.failed[at]; err != nil {
		return router.Schema{}, err
	}
	if done, ok := c.compiled[at]; ok {
		return done, nil
	}
	made, err := c.compile(path, at)
	if err != nil {
		c.failed[at] = err
		return router.Schema{}, err
	}
	c.compiled[at] = made
	return made, nil
}

func (c *Compiler) compile(path, at string) (made router.Schema, err error) {
	l := &loader{compiler: c, path: path, at: at}
	defer func() {
		if broken := recover(); broken != nil {
			err = fmt.Errorf("%s: not a JSON Schema: %v", path, broken)
		}
	}()
	engine := &engine{patterns: c.patterns}
	library := jsonschema.NewCompiler()
	library.DefaultDraft(jsonschema.Draft2020)
	library.AssertFormat()
	library.UseLoader(l)
	library.UseRegexpEngine(engine.compile)
	schema, err := library.Compile(urlOf(at))
	engine.patterns = nil // what a message has for a pattern is compiled, too, and not kept
	if err != nil {
		return router.Schema{}, l.explain(err)
	}
	budget, err := budgetOf(schema)
	if err != nil {
		return router.Schema{}, fmt.Errorf("%s: %w", path, err)
	}
	made.Check = (&check{schema, budget}).satisfied
	for _, f := range l.used {
		if f.at == at {
			made.Text = f.text
			continue
		}
		if made.Refs == nil {
			made.Refs = map[string][]byte{}
		}
		made.Refs[l.name(f.at)] = f.text
	}
	return made, nil
}

// check is a compiled schema.
type check struct {
	schema *jsonschema.Schema
	budget *budget
}

// satisfied says what is wrong with a message.
func (c *check) satisfied(msg []byte) (err error) {
	defer func() {
		switch broken := recover(); broken {
		case nil:
		case spent{}:
			err = errors.New("the message fits its schema in too many ways to try them all")
		default:
			err = fmt.Errorf("the message cannot be checked: %v", broken)
		}
	}()
	value, err := decode(msg, c.budget.levels())
	if err != nil {
		return err
	}
	c.budget.begin(msg)
	defer c.budget.end()
	err = c.schema.Validate(value)
	if failed, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return errors.New(explain(failed, value))
	}
	return err
}
