package routesfile

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLoadHTTP(t *testing.T) {
	t.Parallel()
	const listens = "[http]\nlisten = \"127.0.0.1:8080\"\n"
	for _, test := range []struct {
		name    string
		files   map[string]string
		environ []string
		want    string // listen, token
		err     string // begins with
	}{
		{"not there", map[string]string{"a.toml": oneChannel}, nil, " ", ""},
		{"alone", map[string]string{"a.toml": listens}, nil, "127.0.0.1:8080 ", ""},
		{"no mistake of others matters", map[string]string{"a.toml": listens + "[redis]\nurl = \"${NO_SUCH}\"\n[channels.x]\ntransport = \"strem\"\n[chanels]\n"}, nil, "127.0.0.1:8080 ", ""},
		{"a file that is no TOML", map[string]string{"a.toml": listens, "b.toml": "[redis"}, nil, "127.0.0.1:8080 ", ""},
		{"the file that is no TOML had it", map[string]string{"a.toml": oneChannel, "b.toml": listens + "[redis"}, nil, "", "b.toml:3:"},
		{"the environment", map[string]string{"a.toml": listens}, []string{"SIGNALBOX_HTTP__LISTEN=:80", "SIGNALBOX_HTTP__TOKEN=0123456789abcdef", "SIGNALBOX_HANDLERS__NONE__X=1"}, ":80 0123456789abcdef", ""},
		{"switched off by the environment", map[string]string{"a.toml": listens}, []string{"SIGNALBOX_HTTP__LISTEN="}, " ", ""},
		{"a mistake in a list of the environment", map[string]string{"a.toml": listens}, []string{"SIGNALBOX_HTTP__OPEN=health,metric"}, "", `$SIGNALBOX_HTTP__OPEN: [http] open: there is no "metric" (from $SIGNALBOX_HTTP__OPEN); did you mean "metrics"?`},
		{"the environment alone", map[string]string{"a.toml": "[redis"}, []string{"SIGNALBOX_HTTP__LISTEN=localhost:80"}, "localhost:80 ", ""},
		{"two files", map[string]string{"a.toml": listens, "b.toml": "[http]\ntoken = \"0123456789abcdef\"\n"}, nil, "127.0.0.1:8080 0123456789abcdef", ""},
		{"a variable", map[string]string{"a.toml": "[http]\nlisten = \"${AT:-:80}\"\ninsecure = true\n"}, []string{"AT=[::1]:81"}, "[::1]:81 ", ""},
		{"a variable that is not set", map[string]string{"a.toml": listens + "token = \"${TOKEN}\"\n"}, nil, "", "a.toml:3:9: [http] token: variable TOKEN is not set"},
		{"a mistake", map[string]string{"a.toml": listens + "tokn = \"x\"\n"}, nil, "", `a.toml:3:1: [http]: unknown key "tokn"; did you mean "token"?`},
		{"a mistake in the environment", map[string]string{"a.toml": listens}, []string{"SIGNALBOX_HTTP__LISTN=x"}, "", `$SIGNALBOX_HTTP__LISTN: `},
		{"no table", map[string]string{"a.toml": "http = 8080\n"}, nil, "", "a.toml:1:8: [http]: want a table, have the number 8080"},
		{"a token of two lines", map[string]string{"a.toml": listens + "token = \"0123456789\\n0123456789\"\n"}, nil, "", "a.toml:3:9: [http] token has a line end or another control character"},
		{"a token that is too long", map[string]string{"a.toml": listens}, []string{"SIGNALBOX_HTTP__TOKEN=" + strings.Repeat("x", 1025)}, "", "$SIGNALBOX_HTTP__TOKEN: [http] token has 1025 characters, more than a request can show"},
		{"a token of any other characters", map[string]string{"a.toml": listens + "token = \"é \\\"<b> 0123456789\"\n"}, nil, "127.0.0.1:8080 é \"<b> 0123456789", ""},
		{"a port with a sign", map[string]string{"a.toml": "[http]\nlisten = \"127.0.0.1:+80\"\n"}, nil, "", `a.toml:2:10: [http] listen: "127.0.0.1:+80" is no host:port`},
		{"a host that no browser asks for", map[string]string{"a.toml": listens}, []string{"SIGNALBOX_HTTP__HOSTS=a.example,bücher.example"}, "", `$SIGNALBOX_HTTP__HOSTS: [http] hosts: "bücher.example" (from $SIGNALBOX_HTTP__HOSTS) is no name of a machine`},
		{"no host", map[string]string{"a.toml": listens}, []string{`SIGNALBOX_HTTP__HOSTS=["a.example"]`}, "", `$SIGNALBOX_HTTP__HOSTS: [http] hosts: "[\"a.example\"]"`},
		{"unsafe", map[string]string{"a.toml": "[http]\nlisten = \":80\"\n"}, nil, "", "a.toml:2:10: [http] listen: others than this machine can connect"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := writeFiles(t, test.files)
			set, err := LoadHTTP(Source{Paths: []string{dir}, Environ: test.environ})
			switch {
			case test.err != "":
				if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, test.err)) && !strings.HasPrefix(err.Error(), test.err) {
					t.Errorf("error %v, want %s", err, test.err)
				}
			case err != nil:
				t.Error(err)
			case set.Listen+" "+set.Token != test.want:
				t.Errorf("%q, want %q", set.Listen+" "+set.Token, test.want)
			}
		})
	}
}

// No error shows the token, or a line that has it.
func TestLoadHTTPHidesTheToken(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, map[string]string{"a.toml": "[http]\nlisten = \"127.0.0.1:80\"\ntoken = 0123456789\n", "secret": "0123456789"})
	_, err := LoadHTTP(Source{Paths: []string{dir}})
	if err == nil || strings.Contains(err.(Errors).Show(), "0123456789") { //nolint:errorlint,forcetypeassert // its error is Errors
		t.Errorf("error %v", err)
	}
	if _, err := LoadHTTP(Source{Paths: []string{os.DevNull}}); err == nil {
		t.Error("no error of what is no file")
	}
}

// A name may be written with the dot at its end, and in capitals.
func TestHosts(t *testing.T) {
	dir := writeFiles(t, map[string]string{"a.toml": "[http]\nlisten = \"127.0.0.1:80\"\nhosts = [\"Router.Example.\", \"my_box-1\", \"xn--bcher-kva.example\"]\n"})
	set, err := LoadHTTP(Source{Paths: []string{dir}})
	if want := []string{"router.example", "my_box-1", "xn--bcher-kva.example"}; err != nil || !slices.Equal(set.Hosts, want) {
		t.Errorf("%q %v", set.Hosts, err)
	}
}
