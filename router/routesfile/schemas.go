package routesfile

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/router"
	"signalbox/router/routesfile/schema"
)

// maxSchema is the size of the largest schema file, and of those that it refers to.
const maxSchema = 1 << 20

// schemas say in which file the schema of each type is: a node for each type.
type schemas []*node

func (s *schemas) decodeNode(d *decoder, n *node) {
	if n.table == nil {
		d.failf(n, `want a table, have %s; write { TYPE = "schemas/TYPE.json" }`, n.kind())
		return
	}
	for _, child := range n.children() {
		switch path, ok := child.value.(string); {
		case child.skipped:
		case child.table != nil:
			d.failf(child, `want the path of a JSON Schema file, have a table; a type with a dot stands in quotes: { "a.b" = "schemas/a.b.json" }`)
		case !ok:
			d.failf(child, "want the path of a JSON Schema file, have %s", child.kind())
		case path == "":
			d.failf(child, "is empty; write the path of a JSON Schema file")
		default:
			*s = append(*s, child)
		}
	}
}

// schemasOf compiles the schemas of a channel whose types are known.
func (c *compiler) schemasOf(one *channel) map[string]router.Schema {
	var compiled map[string]router.Schema
	for _, n := range one.raw.Schemas {
		typ, subject := n.name(), one.raw.node.subject()
		switch {
		case c.report.full():
		case typ == "":
			c.report.errorf(n.key, "%s: schemas: the type is empty; write its name", subject)
		case strings.ContainsAny(typ, "*!"):
			c.report.errorf(n.key, "%s: schemas: %q is a pattern; write a line for each type, which may all name the same file", subject, typ)
		case strings.HasPrefix(typ, router.OwnPrefix):
			c.report.errorf(n.key, "%s: schemas: %q belongs to Signalbox, which sends it by itself; remove it", subject, typ)
		case !one.open && len(one.Types) > 0 && !slices.Contains(one.Types, typ):
			c.report.errorf(n.key, "%s: schemas: type %q is not in its types%s", subject, typ, didYouMean(typ, "types", one.Types))
		default:
			made, err := c.schemas.Compile(beside(n.dir, fmt.Sprint(n.value)))
			if err != nil {
				c.report.errorf(n.at, "%s: %s", n.label(), err)
				continue
			}
			if compiled == nil {
				compiled = map[string]router.Schema{}
			}
			compiled[typ] = made
		}
	}
	return compiled
}

// newSchemas returns a compiler that notes in result what it reads.
func newSchemas(result *Result) *schema.Compiler {
	return schema.NewCompiler(func(path string) ([]byte, error) {
		data, err := readAtMost(path, maxSchema)
		result.Schemas = append(result.Schemas, path)
		result.read.add(path, data, err)
		if err != nil {
			return nil, fmt.Errorf("cannot be read: %w", err)
		}
		return decodeText(data)
	})
}
