package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"signalbox/config"
	"signalbox/internal/redistest"
)

// TestScripts runs testdata/script/*.txtar: the commands as a stranger meets them. The
// scripts' own commands, beside those of testscript:
//
//	redis start|absent [ARG...]   a redis-server of its own; sets REDIS_URL and REDIS_PORT
//	redis restart|stop            the same, later
//	redis do CMD [ARG...]         sends a command; its reply is stdout. "\x1b" in ARG is a byte
//	exitcode N CMD [ARG...]       runs a command that has to end with code N
//	start NAME CMD [ARG...]       runs a command beside the script, output in NAME.out and NAME.err
//	await FILE REGEXP             waits until a file has it
//	times N FILE REGEXP           fails unless a file has it N times
//	signal NAME TERM|INT|HUP|KILL|STOP|CONT sends a signal
//	insist NAME TERM|INT          sends it again and again until the command has ended
//	ended NAME N                  waits until the command has ended, with code N
//	take PORT                     takes a port, if nobody else has it
//	freeport VAR                  sets a variable to a free port
//	setenv VAR FILE REGEXP        sets a variable to the first group of what a file has
//	certs                         writes cert.pem and key.pem for 127.0.0.1
//
// With UPDATE_SCRIPTS=1 what cmp compares with is written anew.
func TestScripts(t *testing.T) {
	taken := &ports{tb: t, taken: map[string]bool{}}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		Deadline:      time.Now().Add(6 * patience),
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				return errors.New("testscript's T is no testing.TB")
			}
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program takes a second to end
			s := &scene{tb: tb, vars: env.Vars, running: map[string]*running{}, ports: taken}
			env.Values[sceneKey{}] = s
			env.Defer(s.kill)
			acl, err := os.ReadFile("../../deploy/redis.acl")
			if err != nil {
				return err
			}
			return errors.Join(
				os.WriteFile(env.Getenv("WORK")+"/shipped.toml", config.Routes, 0o600),
				os.WriteFile(env.Getenv("WORK")+"/shipped_test.toml", config.Tests, 0o600),
				os.WriteFile(env.Getenv("WORK")+"/redis.acl", acl, 0o600),
			)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"redis":    on((*scene).redis),
			"exitcode": on((*scene).exitcode),
			"start":    on((*scene).start),
			"await":    on((*scene).await),
			"times":    on((*scene).times),
			"signal":   on((*scene).signal),
			"insist":   on((*scene).insist),
			"ended":    on((*scene).ended),
			"take":     on((*scene).take),
			"freeport": on((*scene).freeport),
			"setenv":   on((*scene).setenv),
			"certs":    on((*scene).certs),
		},
	})
}

type sceneKey struct{}

// scene is what a script has started.
type scene struct {
	tb      testing.TB
	vars    []string
	server  *redistest.Server
	running map[string]*running
	ports   *ports
}

type running struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

func on(command func(*scene, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s, ok := ts.Value(sceneKey{}).(*scene)
		if !ok || neg || len(args) == 0 && command == nil {
			ts.Fatalf("unsupported: !")
		}
		command(s, ts, args)
	}
}

func (s *scene) redis(ts *testscript.TestScript, args []string) {
	switch args[0] {
	case "start", "absent":
		var opts []redistest.Option
		if args[0] == "absent" {
			opts = append(opts, redistest.Absent())
		}
		if len(args) > 1 && args[1] == "--tls" {
			opts = append(opts, redistest.Args("--tls-port", args[2], "--tls-cert-file", ts.MkAbs("cert.pem"),
				"--tls-key-file", ts.MkAbs("key.pem"), "--tls-auth-clients", "no"))
		} else if len(args) > 2 && args[1] == "--requirepass" {
			opts = append(opts, redistest.Password(args[2]))
		} else {
			opts = append(opts, redistest.Args(args[1:]...))
		}
		s.server = redistest.Start(s.tb, opts...)
		_, port, err := net.SplitHostPort(s.server.Addr())
		ts.Check(err)
		ts.Setenv("REDIS_URL", s.server.URL())
		ts.Setenv("REDIS_PORT", port)
	case "restart":
		s.server.Restart()
	case "stop":
		s.server.Stop()
	case "do":
		var command []any
		for _, arg := range args[1:] {
			if text, err := strconv.Unquote(`"` + strings.ReplaceAll(arg, `"`, `\"`) + `"`); err == nil {
				arg = text
			}
			command = append(command, arg)
		}
		reply, err := s.server.Client().Do(context.Background(), command...).Result()
		ts.Check(err)
		_, err = fmt.Fprintln(ts.Stdout(), reply)
		ts.Check(err)
	default:
		ts.Fatalf("redis %s: unknown", args[0])
	}
}

func (s *scene) exitcode(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

func (s *scene) start(ts *testscript.TestScript, args []string) {
	name, program := args[0], args[1]
	path := ""
	for _, folder := range filepath.SplitList(ts.Getenv("PATH")) {
		if info, err := os.Stat(filepath.Join(folder, program)); err == nil && !info.IsDir() {
			path = filepath.Join(folder, program)
			break
		}
	}
	cmd := exec.Command(path, args[2:]...) //nolint:noctx // ended by kill
	cmd.Args[0] = program
	cmd.Dir = ts.MkAbs(".")
	keys := []string{"REDIS_URL", "REDIS_PORT", "SIGNALBOX_LOG__FORMAT", "SIGNALBOX_SERVICE__DRAIN", "SIMULATE"}
	for _, v := range s.vars {
		key, _, _ := strings.Cut(v, "=")
		keys = append(keys, key)
	}
	for _, key := range keys {
		if value := ts.Getenv(key); value != "" {
			cmd.Env = append(cmd.Env, key+"="+value)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	defer func() { _ = out.Close() }()
	errs, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	defer func() { _ = errs.Close() }()
	cmd.Stdout, cmd.Stderr = out, errs
	ts.Check(cmd.Start())
	r := &running{cmd: cmd, ended: make(chan struct{})}
	s.running[name] = r
	go func() {
		defer close(r.ended)
		_ = cmd.Wait()
	}()
}

func (s *scene) kill() {
	for _, r := range s.running {
		_ = r.cmd.Process.Kill()
		<-r.ended
	}
}

func (s *scene) await(ts *testscript.TestScript, args []string) {
	wanted := regexp.MustCompile("(?m)" + args[1])
	name, _, _ := strings.Cut(filepath.Base(args[0]), ".")
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		over := s.over(name)
		text := ts.ReadFile(args[0])
		if wanted.MatchString(text) {
			return
		}
		if over || time.Now().After(deadline) {
			ts.Fatalf("%s does not have %q:\n%s", args[0], args[1], text)
		}
	}
}

// over reports whether a program has ended, and so will write no more.
func (s *scene) over(name string) bool {
	r := s.running[name]
	if r == nil {
		return false
	}
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

func (s *scene) times(ts *testscript.TestScript, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := ts.ReadFile(args[1])
	if n := len(regexp.MustCompile("(?m)"+args[2]).FindAllString(text, -1)); n != want {
		ts.Fatalf("%s has %q %d times, want %d:\n%s", args[1], args[2], n, want, text)
	}
}

func (s *scene) signal(ts *testscript.TestScript, args []string) {
	ts.Check(s.running[args[0]].cmd.Process.Signal(signals(args[1])))
}

func signals(name string) syscall.Signal {
	return map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT}[name]
}

func (s *scene) insist(ts *testscript.TestScript, args []string) {
	for deadline := time.Now().Add(patience); !s.over(args[0]); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s runs on", args[0])
		}
		_ = s.running[args[0]].cmd.Process.Signal(signals(args[1]))
	}
}

func (s *scene) ended(ts *testscript.TestScript, args []string) {
	r := s.running[args[0]]
	select {
	case <-r.ended:
	case <-time.After(patience):
		ts.Fatalf("%s has not ended within %v", args[0], patience)
	}
	errs := ts.ReadFile(args[0] + ".err")
	if code := r.cmd.ProcessState.ExitCode(); strconv.Itoa(code) != args[1] {
		ts.Fatalf("%s ended with code %d, want %s:\n%s", args[0], code, args[1], errs)
	}
}

// take takes a port until the script ends, unless somebody else has it already.
func (s *scene) take(_ *testscript.TestScript, args []string) {
	s.ports.mu.Lock()
	defer s.ports.mu.Unlock()
	// Somebody else who has it may end at any time, such as a test of another package.
	for begin := time.Now(); !s.ports.taken[args[0]] && time.Since(begin) < patience/3; time.Sleep(10 * time.Millisecond) {
		if listener, err := net.Listen("tcp", "127.0.0.1:"+args[0]); err == nil {
			s.ports.taken[args[0]] = true
			s.ports.tb.Cleanup(func() { _ = listener.Close() })
		}
	}
}

// ports are what scripts have taken, until the last of them has ended: one that finds a
// port taken relies on it.
type ports struct {
	tb    testing.TB
	mu    sync.Mutex
	taken map[string]bool
}

// freeport sets a variable to a port that is free now.
func (s *scene) freeport(ts *testscript.TestScript, args []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	_, port, err := net.SplitHostPort(listener.Addr().String())
	ts.Check(err)
	ts.Check(listener.Close())
	ts.Setenv(args[0], port)
}

// setenv sets a variable to what a file has in the first group of a pattern.
func (s *scene) setenv(ts *testscript.TestScript, args []string) {
	found := regexp.MustCompile("(?m)" + args[2]).FindStringSubmatch(ts.ReadFile(args[1]))
	if found == nil {
		ts.Fatalf("%s does not have %q", args[1], args[2])
	}
	ts.Setenv(args[0], found[1])
}

// certs writes cert.pem and key.pem for 127.0.0.1.
func (s *scene) certs(ts *testscript.TestScript, _ []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	private, err := x509.MarshalECPrivateKey(key)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: cert},
		"key.pem":  {Type: "EC PRIVATE KEY", Bytes: private},
	} {
		var text bytes.Buffer
		ts.Check(pem.Encode(&text, block))
		ts.Check(os.WriteFile(ts.MkAbs(name), text.Bytes(), 0o600))
	}
}
