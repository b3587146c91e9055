// Package pgtest runs real PostgreSQL servers for tests and benchmarks: each on a port
// and in a folder of its own, as an unprivileged user, and gone with its owner.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// startTimeout is how long a server may take until it answers.
const startTimeout = 30 * time.Second

// The superuser of every server, and the database that is there from the start.
const (
	User     = "trader"
	Password = "s3cr3t-canary" //nolint:gosec // of servers that live as long as a test
	Database = "postgres"
)

// Server is a PostgreSQL server on the loopback interface. Nobody may use one from several
// goroutines at once.
type Server struct {
	bin      string // folder of the binaries
	dir      string
	port     int
	settings []string
	as       *syscall.Credential // nil: whoever runs this process
	cmd      *exec.Cmd
	exited   chan struct{}
}

// Find returns the folder of PostgreSQL's server binaries, which are seldom in PATH.
func Find() (string, error) {
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil { //nolint:noctx // it ends at once
		if dir := string(out[:max(0, len(out)-1)]); hasServer(dir) {
			return dir, nil
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.Reverse(found)
	for _, dir := range found {
		if hasServer(dir) {
			return dir, nil
		}
	}
	if path, err := exec.LookPath("initdb"); err == nil && hasServer(filepath.Dir(path)) {
		return filepath.Dir(path), nil
	}
	return "", errors.New("PostgreSQL is not installed: apt-get install postgresql")
}

func hasServer(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// New makes a server that doesn't run yet. Settings are NAME=value, as in
// postgresql.conf. The caller closes it.
func New(settings ...string) (*Server, error) {
	bin, err := Find()
	if err != nil {
		return nil, err
	}
	s := &Server{bin: bin, settings: settings}
	if s.port, err = freePort(); err != nil {
		return nil, err
	}
	// Not in the folder of a test, which another user may not enter; and short, for the
	// path of a socket has at most 107 bytes.
	if s.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it ends at once
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().(*net.TCPAddr).Port, nil //nolint:forcetypeassert // it is TCP
}

// initialize makes the data folder.
func (s *Server) initialize() error {
	if os.Geteuid() == 0 { // whom PostgreSQL refuses
		if err := s.unprivileged(); err != nil {
			return err
		}
	}
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte(Password), 0o644); err != nil { //nolint:gosec // another user reads it
		return err
	}
	initdb := s.command("initdb", "-D", filepath.Join(s.dir, "data"), "--no-sync", "-U", User, "-A", "scram-sha-256",
		"--pwfile", password, "-E", "UTF8", "--locale", "C")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// unprivileged gives the folder to somebody else, as whom the server runs.
func (s *Server) unprivileged() error {
	uid, gid, err := somebody()
	if err != nil {
		return err
	}
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)} //nolint:gosec // ids are 32 bits
	return Give(s.dir)
}

// Give makes a folder that of the user as whom servers run, if that is another one.
func Give(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := somebody()
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}

// somebody is a user without privileges.
func somebody() (uid, gid int, err error) {
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return 0, 0, err
		}
	}
	uid, uidErr := strconv.Atoi(who.Uid)
	gid, gidErr := strconv.Atoi(who.Gid)
	return uid, gid, errors.Join(uidErr, gidErr)
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.bin, name), args...) //nolint:noctx // Close ends it
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	dieWithParent(cmd)
	return cmd
}

// Run starts the server, for the first time or again, and returns when it answers.
func (s *Server) Run() error {
	args := []string{
		"-D", filepath.Join(s.dir, "data"), "-p", strconv.Itoa(s.port), "-h", "127.0.0.1", "-k", s.dir,
		"-c", "dynamic_shared_memory_type=mmap", // leaves nothing behind when it is killed
	}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := s.command("postgres", args...)
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
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
		return fmt.Errorf("start postgres: %w", err)
	}
	s.cmd, s.exited = cmd, exited
	if err := s.answers(); err != nil {
		return fmt.Errorf("postgres on port %d: %w\n%s", s.port, err, s.Log())
	}
	return nil
}

// answers waits until the server takes statements.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.DSN(""))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-s.exited:
			return errors.New("exited at once")
		case <-ctx.Done():
			return fmt.Errorf("does not answer: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// DSN returns the address of a database, with the password; of [Database] if it is empty.
func (s *Server) DSN(database string) string {
	if database == "" {
		database = Database
	}
	return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", User, Password, s.Addr(), database)
}

// Addr returns host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// Log returns what the server has logged.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.logFile())
	return string(text)
}

// Kill ends the server as a crash would: no connection is told, and nothing is written
// any more. Its other processes notice, and end too.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the server at once, its connections told.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Pause stops all of the server's processes without closing a connection, until Resume.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume continues a paused server.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) end(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	children := s.children()
	_ = s.cmd.Process.Signal(sig)
	if sig == syscall.SIGKILL {
		for _, pid := range children {
			_ = syscall.Kill(pid, sig)
		}
	}
	<-s.exited
	if sig == syscall.SIGKILL { // until they are gone they hold the memory that a next server asks for
		for _, pid := range children {
			for deadline := time.Now().Add(startTimeout); running(pid) && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
		}
	}
	s.cmd = nil
}

// running reports whether a process has not ended, as Linux says it.
func running(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	_, state, found := strings.Cut(string(stat), ") ")
	return err == nil && found && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

func (s *Server) signal(sig syscall.Signal) {
	if s.cmd == nil {
		return
	}
	for _, pid := range append(s.children(), s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, sig)
	}
}

// children are the processes that the server has started, as Linux lists them.
func (s *Server) children() (pids []int) {
	pid := strconv.Itoa(s.cmd.Process.Pid)
	list, err := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	if err != nil {
		return nil
	}
	var child int
	for rest := string(list); ; {
		if _, err := fmt.Sscan(rest, &child); err != nil {
			return pids
		}
		pids = append(pids, child)
		rest = rest[len(strconv.Itoa(child))+1:]
	}
}

// Close ends the server and removes its files.
func (s *Server) Close() {
	s.Resume()
	s.end(syscall.SIGQUIT)
	_ = os.RemoveAll(s.dir)
}
