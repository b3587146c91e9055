package brokertest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routesfile"
	"signalbox/sources"
)

// shipped is a configuration of docs/brokers as it is shipped, but for where it connects to
// and where its secrets are.
type shipped struct {
	t        *testing.T
	dir      string
	spec     router.SourceSpec
	composer *router.Composer
	attempt  int
}

// ship loads the configuration of a broker, with some parts replaced by what follows each.
func ship(t *testing.T, name string, e *Exchange, path string, instead ...string) *shipped {
	t.Helper()
	text, err := os.ReadFile("../../docs/brokers/" + name + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	s := &shipped{t: t, dir: t.TempDir()}
	for i := 0; i < len(instead); i += 2 {
		if !strings.Contains(string(text), instead[i]) {
			t.Fatalf("%s.toml has no %s", name, instead[i])
		}
	}
	instead = append(instead, "/run/secrets/", s.dir+"/")
	s.write(name+".toml", strings.NewReplacer(instead...).Replace(string(text)))
	s.write("alpaca_key", "key\n")
	s.write("alpaca_secret", "secret\n")
	flags := map[string]string{"sources." + name + ".url": e.URL() + path, "sources." + name + ".ca_file": e.CAFile()}
	kinds := router.NewRegistry()
	handlers.Register(kinds)
	sources.Register(kinds)
	result, err := routesfile.Load(routesfile.Source{Paths: []string{filepath.Join(s.dir, name+".toml")}, Set: flags}, kinds)
	if err != nil {
		t.Fatal(err)
	}
	s.spec = result.Config.Sources[0]
	if s.composer, err = router.NewComposer(result.Config, s.spec); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *shipped) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// session is one session of the source, and what it hands over.
type session struct {
	*shipped
	stop context.CancelFunc
	over chan error

	mu      sync.Mutex
	opened  string
	alive   int
	events  []router.Event
	left    []string // what is published as no event
	trouble error
	changed chan struct{} // has a token when something is new
}

// run begins a session.
func (s *shipped) run() *session {
	s.t.Helper()
	source, err := s.spec.New(router.SourceEnv{Source: s.spec.Name, Attempt: s.attempt, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.attempt++
	ctx, stop := context.WithCancel(s.t.Context())
	one := &session{shipped: s, stop: stop, over: make(chan error, 1), changed: make(chan struct{}, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		one.over <- source.Run(ctx, one)
	}()
	s.t.Cleanup(func() { stop(); <-done })
	return one
}

func (s *session) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *session) Opened(at string)  { s.note(func() { s.opened = at }) }
func (s *session) Alive()            { s.note(func() { s.alive++ }) }
func (s *session) Trouble(err error) { s.note(func() { s.trouble = err }) }

// Emit does with a message what the engine does.
func (s *session) Emit(message []byte) {
	s.note(func() {
		events, err := s.composer.Read(message, time.Now())
		for i := range events {
			if _, err = s.composer.Compose(&events[i]); err == nil {
				s.events = append(s.events, events[i])
			}
		}
		if err != nil {
			s.left = append(s.left, string(message)+": "+err.Error())
		}
	})
}

// until waits for what is said of the session.
func (s *session) until(what string, is func() bool) {
	s.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		ok := is()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.changed:
		case err := <-s.over:
			s.t.Fatalf("%s: the session ended: %v", what, err)
		case <-timeout:
			s.t.Fatalf("%s: not within 10 s; opened %q, %d events, alive %d, trouble %v", what, s.opened, len(s.events), s.alive, s.trouble)
		}
	}
}

// verdict waits for the end of the session.
func (s *session) verdict() error {
	s.t.Helper()
	select {
	case err := <-s.over:
		s.over <- err
		return err
	case <-time.After(10 * time.Second):
		s.t.Fatal("the session does not end")
		return nil
	}
}

// trades waits for events of each key, and wants each to have a type, its time, and the next number.
func (s *session) trades(n int, types []string, keys ...string) {
	s.t.Helper()
	s.until("events of "+strings.Join(keys, " and "), func() bool {
		count := map[string]int{}
		for _, event := range s.events {
			count[event.Key]++
		}
		return !slices.ContainsFunc(keys, func(key string) bool { return count[key] < n })
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened == "" || len(s.left) > 0 {
		s.t.Errorf("opened at %q, and these are no events: %q", s.opened, s.left)
	}
	for _, event := range s.events {
		if !slices.Contains(types, event.Type) || !slices.Contains(keys, event.Key) || time.Since(event.Time) > time.Minute {
			s.t.Errorf("an event of type %q, key %q, time %s: %s", event.Type, event.Key, event.Time, event.Msg)
		}
	}
	s.numbered()
}

// numbered wants the numbers of each key to follow each other, where the broker counts.
func (s *session) numbered() {
	s.t.Helper()
	if s.spec.Sequence == nil {
		return
	}
	last := map[string]int64{}
	for _, event := range s.events {
		n := gjson.GetBytes(event.Msg, s.spec.Sequence.Path).Int()
		if before, known := last[event.Key]; n == 0 && !known || known && n != before+1 {
			s.t.Errorf("number %d of %s comes after %d", n, event.Key, before)
		}
		last[event.Key] = n
	}
}
