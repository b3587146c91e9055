package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"signalbox/config"
	"signalbox/router/routesfile"
)

// What the compose files say of HTTP: the router listens where its port leads to, whoever is
// outside of this machine cannot connect, and the health check asks with the same environment.
func TestComposeHealth(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"../../docker-compose.yml", "../../router/daemon/start/docker-compose.yml"} {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			t.Parallel()
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "routes.toml"), config.Routes, 0o600); err != nil {
				t.Fatal(err)
			}
			var environ []string
			for _, v := range regexp.MustCompile(`(?m)^ +(SIGNALBOX_HTTP__\w+): "(.*)"$`).FindAllStringSubmatch(string(file), -1) {
				environ = append(environ, v[1]+"="+v[2])
			}
			set, err := routesfile.LoadHTTP(routesfile.Source{Paths: []string{folder}, Environ: environ})
			if err != nil {
				t.Fatal(err)
			}
			_, listens, err := net.SplitHostPort(set.Listen)
			if err != nil || !set.Insecure {
				t.Errorf("listens at %q, insecure %v: %v", set.Listen, set.Insecure, err)
			}
			var inside []string
			for _, ports := range regexp.MustCompile(`(?m)^ +ports: \["(.*)"\]`).FindAllStringSubmatch(string(file), -1) {
				if !strings.HasPrefix(ports[1], "127.0.0.1:") {
					t.Errorf("a port for everybody: %s", ports[1])
				}
				inside = append(inside, ports[1][strings.LastIndex(ports[1], ":")+1:])
			}
			if !slices.Contains(inside, listens) {
				t.Errorf("listens at port %s, and the ports that lead inside are %q", listens, inside)
			}
			probe := regexp.MustCompile(`(?m)^ +test: \[CMD, /router, (.*)\]`).FindStringSubmatch(string(file))
			if probe == nil || probe[1] != "health, -c, /etc/signalbox" || !strings.Contains(string(file), ":/etc/signalbox:ro") {
				t.Errorf("the health check is %q", probe)
			}
		})
	}
}

func TestComposeIsUnderstood(t *testing.T) {
	t.Parallel()
	compose, err := exec.LookPath("docker-compose")
	if err != nil {
		t.Skip("docker-compose is not installed")
	}
	for _, profile := range []string{"sqlite", "postgres", "demo"} {
		out, err := exec.CommandContext(t.Context(), compose, "-f", "../../docker-compose.yml", "--profile", profile, "config").CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", profile, err, out)
			continue
		}
		if n := strings.Count(string(out), "- /router\n"); n < 1 {
			t.Errorf("%s: no router has a health check:\n%s", profile, out)
		}
	}
}
