package routesfile

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

func (d *decoder) duration(n *node, into *time.Duration) {
	switch v := n.value.(type) {
	case string:
		duration, err := time.ParseDuration(strings.TrimSpace(v))
		if err != nil {
			d.failf(n, "want a duration, have %s; write %s", n.kind(), durationForm(n, v))
			return
		}
		*into = duration
	case int64, float64:
		d.failf(n, `a duration needs its unit: write "%vs" for seconds`, v)
	default:
		d.failf(n, `want a duration such as "5s", have %s`, n.kind())
	}
}

// size is a number of bytes: a number, or a text with a unit such as "64KiB".
type size int64

func (s *size) decodeNode(d *decoder, n *node) {
	switch v := n.value.(type) {
	case int64:
		*s = size(v)
	case string:
		bytes, err := parseSize(v)
		if err != nil {
			if meant := meantSize(v); errors.Is(err, errSize) && meant != "" && n.source == "" {
				err = fmt.Errorf("write %q", meant)
			}
			d.failf(n, "want a size, have %s; %s", n.kind(), err)
			return
		}
		*s = size(bytes)
	default:
		d.failf(n, `want a size such as "64KiB", have %s`, n.kind())
	}
}

var errSize = errors.New(`write a number of bytes, or one with B, KB, MB, GB, KiB, MiB or GiB, such as "64KiB"`)

// parseSize reads "65536", "64KiB", "1.5 MB".
func parseSize(text string) (int64, error) {
	text = strings.TrimSpace(text)
	end := strings.LastIndexAny(text, "0123456789.") + 1
	unit, ok := sizeUnit(strings.TrimSpace(text[end:]))
	number, err := strconv.ParseFloat(text[:end], 64)
	if !ok || err != nil || strings.ContainsAny(text[:end], "eExXpP_iInN") {
		return 0, errSize
	}
	if bytes := number * unit; math.Abs(bytes) < math.MaxInt64 {
		return int64(bytes), nil
	}
	return 0, errors.New("that is more than fits in a machine")
}

func sizeUnit(unit string) (float64, bool) {
	switch strings.ToLower(unit) {
	case "", "b":
		return 1, true
	case "kb":
		return 1e3, true
	case "mb":
		return 1e6, true
	case "gb":
		return 1e9, true
	case "kib":
		return 1 << 10, true
	case "mib":
		return 1 << 20, true
	case "gib":
		return 1 << 30, true
	}
	return 0, false
}

// path is a dotted path into a message, such as "data.symbol".
type path string

func (p *path) decodeNode(d *decoder, n *node) {
	text, ok := n.value.(string)
	if !ok {
		d.failf(n, `want a path such as "data.symbol", have %s`, n.kind())
		return
	}
	if text == "" || strings.HasPrefix(text, ".") || strings.HasSuffix(text, ".") || strings.Contains(text, "..") {
		d.failf(n, `%s is no path; write names with dots between them, such as "data.symbol"`, n.quoted(text))
		return
	}
	*p = path(text)
}

// splitPath is where a message keeps an array of messages: true, false or a path.
type splitPath string

// splitWhole is the splitPath of a message that is an array itself.
const splitWhole = "."

func (s *splitPath) decodeNode(d *decoder, n *node) {
	if whole, ok := n.boolean(); ok {
		if whole {
			*s = splitWhole
		}
		return
	}
	if _, ok := n.value.(string); !ok {
		d.failf(n, `want true or the path of an array such as "data.trades", have %s`, n.kind())
		return
	}
	var inner path
	inner.decodeNode(d, n)
	*s = splitPath(inner)
}

// names is one name or a list of them.
type names struct {
	all     []name
	given   bool // there is such a key, even if it could not be read
	partial bool // some were skipped
}

type name struct {
	text string
	node *node
}

func (s *names) decodeNode(d *decoder, n *node) {
	s.given = true
	list := n.list
	if text, ok := n.value.(string); ok && n.commas {
		list = splitCommas(n, text)
	}
	what := "a text"
	if list == nil {
		list, what = []*node{n}, "a text or a list of texts"
	} else if len(list) == 0 {
		d.failf(n, "the list is empty; name at least one")
	}
	seen := make(map[string]bool, len(list))
	for _, item := range list {
		text, ok := item.value.(string)
		switch {
		case item.skipped:
			s.partial = true
		case !ok:
			d.failf(item, "want %s, have %s", what, item.kind())
		case text == "":
			d.failf(item, "is empty; write a name")
		case seen[text]:
			d.failf(item, "%s is in the list twice; remove one", item.quoted(text))
		default:
			seen[text] = true
			s.all = append(s.all, name{text, item})
		}
	}
}
