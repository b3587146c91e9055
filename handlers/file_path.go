package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
	"unicode"

	"signalbox/router"
)

const (
	// maxName is the longest name of a file or folder that an event may make. File systems
	// take 255 bytes; the rest is for the mark of a part, ".gz" and ".tmp".
	maxName = 220
	// minValue is the shortest limit of a value: the hash of a long one, and something to
	// recognise it by.
	minValue = 2 * (1 + hashDigits)
	// hashDigits is how many hexadecimal digits stand for the part of a value that was cut.
	hashDigits = 16
)

// filePath is the path of a file with places for fields of an event: a folder that
// nothing leads out of, and a name below it.
type filePath struct {
	folder string
	name   template
	ext    string         // at the end of each name
	limit  int            // bytes of a value, escaped
	match  *regexp.Regexp // a name, with its date
}

// parseFilePath reads the option path; a relative one starts at dir.
func parseFilePath(dir, text string) (*filePath, error) {
	if text == "" {
		return nil, errors.New(`path is missing; name the file, as in path = "/audit/{channel}-{date}.jsonl"`)
	}
	parsed, err := parseTemplate(text, "date")
	if err != nil {
		return nil, fmt.Errorf("path: %w", err)
	}
	switch {
	case strings.ContainsFunc(text, unicode.IsControl):
		return nil, fmt.Errorf("path: %q has a control character", text)
	case strings.HasPrefix(text, "~/"):
		return nil, fmt.Errorf("path: %q: ~ is not a folder here; write ${HOME} for it", text)
	}
	p := &filePath{name: parsed}
	if first := &parsed.parts[0]; !first.place {
		slash := strings.LastIndexByte(first.words, '/') + 1
		p.folder, first.words = first.words[:slash], first.words[slash:]
	}
	if !filepath.IsAbs(p.folder) {
		p.folder = filepath.Join(dir, p.folder)
	}
	p.folder = filepath.Clean(p.folder)
	if err := p.measure(); err != nil {
		return nil, fmt.Errorf("path: %q: %w", text, err)
	}
	if last := parsed.parts[len(parsed.parts)-1]; !last.place {
		p.ext = path.Ext(last.words)
	}
	p.match = p.pattern()
	return p, nil
}

// measure checks the names of which the path below the folder is made, and finds out how
// long a value may be in each.
func (p *filePath) measure() error {
	names := strings.Split(p.outline(), "/")
	p.limit = maxName
	for i, name := range names {
		fixed := strings.ReplaceAll(strings.ReplaceAll(name, "\x01", ""), "\x02", time.DateOnly)
		places := strings.Count(name, "\x01")
		last := i == len(names)-1
		switch {
		case last && name == "":
			return errors.New("it names a folder; end it with the name of a file")
		case name == "" || name == "." || name == "..":
			return fmt.Errorf("%q is no name of a folder", name)
		case last && strings.Contains(fixed, partMark):
			return fmt.Errorf("the name of the file has a %s, which marks rotated files; use another character", partMark)
		case len(fixed)+places*minValue > maxName:
			return fmt.Errorf("the name %d of it may become longer than %d bytes; shorten it", i+1, maxName)
		case places > 0:
			p.limit = min(p.limit, (maxName-len(fixed))/places)
		}
	}
	return nil
}

// outline is the path below the folder with \x01 for a value and \x02 for the date.
func (p *filePath) outline() string {
	var b strings.Builder
	for _, part := range p.name.parts {
		switch {
		case part.own != "":
			b.WriteByte(2)
		case part.place:
			b.WriteByte(1)
		default:
			b.WriteString(part.words)
		}
	}
	return b.String()
}

// pattern matches the names that this path may give. The first group is the date.
func (p *filePath) pattern() *regexp.Regexp {
	var b strings.Builder
	b.WriteString("^")
	for _, part := range p.name.parts {
		switch {
		case part.own != "":
			b.WriteString(`(\d{4,}-\d\d-\d\d)`)
		case part.place:
			b.WriteString(`[^/` + partMark + `]+`)
		default:
			b.WriteString(regexp.QuoteMeta(part.words))
		}
	}
	b.WriteString("$")
	return regexp.MustCompile(b.String())
}

// dated reports whether there is a file for each day.
func (p *filePath) dated() bool { return p.match.NumSubexp() > 0 }

// depth is how many folders a name has before the name of the file.
func (p *filePath) depth() int { return strings.Count(p.outline(), "/") }

// full is a name with its folder, for people.
func (p *filePath) full(name string) string { return filepath.Join(p.folder, filepath.FromSlash(name)) }

// day returns the date in a name, or "".
func (p *filePath) day(name string) string {
	if found := p.match.FindStringSubmatch(name); len(found) > 1 {
		return found[1]
	}
	return ""
}

// of is the name below the folder of the file for an event.
func (p *filePath) of(event *router.Event) string {
	return p.name.of(event, func(own, text string) string {
		if own != "" {
			// The event's own day and not today's: an event that is late, or comes a second
			// time, goes where it belongs.
			return dayOf(event.Time)
		}
		return escapeName(text, p.limit)
	})
}

func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// escapeName makes a value fit for a part of a file name, of at most limit bytes. What is
// not an ASCII letter, a digit or one of -_.:@=, becomes %XX as in a URL, and so does a
// dot at the beginning; a missing value becomes _. A value that is too long is cut and
// has a + and its hash at the end. Different values so have different names.
func escapeName(value string, limit int) string {
	switch value {
	case "":
		return "_"
	case "_":
		return "%5F"
	}
	out := make([]byte, 0, min(len(value), limit)+3)
	cut := 0 // where it can be cut, if it has to be
	for i := 0; i < len(value) && len(out) <= limit; i++ {
		if len(out) <= limit-1-hashDigits {
			cut = len(out)
		}
		if c := value[i]; staysInName(c) && (c != '.' || i > 0) {
			out = append(out, c)
		} else {
			out = fmt.Appendf(out, "%%%02X", c)
		}
	}
	if len(out) <= limit {
		return string(out)
	}
	hash := sha256.Sum256([]byte(value))
	return string(out[:cut]) + "+" + hex.EncodeToString(hash[:])[:hashDigits]
}

func staysInName(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	case c == ':': // keys of Redis have it; on Windows it is no character of a name
		return runtime.GOOS != "windows"
	default:
		return strings.IndexByte("-_.@=,", c) >= 0
	}
}

// A part is a file that is finished: its name has a mark and the time of that before the
// extension. No value of an event has the mark, so no event is written to a part.
const (
	partMark = "~"
	partTime = "20060102T150405.000Z"
)

// part is the name of a file once it is finished.
func (p *filePath) part(name string, at time.Time) string {
	return strings.TrimSuffix(name, p.ext) + partMark + at.UTC().Format(partTime) + p.ext
}

// isPart reports whether a name is that of a part of one of our files.
func (p *filePath) isPart(name string) bool {
	at := strings.LastIndex(name, partMark)
	end := at + len(partMark+partTime)
	if at < 0 || end > len(name) || name[end:] != p.ext {
		return false
	}
	_, err := time.Parse(partTime, name[at+len(partMark):end])
	return err == nil && p.match.MatchString(name[:at]+p.ext)
}
