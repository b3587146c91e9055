package routesfile

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

const oneChannel = `
[channels.a]
transport = "pubsub"

[[routes]]
channel = "a"
type = "*"
handler = "log"
`

func TestStandardFiles(t *testing.T) {
	dir := writeFiles(t, map[string]string{"routes.toml": oneChannel, "config/other.toml": oneChannel})
	t.Chdir(dir)
	files := func(src Source) string {
		result, err := Load(src, testKinds())
		if err != nil {
			return err.Error()
		}
		return strings.Join(result.Files, " ")
	}
	if got, want := files(Source{}), "routes.toml"; got != want {
		t.Errorf("without paths: %s, want %s", got, want)
	}
	if got, want := files(Source{Environ: []string{"SIGNALBOX_CONFIG=config"}}), "config/other.toml"; got != want {
		t.Errorf("with SIGNALBOX_CONFIG: %s, want %s", got, want)
	}
	if err := os.WriteFile("config/routes.toml", []byte(oneChannel), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := files(Source{}), "config/routes.toml"; got != want {
		t.Errorf("without paths: %s, want %s", got, want)
	}
	twice := Source{Paths: []string{"routes.toml", "./routes.toml"}}
	if got, want := files(twice), "routes.toml"; got != want {
		t.Errorf("a file named twice: %s, want %s", got, want)
	}
	t.Chdir(t.TempDir())
	if got := files(Source{}); !strings.Contains(got, "config/routes.toml") || !strings.Contains(got, "router init") {
		t.Errorf("in an empty folder: %s", got)
	}
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"big.toml": "x = 1\n" + strings.Repeat("# padding\n", maxFile/10+1), "secret.toml": ""})
	locked := filepath.Join(dir, "secret.toml")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	_, err := Load(Source{Paths: []string{filepath.Join(dir, "big.toml"), locked, os.DevNull}}, testKinds())
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"big.toml: cannot be read: it is larger than 1024 KiB", "/dev/null: cannot be read: it is no regular file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%s", want, err)
		}
	}
	if os.Getuid() != 0 && !strings.Contains(err.Error(), "secret.toml: cannot be read: permission denied") {
		t.Errorf("no permission error in:\n%s", err)
	}
}

func TestHandlerOptions(t *testing.T) {
	t.Parallel()
	made := make(chan saveOptions, 2)
	kinds := router.NewRegistry(router.Kind[saveOptions]{
		Name:     "save",
		Defaults: saveOptions{DSN: "default", Table: "events", Columns: map[string]string{"id": "id"}},
		New: func(_ router.Env, o saveOptions) (router.Handler, error) {
			made <- o
			return nil, nil
		},
	})
	dir := writeFiles(t, map[string]string{"r.toml": `
[channels.a]
transport = "pubsub"
[handlers.custom]
kind = "save"
create = "${CREATE}"
batch = "${BATCH:-7}"
columns = { price = "data.bid" }
body = { n = [1, 2.5, "${CREATE}"] }
flush = "1m"
limits = { rows = 9, size = [1, 2] }
[[routes]]
channel = "a"
type = "*"
handler = ["custom", "save"]
`})
	result, err := Load(Source{Paths: []string{dir}, Environ: []string{"CREATE=true"}}, kinds)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range result.Config.Handlers {
		if _, err := spec.New(router.Env{}); err != nil {
			t.Fatal(err)
		}
	}
	custom, plain := <-made, <-made
	if !custom.Create || custom.Batch != 7 || custom.Flush != time.Minute || custom.Limits.Rows != 9 || custom.DSN != "default" {
		t.Errorf("options: %+v", custom)
	}
	if got, want := fmt.Sprint(custom.Columns, custom.Body), "map[price:data.bid] map[n:[1 2.5 true]]"; got != want {
		t.Errorf("maps: %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(plain.Columns), "map[id:id]"; got != want {
		t.Errorf("another instance's options changed the defaults: %s", got)
	}
}

type placedOptions struct {
	Path string      `toml:"path"`
	Size router.Size `toml:"size" min:"1KB" max:"1GiB"`
	dir  string
}

func (o *placedOptions) Locate(dir string) { o.dir = dir }

func (o *placedOptions) Validate() error {
	if o.dir == "" {
		return errors.New("path: nobody said where it starts")
	}
	return nil
}

func TestOptionsKnowTheirFolder(t *testing.T) {
	t.Parallel()
	made := make(chan placedOptions, 2)
	kinds := router.NewRegistry(router.Kind[placedOptions]{Name: "place", New: func(_ router.Env, o placedOptions) (router.Handler, error) {
		made <- o
		return nil, nil
	}})
	text := "[handlers.place]\npath = \"x\"\nsize = \"1.5MB\"\n"
	dir := writeFiles(t, map[string]string{
		"a/routes.toml": "[channels.c]\ntransport = \"pubsub\"\n[[routes]]\nchannel = \"c\"\ntype = \"*\"\nhandler = \"place\"\n",
		"b/place.toml":  text, "c/place.toml": text,
	})
	var revisions []string
	for _, folder := range []string{"b", "c"} {
		result, err := Load(Source{Paths: []string{filepath.Join(dir, "a"), filepath.Join(dir, folder)}}, kinds)
		if err != nil {
			t.Fatal(err)
		}
		spec := result.Config.Handlers[0]
		if _, err := spec.New(router.Env{}); err != nil {
			t.Fatal(err)
		}
		if o := <-made; o.dir != filepath.Join(dir, folder) || o.Size != 1_500_000 {
			t.Errorf("options %+v, want the folder %s", o, folder)
		}
		revisions = append(revisions, spec.Revision)
	}
	if revisions[0] == revisions[1] {
		t.Error("the same options in another folder mean other files, and have the same revision")
	}
	// A kind that a route names without a table.
	if _, err := Load(Source{Paths: []string{filepath.Join(dir, "a")}}, kinds); err != nil {
		t.Error(err)
	}
	small := writeFiles(t, map[string]string{"p.toml": "[handlers.place]\nsize = 9\n"})
	if _, err := Load(Source{Paths: []string{small}}, kinds); err == nil || !strings.Contains(err.Error(), "size: 9 is too low; write 1KB or more") {
		t.Errorf("size = 9: %v", err)
	}
}

func TestWorkersOfAKind(t *testing.T) {
	t.Parallel()
	kinds := router.NewRegistry(router.Kind[none]{Name: "four", Workers: 4, New: nothing[none]}, router.Kind[none]{Name: "one", New: nothing[none]})
	route := func(name, more string) string {
		return "[[routes]]\nname = \"" + name + "\"\nchannel = \"c\"\ntype = \"*\"\nhandler = [\"four\", \"one\"]\n" + more
	}
	channel := "[channels.c]\ntransport = \"pubsub\"\n"
	for text, want := range map[string]string{
		channel + route("plain", "") + route("own", "workers = 2\n"):            "map[own.four:2 own.one:2 plain.four:4 plain.one:0]",
		"[defaults]\nworkers = 3\n" + channel + route("plain", "workers = 1\n"): "map[plain.four:1 plain.one:1]",
		"[defaults]\nworkers = 3\n" + channel + route("plain", ""):              "map[plain.four:3 plain.one:3]",
	} {
		result, err := Load(Source{Paths: []string{writeFiles(t, map[string]string{"r.toml": text})}}, kinds)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for _, r := range result.Config.Routes {
			got[r.Name] = r.Policy.Workers
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
}

func TestFlagsWinOverEnvironmentOverFiles(t *testing.T) {
	t.Parallel()
	text := oneChannel + "[log]\nlevel = \"debug\"\nformat = \"json\"\n"
	src := Source{Environ: []string{"SIGNALBOX_LOG__LEVEL=warn", "SIGNALBOX_LOG__FORMAT=text"}, Set: map[string]string{"log.level": "error"}}
	if got, want := mustLoad(t, text, src).Settings.Log, (Log{"error", "text"}); got != want {
		t.Errorf("log %+v, want %+v", got, want)
	}
}

func TestParseSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"0": 0, "65536": 65536, "64KiB": 65536, "1MB": 1e6, "32 MiB": 32 << 20, "1.5 mb": 1500000,
		" 2GiB ": 2 << 30, "5 B": 5, "1kb": 1000, "-1KB": -1000,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "64K", "1e3", "0x10", "1 2", "many", "1_000", "inf", "nan", "99999999999GiB", "5 % MB"} {
		if got, err := parseSize(text); err == nil {
			t.Errorf("%q is %d, want an error", text, got)
		}
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"secret": "p$w\"d\r\n", "two": "a\n\n"})
	env := map[string]string{"SET": "value", "EMPTY": "", "QUOTE": `" = ${SET}`}
	for text, want := range map[string]string{
		"plain": "plain", "${SET}": "value", "a${SET}b${SET}": "avaluebvalue", "$$": "$", "$${SET}": "${SET}", "$$$$": "$$",
		"${EMPTY}": "", "${EMPTY:-d}": "d", "${UNSET:-}": "", "${UNSET:-a:b/c?d=e}": "a:b/c?d=e", "${SET:-d}": "value",
		"${SET:?needed}": "value", "${QUOTE}": `" = ${SET}`, "${file:secret}": `p$w"d`, "${file:two}": "a\n",
		"${file:" + dir + "/secret}": `p$w"d`,
	} {
		got, err := expand(text, dir, env, false)
		if err != nil || got.text != want {
			t.Errorf("%s is %q, %v; want %q", text, got.text, err, want)
		}
		if want := strings.HasPrefix(text, "${") && strings.HasSuffix(text, "}"); got.only != want {
			t.Errorf("%s: only = %t", text, got.only)
		}
	}
	for _, text := range []string{"${UNSET}", "${EMPTY:?m}", "${UNSET:?m}", "${", "${}", "$", "$SET", "a $ b", "${SET:x}", "${9A}", "${SET", "${file:}", "${file:none}", "${file:.}"} {
		if got, err := expand(text, dir, env, false); err == nil {
			t.Errorf("%s is %q, want an error", text, got.text)
		}
	}
}

// TestReferencesAreThoseOfExpand: what is hidden of a text rests on references, and what it
// becomes on expand.
func TestReferencesAreThoseOfExpand(t *testing.T) {
	t.Parallel()
	env := map[string]string{"A": "1", "B": ""}
	parts := []string{"$", "$$", "{", "}", "${A}", "${B}", "${C:-x}", "${B:-}", "${A:?no}", "a", ":", "-", " "}
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // no secret
	read := 0
	for range 20_000 {
		var text string
		for range 1 + rnd.IntN(6) {
			text += parts[rnd.IntN(len(parts))]
		}
		want, err := expand(text, "", env, true)
		if err != nil {
			continue
		}
		read++
		var got string
		for _, part := range references(text) {
			value := env[part.variable]
			if value == "" && part.fallback != nil {
				value = *part.fallback
			}
			got += strings.ReplaceAll(part.literal, "$$", "$") + value
		}
		if got != want.text {
			t.Fatalf("%q: references make %q of it, and expand %q", text, got, want.text)
		}
	}
	if read < 1000 {
		t.Errorf("only %d texts could be read", read)
	}
}

// What a higher layer replaces need not be there.
func TestReplacedReferenceIsNotExpanded(t *testing.T) {
	t.Parallel()
	text := "[redis]\nurl = \"${NOT_SET}\"\n" + oneChannel
	if _, err := load(t, text, Source{}); err == nil || !strings.Contains(err.Error(), "NOT_SET is not set") {
		t.Errorf("without an override: %v", err)
	}
	for _, src := range []Source{
		{Set: map[string]string{"redis.url": "redis://a:1/0"}},
		{Environ: []string{"SIGNALBOX_REDIS__URL=redis://a:1/0"}},
	} {
		result, err := load(t, text, src)
		if err != nil || result.Settings.Redis.URL != "redis://a:1/0" {
			t.Errorf("%+v: %v", src, err)
		}
	}
}

// The page about tests has every key that a test may have.
func TestDocumentedTests(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []reflect.Type{reflect.TypeFor[rawTest](), reflect.TypeFor[rawSend](), reflect.TypeFor[rawExpectation]()} {
		for _, field := range fieldsOf(table) {
			if key := tagName(field); !strings.Contains(string(page), "`"+key+"`") || field.Tag.Get("doc") == "" {
				t.Errorf("key %q of %s is not in the page, or has no doc", key, table)
			}
		}
	}
	for _, word := range append(answerWords(), skipReasons()...) {
		if !strings.Contains(string(page), "`"+word+"`") {
			t.Errorf("word %q is not in the page", word)
		}
	}
}

// Tests beside a file are found however the file was named; nothing reads them unasked.
func TestTestsAreFound(t *testing.T) {
	one := "[[tests]]\nname = \"NAME\"\nsend = [{ channel = \"a\", text = \"x\" }]\nrejected = [{}]\n"
	dir := writeFiles(t, map[string]string{
		"config/routes.toml": oneChannel + strings.ReplaceAll(one, "NAME", "within"), "config/routes_test.toml": strings.ReplaceAll(one, "NAME", "beside"),
		"config/other_test.toml": strings.ReplaceAll(one, "NAME", "alone"), "config/.hidden_test.toml": "no",
	})
	t.Chdir(dir)
	for _, c := range []struct {
		src  Source
		want string
	}{
		{Source{}, ""},
		{Source{Check: true}, ""},
		{Source{Tests: true}, "within beside"},
		{Source{Tests: true, Paths: []string{"config/routes.toml"}}, "within beside"},
		{Source{Tests: true, Paths: []string{"config/routes.toml", "config/routes_test.toml"}}, "within beside"},
		{Source{Tests: true, Paths: []string{"config"}}, "within alone beside"},
		{Source{Tests: true, Environ: []string{"SIGNALBOX_CONFIG=config"}}, "within alone beside"},
		{Source{Tests: true, Sealed: true, Environ: []string{"SIGNALBOX_CONFIG=nowhere"}}, "within beside"},
	} {
		result, err := Load(c.src, testKinds())
		if err != nil {
			t.Errorf("%+v: %v", c.src, err)
			continue
		}
		var names []string
		for _, test := range result.Tests {
			names = append(names, test.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v: %q, want %q", c.src, got, c.want)
		}
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	result, err := load(t, oneChannel, Source{})
	if err != nil {
		t.Fatal(err)
	}
	if got := result.Written("a", "log").At; !strings.HasSuffix(got, "routes.toml:5") {
		t.Errorf("the route is at %q", got)
	}
	if got := result.Written("a", "other").At; got != "" {
		t.Errorf("no route is at %q", got)
	}
}
