package daemon

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"signalbox/config"
	"signalbox/router/routesfile"
)

// What Init writes beside the shipped routes.
var (
	//go:embed start/minimal.toml
	minimalRoutes []byte
	//go:embed start/minimal_test.toml
	minimalTests []byte
	//go:embed start/docker-compose.yml
	composeFile []byte
)

// InitOptions say what [Init] writes.
type InitOptions struct {
	Folder  string // of the project
	Command string // how the user calls this program
	Minimal bool   // one channel and one route, instead of the story of the shipped routes
	Compose bool   // a docker-compose.yml, too
}

// written is a file to begin with.
type written struct {
	name, what string
	text       []byte
}

// Init writes routes to begin with, their tests, their schema and a compose file. What is
// there stays as it is; with routes there, nothing is written.
func Init(opts Options, what InitOptions) error {
	files, err := startFiles(opts, what)
	if err != nil {
		return err
	}
	routes := filepath.Join(what.Folder, files[0].name)
	if _, err := os.Lstat(routes); err == nil {
		return fmt.Errorf("%s exists already, so nothing was written; name another folder: %s init FOLDER", routes, what.Command)
	}
	if err := os.MkdirAll(filepath.Dir(routes), 0o755); err != nil { //nolint:gosec // routes are no secret, and a container's user has to read them
		return fmt.Errorf("make the folder: %w", err)
	}
	width := len(filepath.Join(what.Folder, "config/routes.schema.json"))
	for _, f := range files {
		path := filepath.Join(what.Folder, f.name)
		verb := "wrote"
		if err := writeNew(path, f.text); errors.Is(err, fs.ErrExist) {
			verb = "kept " // it was there
		} else if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		fmt.Fprintf(opts.Stdout, "%s %-*s  %s\n", verb, width, printable(path), f.what)
	}
	_, err = fmt.Fprint(opts.Stdout, next(what))
	return err
}

// startFiles are the files to write, the routes first.
func startFiles(opts Options, what InitOptions) ([]written, error) {
	routes, tests := config.Routes, config.Tests
	if what.Minimal {
		routes, tests = minimalRoutes, minimalTests
	}
	schema, err := routesfile.Schema(opts.Kinds)
	if err != nil {
		return nil, err
	}
	files := []written{
		{"config/routes.toml", "what goes where: yours to edit", routes},
		{"config/routes_test.toml", "what it must do", tests},
		{"config/routes.schema.json", "lets editors complete and check both", schema},
	}
	if what.Compose {
		files = append(files, written{"docker-compose.yml", "Redis and the router in containers", composeFile})
	}
	return files, nil
}

// next says what to do with the files.
func next(what InitOptions) string {
	var b strings.Builder
	b.WriteString("next:\n")
	if clean := filepath.Clean(what.Folder); clean != "." {
		fmt.Fprintf(&b, "  cd %s\n", word(clean))
	}
	for _, verb := range []string{"check", "test", "run --embedded --watch"} {
		fmt.Fprintf(&b, "  %s %s\n", what.Command, verb)
	}
	return b.String()
}

// word is a path as a shell takes it for one word.
func word(path string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+:@%,", r)
	}
	if strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	if !strings.ContainsFunc(path, func(r rune) bool { return !plain(r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(printable(path), "'", `'\''`) + "'"
}

// writeNew never writes over a file that somebody wrote.
func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // the user names the folder, and it holds no secret
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(file) // half a file would be kept the next time
	}
	return err
}
