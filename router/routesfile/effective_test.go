package routesfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"signalbox/router"
)

// callOptions are those of a kind whose author says what is a secret.
type callOptions struct {
	URL     string            `toml:"url" secret:"url"`
	Code    string            `toml:"code" secret:"true"`
	Key     string            `toml:"key" secret:"false"`
	Headers map[string]string `toml:"headers" secret:"true"`
	Env     map[string]string `toml:"env"`
	Args    []string          `toml:"args"`
	DSN     string            `toml:"dsn"`
	Where   string            `toml:"where"`
	Retries int               `toml:"retries"`
	APIKey  string            `toml:"api_key"`
	Body    map[string]any    `toml:"body"`
	Peers   []struct {
		Name string `toml:"name"`
		Code string `toml:"code" secret:"true"`
	} `toml:"peers"`
	Inner struct {
		Code string `toml:"code" secret:"true"`
	} `toml:"inner"`
	Preset string `toml:"preset" secret:"true"`
}

// effective loads one text as routes.toml and prints what is in force as key = text # where,
// without the folder.
func effective(t testing.TB, text string, src Source) (lines []string, all *Effective) {
	t.Helper()
	dir := writeFiles(t, map[string]string{"routes.toml": text, "secret": "hunter2-of-file\n"})
	src.Paths = []string{filepath.Join(dir, "routes.toml")}
	kinds := testKinds()
	kinds.Add(router.Kind[callOptions]{Name: "call", Workers: 4, Defaults: callOptions{Where: "here", Retries: 2, Preset: "hunter2"}, New: nothing[callOptions]})
	all, err := LoadEffective(src, kinds)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range all.Tables {
		lines = append(lines, fmt.Sprintf("%s # %s", table.Header(), table.Where))
		for _, v := range table.Values {
			line := fmt.Sprintf("%s = %s # %s", v.Key, v.Text, v.Where)
			for _, more := range []string{v.From, v.Reference, strings.Join(v.Unset, " ")} {
				if more != "" {
					line += " | " + more
				}
			}
			if v.Secret {
				line += " | secret"
			}
			lines = append(lines, line)
		}
	}
	for i := range lines {
		lines[i] = strings.TrimSuffix(strings.ReplaceAll(lines[i], dir+string(filepath.Separator), ""), " # ")
	}
	return lines, all
}

const effectiveText = `
[redis]
url = "${URL:-redis://me:hunter2@redis:6379/1}"

[defaults]
timeout = "5s"
retry = { attempts = 3 }

[channels.orders]
transport = "stream"
max_len = 10
types = ["enter", "exit"]
dead_letter = "kept"

[channels.kept]
transport = "stream"

[channels."b.c"]
transport = "pubsub"
name = "${B}:prices"
queue = 100

[handlers.hook]
kind = "call"
url = "https://hooks.example.com/services/T0/hunter2"

[[routes]]
channel = ["orders", "b.c"]
type = "*"
handler = ["hook", "log"]
timeout = "1m"
isolated = true

[[routes]]
name = "off"
channel = "orders"
type = "exit"
handler = "log"
enabled = false

[[routes]]
name = "once"
channel = "orders"
type = ["enter", "!exit"]
when = 'event.key == "a" && event.data.n > 1'
handler = "drop"
dedupe = { window = "10m", by = "id" }
dead_letter = false
workers = 2
`

func TestEffective(t *testing.T) {
	lines, all := effective(t, effectiveText, Source{
		Environ: []string{"B=bb", "SIGNALBOX_CHANNELS__ORDERS__TYPES=enter,exit", "SIGNALBOX_DEFAULTS__RETRY__BACKOFF=1s", "SIGNALBOX_CHANNELS__ORDERS__MAX_LEN=20"},
		Set:     map[string]string{"log.level": "warn"},
	})
	got := strings.Join(lines, "\n") + "\n"
	golden := filepath.Join("testdata", "effective.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(all.Off) != 1 || !strings.HasSuffix(all.Off[0], "routes.toml:34:3") {
		t.Errorf("off: %q", all.Off)
	}
}

// TestEffectiveUnset looks at a check without the variables: references stand for values.
func TestEffectiveUnset(t *testing.T) {
	lines, all := effective(t, `
[redis]
url = "redis://${HOST}/0"
password = "${file:nowhere}"
[channels.a]
transport = "pubsub"
types = ["${T}", "b"]
[handlers.x]
kind = "${KIND}"
token = "hunter2"
note = "n"
[[routes]]
channel = "a"
type = "*"
handler = "log"
timeout = "${TIMEOUT}"
[[routes]]
channel = "a"
type = "${T}"
handler = "log"
`, Source{Check: true})
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		`url = "redis://${HOST}/0" # routes.toml:3:7 | redis://${HOST}/0 | HOST`,
		`password = "***" # routes.toml:4:12 | ${file:nowhere} | file nowhere | secret`,
		`types = ["${T}", "b"] # routes.toml:7:9 | T`,
		`kind = "${KIND}" # routes.toml:9:8 | ${KIND} | KIND`,
		`token = "***" # routes.toml:10:9 | secret`,
		`note = "n" # routes.toml:11:8`,
		`timeout = "${TIMEOUT}" # routes.toml:16:11 | ${TIMEOUT} | TIMEOUT`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
	if len(all.Unknown) != 1 || !strings.HasSuffix(all.Unknown[0], "routes.toml:17:3") || len(all.Notes) < 5 {
		t.Errorf("unknown %q, notes %v", all.Unknown, all.Notes)
	}
}

// TestNoSecretIsEffective writes secrets wherever people write them. Each has hunter2 in it.
func TestNoSecretIsEffective(t *testing.T) {
	const key = "hunter2Zk41mQ9xV7bT" // as a machine makes one
	environ := []string{
		"API_KEY=hunter2", "DB=postgres://u:hunter2@h/db", "DB_PASSWORD=hunter2", "SLACK_WEBHOOK=https://hooks.example.com/hunter2",
		"ODD=redis://:hun/ter?2#hunter2@h:1/0", "X1=hunter2Zk41mQ9xV7bT", "NAME=me", "GREETING=hello",
	}
	overrides := append(slices.Clone(environ), "SIGNALBOX_HANDLERS__OVER__API_KEY=hunter2", "SIGNALBOX_HANDLERS__OVER__ENV__TOKEN=hunter2")
	for _, option := range []string{
		`api_key = "hunter2"`,
		`code = "hunter2"`,
		`url = "https://u:hunter2@h/x"`,
		`url = "https://h/hunter2?a=hunter2#hunter2"`,
		`url = "https://h?hunter2"`,
		`url = "hunter2"`,
		`url = "https://${API_KEY}@h/"`,
		`headers = { X-Anything = "hunter2" }`,
		`headers = { X = "${GREETING} hunter2" }`,
		`env = { TOKEN = "hunter2", MY_KEY = "hunter2", A = "${API_KEY}", pgPassword = "hunter2", NESTED = "a=b password=hunter2 c" }`,
		`env = { HOOK = "${SLACK_WEBHOOK}", H2 = "https://hooks.example.com/services/T1/B2/hunter2", ODD = "${ODD}" }`,
		`args = ["prog", "--token", "hunter2", "--password=hunter2", "-H", "Authorization: Bearer hunter2", "${DB}", "x:hunter2@h"]`,
		`args = ["` + key + `", "ghp_` + key + `", "0b9c4f8e-1111-4222-8333-123451234512", "${X1}"]`,
		`args = ["curl", "-u", "bob:hunter2@x", "sh -c 'mysql --password hunter2'"]`,
		`dsn = "postgres://u:hunter2@h/db?sslmode=disable"`,
		`dsn = "postgres://u:hunter2@x@h/db"`,
		`dsn = "postgres://hunter2@x:y@h/db"`,
		`dsn = "postgres://h/db?user=u&password=hunter2&sslmode=disable"`,
		`dsn = "postgres://h/db?pass%77ord=hunter2"`,
		`dsn = "host=h user=u password=hunter2 dbname=d"`,
		`dsn = "host=h password = 'hunter2 \\' hunter2' dbname=d"`,
		`dsn = "host=h sslpassword=hunter2"`,
		`dsn = "Server=h;Password=a;hunter2;Database=d"`,
		`dsn = "u:hunter2@tcp(h:3306)/db"`,
		`dsn = "postgres://u:${DB_PASSWORD}@h/db"`,
		`dsn = "postgres://u:hunter2${NAME}@h/db"`,
		`dsn = "${NONE:-postgres://u:hunter2@h/db}"`,
		`dsn = "${NONE:-host=h password=hunter2}"`,
		`dsn = "${DB}"`,
		`dsn = "${file:secret}"`,
		`dsn = "sqlite:${file:secret}"`,
		`where = """-----BEGIN PRIVATE KEY-----\nhunter2"""`,
		`where = '{"password": "hunter2", "a": 1}'`,
		`where = "token: hunter2"`,
		`where = "Basic hunter2"`,
		`where = "mongodb+srv://u:hunter2@h/?x=1"`,
		`where = "https://api.example.com/v1/x?key=hunter2"`,
		`body = { a = { secret = "hunter2", list = [ { token = "hunter2" } ] }, pin = 12345 }`,
		`body = { text = "${X1}" }`,
		`peers = [ { name = "a", code = "hunter2" } ]`,
		`inner = { code = "hunter2" }`,
		`dsn = "postgres://h/db?password=a@hunter2"`,
		`dsn = "u:p@tcp(h)/db?password=a@hunter2"`,
		`where = "https://u:hunter2/x@h/"`,
		`where = "https://u:x/hunter2@h/"`,
		`where = "https://h/x?k=a@hunter2"`,
	} {
		lines, all := effective(t, "[channels.a]\ntransport=\"pubsub\"\n[handlers.over]\nkind=\"call\"\n[handlers.x]\nkind = \"call\"\n"+option+"\n"+
			"[[routes]]\nchannel=\"a\"\ntype=\"*\"\nhandler=[\"x\", \"over\"]\nwhen='event.data.token == \"hunter2\"'\n", Source{Environ: overrides})
		text := strings.Join(lines, "\n") + fmt.Sprint(all)
		for _, bad := range []string{"hunter2", "12345"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s:\n%s", option, strings.Join(lines, "\n"))
				break
			}
		}
	}
	for _, redis := range []string{
		`url = "redis://me:hunter2@h:1/0"`, `url = "redis://:hunter2@h:1/0"`, `password = "hunter2"`, `password = "${NAME}hunter2"`,
		`url = "${R:-redis://:hunter2@h:1/0}"`, `url = "redis://:${file:secret}@h:1/0"`, `username = "${DB_PASSWORD}"`,
	} {
		lines, all := effective(t, "[redis]\n"+redis+"\n[channels.a]\ntransport=\"stream\"\n[[routes]]\nchannel=\"a\"\ntype=\"*\"\nhandler=\"log\"", Source{Environ: environ})
		if text := strings.Join(lines, "\n") + fmt.Sprint(all); strings.Contains(text, "hunter2") {
			t.Errorf("%s:\n%s", redis, strings.Join(lines, "\n"))
		}
	}
	// What follows from a name that is a secret is one, too.
	lines, all := effective(t, "[service]\nname = \"${API_KEY}\"\n[channels.a]\ntransport=\"stream\"\n[[routes]]\nchannel=\"a\"\ntype=\"*\"\nhandler=\"log\"\nisolated=true\n[[routes]]\nname=\"${API_KEY}\"\nchannel=\"a\"\ntype=\"*\"\nhandler=\"log\"\nisolated=true", Source{Environ: environ})
	if text := strings.Join(lines, "\n") + fmt.Sprint(all); strings.Contains(text, "hunter2") {
		t.Errorf("service:\n%s", strings.Join(lines, "\n"))
	}
}

// TestEffectiveShows is about what is no secret, and would be missed.
func TestEffectiveShows(t *testing.T) {
	lines, _ := effective(t, `
[redis]
url = "rediss://me:pw@redis.example.com:6379/2"
[channels.a]
transport = "pubsub"
key_field = "data.symbol"
[handlers.x]
kind = "call"
url = "https://hooks.example.com:8443"
key = "data.symbol"
env = { BOT = "${BOT}", LEVEL = "info" }
args = ["python3", "bot.py", "--bot", "momentum-1", "/srv/bots/momentum-1/main.py"]
dsn = "postgres://u:pw@db.example.com:5432/events?sslmode=require"
where = "https://api.example.com/v1/orders"
body = { text = "{data.symbol} at {time}", n = 1, f = 1.0, when = 2026-01-02, on = true }
retries = "${N:-7}"
[[routes]]
channel = "a"
type = "*"
when = 'event.key == "BTC" && event.data.price > 1'
handler = "x"
`, Source{Environ: []string{"BOT=momentum-1"}})
	text := strings.Join(lines, "\n")
	for _, want := range []string{
		`url = "rediss://me:***@redis.example.com:6379/2"`,
		`url = "https://hooks.example.com:8443"`,
		`key = "data.symbol"`,
		`env.BOT = "momentum-1" # routes.toml:11:15 | ${BOT}`,
		`args = ["python3", "bot.py", "--bot", "momentum-1", "/srv/bots/momentum-1/main.py"]`,
		`dsn = "postgres://u:***@db.example.com:5432/events?sslmode=require"`,
		`where = "https://api.example.com/v1/orders"`,
		`body.text = "{data.symbol} at {time}"`,
		`body.f = 1.0`,
		`body.when = 2026-01-02`,
		`retries = 7 # routes.toml:16:11 | ${N:-7} | N`,
		`when = "event.key == \"BTC\" && event.data.price > 1"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
}

func TestEffectiveOfMistakes(t *testing.T) {
	dir := writeFiles(t, map[string]string{"routes.toml": "[redis]\nulr = \"x\"\n"})
	all, err := LoadEffective(Source{Paths: []string{filepath.Join(dir, "routes.toml")}}, testKinds())
	if err == nil || len(all.Tables) > 0 || len(all.Files) != 1 {
		t.Errorf("%v, %v", all, err)
	}
}

// FuzzCensor looks for passwords in what is shown of texts that have one.
func FuzzCensor(f *testing.F) {
	for _, seed := range []string{"hunter2", "a@b/c?d#e:f", "p w", `"'\\`, "://x@y", "***", "%40%2f", "password=", "ü€"} {
		f.Add(seed)
	}
	c := newCensor()
	f.Fuzz(func(t *testing.T, password string) {
		if len(password) < 6 || strings.Contains("postgres://u:***@h/db Authorization: Bearer https://***@h host=h password=", password) {
			t.Skip()
		}
		if strings.ContainsAny(password, "*=") && strings.Trim(password, " *=") == "" {
			t.Skip() // spaces before what hides it, or between a flag and its value, look the same
		}
		for _, text := range []string{
			"postgres://u:" + password + "@h/db", "redis://:" + password + "@h:1/0", "https://" + password + "@h/", "https://u:" + password + "@h/x",
			"host=h password=" + password, "host=h password='" + password + "' dbname=d", "postgres://h/db?sslmode=x&password=" + password,
			"Authorization: Bearer " + password, "--token " + password, "--token=" + password,
		} {
			for _, how := range []secrecy{withoutPasswords, withoutKeys} {
				if seen := c.show(text, how); strings.Contains(seen, password) {
					t.Errorf("of %q is seen %q", text, seen)
				}
			}
		}
	})
}
