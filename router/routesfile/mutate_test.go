package routesfile

import (
	"bytes"
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

var mutations = flag.Duration("mutations", time.Second, "how long to mutate good configurations")

// TestMutations damages good configurations as people do: a line lost, doubled or moved,
// a quote changed, a bracket dropped, a byte gone wrong. Whatever comes out, Load neither
// panics nor lingers, and each error lies in the file and is one that a terminal can show.
func TestMutations(t *testing.T) {
	t.Parallel()
	var good [][]byte
	for _, pattern := range []string{"testdata/good/*.toml", "testdata/odd/*.toml", "../../config/*.toml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			good = append(good, data)
		}
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	path, count := filepath.Join(t.TempDir(), "m.toml"), 0
	for deadline := time.Now().Add(*mutations); time.Now().Before(deadline); count++ {
		data := bytes.Clone(good[random.IntN(len(good))])
		for range 1 + random.IntN(3) {
			data = mutate(random, data)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err := Load(Source{Paths: []string{path}, Check: true}, testKinds())
		if took := time.Since(start); took > patience/5 {
			t.Fatalf("seed %d: took %s:\n%s", seed, took, data)
		}
		if complaint := misplaced(path, data, err); complaint != "" {
			t.Fatalf("seed %d: %s:\n%s", seed, complaint, data)
		}
	}
	t.Logf("%d configurations", count)
}

// mutate makes one change.
func mutate(random *rand.Rand, data []byte) []byte {
	lines := bytes.Split(data, []byte("\n"))
	one, other := random.IntN(len(lines)), random.IntN(len(lines))
	switch random.IntN(6) {
	case 0:
		lines = append(lines[:one:one], lines[one+1:]...)
	case 1:
		lines = append(lines[:one:one], append([][]byte{lines[other]}, lines[one:]...)...)
	case 2:
		lines[one], lines[other] = lines[other], lines[one]
	default:
		return mutateByte(random, data)
	}
	return bytes.Join(lines, []byte("\n"))
}

// mutateByte drops, doubles or replaces one character, mostly one that means something.
func mutateByte(random *rand.Rand, data []byte) []byte {
	if len(data) == 0 {
		return data
	}
	const signs = "\"'[]{}=,.#$\\\r\n\t\x00\xff"
	at := random.IntN(len(data))
	if next := bytes.IndexAny(data[at:], signs); next >= 0 && random.IntN(2) == 0 {
		at += next
	}
	others := []string{"", string(data[at]) + string(data[at]), "“", "\u00a0", "\ufeff", ":", "//", "True", signs[random.IntN(len(signs)):][:1]}
	return []byte(string(data[:at]) + others[random.IntN(len(others))] + string(data[at+1:]))
}

// misplaced is what is wrong with the place or the shape of an error of Load; empty if nothing is.
func misplaced(path string, data []byte, err error) string {
	var errs Errors
	if err != nil && !errors.As(err, &errs) {
		return "not Errors: " + err.Error()
	}
	lines := bytes.Split(data, []byte("\n"))
	for _, e := range errs {
		shown := e.Show()
		switch {
		case !strings.HasPrefix(shown, path), !utf8.ValidString(shown), strings.ContainsFunc(e.Message, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }):
			return "shown as " + shown
		case e.File != path, e.Line < 1, e.Line > len(lines), e.Message == "":
			return "not in the file: " + e.Error()
		case e.Column < 1, e.Column > utf8.RuneCount(lines[e.Line-1])+1:
			return "not in its line: " + e.Error()
		case e.Excerpt.Line != "" && e.Excerpt.Start > utf8.RuneCountInString(e.Excerpt.Line):
			return "underlined outside of its line: " + shown
		}
	}
	return ""
}
