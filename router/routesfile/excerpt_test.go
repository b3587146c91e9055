package routesfile

import (
	"strings"
	"testing"
)

func TestExcerpt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, place, want string }{
		{"a string", `handler = "lgo"  # not "log"`, `"lgo"`, `"lgo"`},
		{"a string with quotes in it", `when = "a == \"b\" # c"`, `"a =`, `"a == \"b\" # c"`},
		{"an open string", `name = "abc`, `"abc`, `"abc`},
		{"a list", `type = ["a", "]"] # b`, `["a"`, `["a", "]"]`},
		{"a list that goes on", `type = ["a",   # first`, `["a"`, `["a",`},
		{"a key", `hanlder="log"`, `hanlder`, `hanlder`},
		{"a header", `[channels.prices]`, `prices`, `prices`},
		{"a number", `timeout = 5, # s`, `5`, `5`},
		{"the end of a line", `timeout =`, ``, ``},
		{"a Windows line", "handler = \"lgo\"\r", `"lgo"`, `"lgo"`},
		{"wide characters", `größe = "€€" # x`, `"€€"`, `"€€"`},
		{"a long line", strings.Repeat("x", 300) + ` = "lgo" ` + strings.Repeat("y", 300), `"lgo"`, `"lgo"`},
		{"a long value", `x = "` + strings.Repeat("y", 300) + `"`, `"yyy`, `"` + strings.Repeat("y", 95)},
	} {
		before := len([]rune(c.text[:strings.LastIndex(c.text, c.place)]))
		if c.place == "" {
			before = len([]rune(c.text))
		}
		e := texts{"f": []byte("\xef\xbb\xbffirst\n" + c.text + "\nlast")}.excerpt(place{"f", 2, before + 1}, 0, newCensor())
		got := string([]rune(e.Line + " ")[e.Start : e.Start+e.Width])
		if strings.TrimSpace(got) != c.want || e.Width < 1 {
			t.Errorf("%s: %q is underlined in %q, want %q", c.name, got, e.Line, c.want)
		}
		if n := len([]rune(e.Line)); n > maxExcerpt+2 {
			t.Errorf("%s: %d characters", c.name, n)
		}
	}
}

func TestExcerptIsPrintable(t *testing.T) {
	t.Parallel()
	e := texts{"f": []byte("\tname\t= \"\x1b[2J\xff\u202e\"")}.excerpt(place{"f", 1, 9}, 0, newCensor())
	if e.Line != "    name    = \"\ufffd[2J\ufffd\ufffd\"" || e.Start != 14 {
		t.Errorf("got %+v", e)
	}
	if none := (texts{}).excerpt(place{"gone", 3, 4}, 0, newCensor()); none.Line != "" {
		t.Errorf("a file that was not read has %+v", none)
	}
}

func TestExcerptKeepsSecrets(t *testing.T) {
	t.Parallel()
	for line, shown := range map[string]bool{
		`password = "hunter2"`:                                  false,
		`password = 'hunter2'`:                                  false,
		`password = "hunter2`:                                   false,
		`"api_key" = "x"`:                                       false,
		`env = { API_KEY = "x" }`:                               false,
		`headers = { Authorization = "Bearer x" }`:              false,
		`dsn = "postgres://u:pw@host/db"`:                       false,
		`url = "redis://:pw@host:6379"`:                         false,
		`url = "redis://u:${P}pw@host"`:                         false,
		`password = 12345`:                                      false,
		`password = "${file:/run/secrets/x}"`:                   true,
		`dsn = "${DATABASE_URL:-sqlite:x.db}"`:                  true,
		`dsn = "${DATABASE_URL:-postgres://u:pw@host/db}"`:      false,
		`password = "${PW:-hunter2}"`:                           false,
		`headers = { "X-Api-Key" = "hunter2", X = 5 }`:          false,
		`pwd = "hunter2"`:                                       false,
		`env = { PGPASSWORD = "x", A = "b" }`:                   false,
		`body = { pin = 12345`:                                  false,
		`args = ["curl", "-u", "u:pw@host"]`:                    false,
		`args = ["bot", "--token", "hunter2"]`:                  false,
		`url = "https://hooks.example.com/services/T00/B00ABC"`: false,
		`url = "https://hooks.example.com/services/T00/B00ABC`:  false,
		`where = "hooks.example.com/a1B2c3D4e5F6g7H8i9"`:        false,
		`where = "Basic aHVudGVy"`:                              false,
		`-----BEGIN PRIVATE KEY-----`:                           false,
		`key_field = data.symbol`:                               true,
		`when = 'event.key == "BTC" && service == "bot-1"'`:     true,
		`dedupe = { window = "10m", by = "kye" }`:               true,
		`url = "https://api.example.com/v1/orders"`:             true,
		`where = "{data.symbol} at {time}"`:                     true,
		`url = "redis://host:6379/0"`:                           true,
		`handler = "log"`:                                       true,
		`url = "user:pw@host:6379"`:                             false,
		`url = "redis://:p/w@host:6379"`:                        false,
		`url = "redis://:p w@host:6379"`:                        false,
		`headers = { "X-Api-Key" = "x" }`:                       false,
		`headers = { "X-Api-Key" = "${X}" }`:                    true,
		`uri = "https://example.com/services/T0/B0/xYz12"`:      false,
		`uri = "https://example.com/v1/orders"`:                 true,
		`key_field = "data.order"`:                              true,
		`handled = [{ handler = "mail", key = "A7" }]`:          true,
	} {
		e := texts{"f": []byte(line)}.excerpt(place{"f", 1, 1}, 0, newCensor())
		if (e.Line != "") != shown {
			t.Errorf("%s: shown is %t, want %t", line, !shown, shown)
		}
	}
}
