package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/routesfile"
)

// tried is an option that says how its check goes.
type tried struct {
	How string `toml:"how"`
}

func (o tried) Check(ctx context.Context) (string, error) {
	switch o.How {
	case "well":
		return "it is there", nil
	case "badly":
		return "", errors.New("it is\nnot there")
	case "panics":
		panic("oh")
	}
	<-ctx.Done()
	return "", ctx.Err()
}

func TestConnect(t *testing.T) {
	server := redistest.Start(t)
	text := fmt.Sprintf("[redis]\nurl = %q\n[channels.a]\ntransport = \"pubsub\"\n", server.URL())
	for _, how := range []string{"well", "badly", "panics"} {
		text += fmt.Sprintf("[handlers.%[1]s]\nkind = \"tried\"\nhow = %[1]q\n[[routes]]\nchannel = \"a\"\ntype = \"*\"\nhandler = %[1]q\n", how)
	}
	text += "[handlers.unused]\nkind = \"tried\"\nhow = \"badly\"\n"
	path := filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	kinds := router.NewRegistry(router.Kind[tried]{Name: "tried", New: func(router.Env, tried) (router.Handler, error) { return nil, errors.New("made") }})
	var out, errs bytes.Buffer
	opts := Options{Source: routesfile.Source{Paths: []string{path}}, Kinds: kinds, Stdout: &out, Stderr: &errs}
	err := Connect(t.Context(), opts, ConnectOptions{})
	if err == nil || err.Error() != "2 of 4 connections failed" || errs.Len() > 0 {
		t.Errorf("%v, %s", err, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range [][]string{{"ok ", "redis "}, {"failed", "badly (tried)", "it is; not there"}, {"failed", "panics (tried)", "the check panicked: oh"}, {"ok ", "well (tried)", "it is there"}} {
		for _, part := range want {
			if len(lines) != 4 || !strings.Contains(lines[i], part) {
				t.Fatalf("no %q in line %d of\n%s", part, i+1, out.String())
			}
		}
	}
	out.Reset()
	if err := Connect(t.Context(), opts, ConnectOptions{JSON: true}); err == nil {
		t.Error("no error")
	}
	var c connection
	if err := json.Unmarshal([]byte(strings.Split(out.String(), "\n")[3]), &c); err != nil || c.Name != "well" || c.Kind != "tried" || !c.OK || c.Found != "it is there" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestConnectWaitsForNobody has one check that obeys its context and one that doesn't.
func TestConnectWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var obeys connection
		obeys.try(t.Context(), tried{}.Check)
		if obeys.OK || obeys.Error != "no answer within 5s" || time.Since(begin) != connectTimeout {
			t.Errorf("%+v after %v", obeys, time.Since(begin))
		}
		release := make(chan struct{})
		var deaf connection
		deaf.try(t.Context(), func(context.Context) (string, error) { <-release; return "", nil })
		if deaf.OK || deaf.Error != "no answer within 5s" {
			t.Errorf("%+v", deaf)
		}
		close(release)
	})
}
