// Package redistest runs real redis-servers for tests: each on a port and in a
// directory of its own, and gone with the test.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// startTimeout is how long a server may take until it answers.
const startTimeout = 10 * time.Second

// Option changes how a server is started.
type Option func(*Server)

// AOF keeps an append-only file, written with fsync always, so that a killed server
// comes back with everything it acknowledged.
func AOF() Option {
	return Args("--appendonly", "yes", "--appendfsync", "always")
}

// Password makes the server demand a password.
func Password(password string) Option {
	return func(s *Server) {
		s.password = password
		s.args = append(s.args, "--requirepass", password)
	}
}

// Args adds arguments to the server's command line.
func Args(args ...string) Option {
	return func(s *Server) { s.args = append(s.args, args...) }
}

// Env adds variables, NAME=value, to the server's environment.
func Env(env ...string) Option {
	return func(s *Server) { s.env = append(s.env, env...) }
}

// Absent reserves the address but starts nothing until [Server.Restart].
func Absent() Option {
	return func(s *Server) { s.absent = true }
}

// Server is a redis-server process. Its methods fail the test when they cannot work.
type Server struct {
	tb       testing.TB
	bin      string
	dir      string
	port     int
	password string
	args     []string
	env      []string
	absent   bool

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	client *redis.Client
}

// Start runs a server on a free loopback port until the test ends. Without a
// redis-server binary the test is skipped, or fails when CI=true.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("redis-server is needed in CI: %v", err)
		}
		tb.Skipf("redis-server is not installed: %v", err)
	}
	s := &Server{tb: tb, bin: bin, dir: tb.TempDir(), port: freePort(tb)}
	for _, opt := range opts {
		opt(s)
	}
	s.client = redis.NewClient(&redis.Options{
		// After PoolSize failed dials go-redis tries only once a second.
		Addr: s.Addr(), Password: s.password, DisableIdentity: true, PoolSize: 1000,
		ReadTimeout:              30 * time.Second, // of large replies, on a busy machine
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	tb.Cleanup(func() {
		_ = s.client.Close()
		s.end(syscall.SIGKILL)
	})
	if !s.absent {
		s.Restart()
	}
	return s
}

func freePort(tb testing.TB) int {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("free port: %v", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is TCP
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Dir returns the server's working directory, where its files are.
func (s *Server) Dir() string { return s.dir }

// URL returns the server's address as a redis:// URL, with its password.
func (s *Server) URL() string {
	if s.password != "" {
		return fmt.Sprintf("redis://:%s@%s/0", s.password, s.Addr())
	}
	return fmt.Sprintf("redis://%s/0", s.Addr())
}

// Client returns a client for the test's own commands.
func (s *Server) Client() *redis.Client { return s.client }

// Kill ends the server with SIGKILL, as a crash would.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the server with SIGTERM.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Pause stops the server's process without closing its connections.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume continues a paused server.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(sig)
	}
}

func (s *Server) end(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(sig)
	<-s.exited
	s.cmd = nil
}

// Restart starts the server again on its port and directory, after Kill or Stop, and
// returns when it answers.
func (s *Server) Restart() {
	s.tb.Helper()
	s.end(syscall.SIGTERM)
	s.mu.Lock()
	defer s.mu.Unlock()
	logfile := filepath.Join(s.dir, "redis.log")
	args := append([]string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--logfile", logfile, "--daemonize", "no",
	}, s.args...)
	cmd := exec.Command(s.bin, args...)
	cmd.Env = append(os.Environ(), s.env...)
	dieWithTest(cmd)
	started, exited := make(chan error), make(chan struct{})
	go func() {
		// The kernel kills the server with the thread that started it: it stays until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(exited)
		err := cmd.Start()
		if started <- err; err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		s.tb.Fatalf("start redis-server: %v", err)
	}
	s.cmd, s.exited = cmd, exited
	if err := s.answers(exited); err != nil {
		lines, _ := os.ReadFile(logfile)
		s.tb.Fatalf("redis-server on port %d: %v\n%s", s.port, err, lines)
	}
}

// answers waits until the server takes commands.
func (s *Server) answers(exited <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	probe := redis.NewClient(&redis.Options{
		Addr: s.Addr(), Password: s.password, DisableIdentity: true, MaxRetries: -1, PoolSize: 1000,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer func() { _ = probe.Close() }()
	for {
		if conn, err := net.DialTimeout("tcp", s.Addr(), time.Second); err == nil {
			_ = conn.Close()
			if probe.Ping(ctx).Err() == nil {
				return nil
			}
		}
		select {
		case <-exited:
			return errors.New("exited at once")
		case <-ctx.Done():
			return fmt.Errorf("does not answer: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}
