package routesfile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

// sessions loads a text as routes.toml, with files beside it, and returns what makes sessions
// of the source "one", and what the kind was given for each.
func sessions(t *testing.T, text string, src Source, files map[string]string) (open func() (*feedOptions, error), dir string) {
	t.Helper()
	dir = writeFiles(t, files)
	if err := os.WriteFile(filepath.Join(dir, "routes.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	src.Paths = []string{filepath.Join(dir, "routes.toml")}
	var given *feedOptions
	kinds := testKinds()
	kinds.AddSources(router.SourceKind[feedOptions]{
		Name: "noted", Defaults: feedOptions{Timeout: 5 * time.Second, Ping: map[string]any{"op": "ping"}},
		New: func(env router.SourceEnv, options feedOptions) (router.Source, error) {
			given = &options
			if strings.HasPrefix(options.Auth.Token, "wrong") {
				return nil, router.Permanent(fmt.Errorf("source %q, attempt %d: no such token: %s", env.Source, env.Attempt, options.Auth.Token))
			}
			return router.SourceFunc(func(context.Context, router.Sink) error { return nil }), nil
		},
	})
	result, err := Load(src, kinds)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Config.Sources) != 1 {
		t.Fatalf("%d sources", len(result.Config.Sources))
	}
	return func() (*feedOptions, error) {
		given = nil
		_, err := result.Config.Sources[0].New(router.SourceEnv{Source: "one", Attempt: 3})
		return given, stripDir2(err, dir)
	}, dir
}

// stripDir2 keeps what an error wraps.
func stripDir2(err error, dir string) error {
	if err == nil {
		return nil
	}
	return &censoredError{strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), ""), err}
}

const sessionText = `
[channels.a]
transport = "pubsub"
[sources.one]
kind    = "noted"
channel = "a"
url     = ["wss://${HOST}/v2"]
auth    = { token = "${file:token}", message = { key = "${KEY:-none}", parts = ["${file:token}", 5] } }
`

func TestEachSessionReadsSecretsAnew(t *testing.T) {
	t.Parallel()
	environ := []string{"HOST=a.example", "SIGNALBOX_SOURCES__ONE__TIMEOUT=7s"}
	open, dir := sessions(t, sessionText, Source{Environ: environ, Set: map[string]string{"sources.one.url": "wss://flag.example,wss://b.example"}}, map[string]string{"token": "first\n"})
	for _, token := range []string{"first", "second"} {
		if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		options, err := open()
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(options.Auth, options.URL, options.Timeout, options.Ping, options.dir == dir)
		want := fmt.Sprintf("{%s map[key:none parts:[%s 5]]} [wss://flag.example wss://b.example] 7s map[op:ping] true", token, token)
		if got != want {
			t.Errorf("have %s\nwant %s", got, want)
		}
		options.Ping["op"] = "changed" // must not reach the next session
	}
}

func TestASessionThatCannotBeMadeTellsWhy(t *testing.T) {
	t.Parallel()
	open, dir := sessions(t, sessionText, Source{Environ: []string{"HOST=a.example"}}, map[string]string{"token": "first"})
	for token, want := range map[string]string{
		"":                "routes.toml:8:21: source \"one\": auth.token: file token cannot be read: no such file or directory\nroutes.toml:8:81: source \"one\": auth.message.parts, item 1: file token cannot be read: no such file or directory",
		"hunter2 hunter2": `routes.toml:8:11: source "one": auth.token: "***" has a space`,
		"wrong-hunter2":   `source "one", attempt 3: no such token: ***`,
	} {
		path := filepath.Join(dir, "token")
		err := os.Remove(path)
		if token != "" {
			err = os.WriteFile(path, []byte(token), 0o600)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		_, err = open()
		if err == nil || err.Error() != want {
			t.Errorf("with %q have %v\nwant %s", token, err, want)
		}
		if permanent := router.IsPermanent(err); permanent != strings.HasPrefix(token, "wrong") {
			t.Errorf("with %q permanent: %t", token, permanent)
		}
	}
}

// What a source says is known by its Revision; what is read for each session is not in it.
func TestRevisionsOfSources(t *testing.T) {
	t.Parallel()
	const text = "[channels.a]\ntransport = \"pubsub\"\n[sources.one]\nkind = \"feed\"\nchannel = \"a\"\nurl = [\"${URL}\"]\nauth = { token = \"${file:token}\" }\n"
	dir := t.TempDir()
	revision := func(text, url, token string) string {
		t.Helper()
		for name, content := range map[string]string{"routes.toml": text, "token": token} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		result, err := Load(Source{Paths: []string{dir}, Environ: []string{"URL=" + url}}, testKinds())
		if err != nil {
			t.Fatal(err)
		}
		return result.Config.Sources[0].Revision
	}
	first := revision(text, "wss://a.example", "1")
	if again := revision(text, "wss://a.example", "2"); again != first {
		t.Error("another token in the file changes it")
	}
	if again := revision("# a comment\n"+text, "wss://a.example", "1"); again != first {
		t.Error("a comment changes it")
	}
	for name, other := range map[string]string{
		"an option":   revision(text+"timeout = \"1s\"\n", "wss://a.example", "1"),
		"a key":       revision(text+"lease = false\n", "wss://a.example", "1"),
		"a variable":  revision(text, "wss://b.example", "1"),
		"the channel": revision(strings.Replace(text, "pubsub\"\n", "pubsub\"\nkey_field = \"data.S\"\n", 1), "wss://a.example", "1"),
	} {
		if other == first {
			t.Errorf("%s does not change it", name)
		}
	}
}

func TestAnOptionCalledAsAKeyOfEverySource(t *testing.T) {
	t.Parallel()
	type options struct {
		Lease string `toml:"lease"`
	}
	kinds := testKinds()
	kinds.AddSources(router.SourceKind[options]{Name: "clashes", New: noSource[options]})
	for name, use := range map[string]func(){
		"Keys": func() { Keys(kinds) },
		"Load": func() {
			dir := writeFiles(t, map[string]string{"r.toml": "[channels.a]\ntransport = \"pubsub\"\n[sources.clashes]\nchannel = \"a\"\n"})
			_, _ = Load(Source{Paths: []string{dir}}, kinds)
		},
	} {
		func() {
			defer func() {
				if said := fmt.Sprint(recover()); !strings.Contains(said, `kind of source "clashes" has the option "lease", which is a key of every source`) {
					t.Errorf("%s: %s", name, said)
				}
			}()
			use()
		}()
	}
}

// What an option holds that is a secret is in no error, and in no line that is shown with
// one, whatever the option is called.
func TestLiteralSecretsAreNotTold(t *testing.T) {
	t.Parallel()
	type options struct {
		Lines []string       `toml:"lines" secret:"true"`
		Times int            `toml:"times" secret:"true" max:"3"`
		Any   map[string]any `toml:"any" secret:"true"`
		Place []string       `toml:"place" secret:"url"`
		Level string         `toml:"level" secret:"true" enum:"a,b"`
	}
	kinds := testKinds()
	kinds.AddSources(router.SourceKind[options]{Name: "told", New: noSource[options]})
	for _, option := range []string{
		`lines = "hunter2"`, `lines = [["hunter2"]]`, `lines = { a = "hunter2" }`, `lines = ["hunter2", 5]`,
		`times = 43110`, `times = "hunter2"`, `any = "hunter2"`, `place = "wss://h/hunter2"`, `level = "hunter2"`,
	} {
		dir := writeFiles(t, map[string]string{"r.toml": "[channels.a]\ntransport = \"pubsub\"\n[sources.told]\nchannel = \"a\"\n" + option + "\n"})
		_, err := Load(Source{Paths: []string{dir}}, kinds)
		found, _ := errors.AsType[Errors](err)
		if said := found.Show(); strings.Contains(said, "hunter2") || strings.Contains(said, "43110") || said == "" {
			t.Errorf("%s is told as %q", option, said)
		}
	}
}

// Tests of routes read no secrets, and ask no kind of source whether its options are right.
func TestSourcesInTests(t *testing.T) {
	t.Parallel()
	result := mustLoad(t, sessionText[:strings.Index(sessionText, "kind")]+"kind = \"feed\"\nchannel = \"a\"\nauth = { token = \"${file:none}\" }\n[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = \"log\"\n", Source{Sealed: true})
	if len(result.Config.Sources) != 1 {
		t.Errorf("%d sources", len(result.Config.Sources))
	}
}
