// Package promtest runs Prometheus' own programs in tests: promtool, and a server that
// scrapes.
package promtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// patience is how long a server may take to start, or to have scraped.
const patience = 30 * time.Second

// Tool runs promtool and returns what it prints; stdin may be nil. An error of promtool's
// is one. Without the program the test is skipped, or fails when CI=true.
func Tool(tb testing.TB, stdin io.Reader, args ...string) (string, error) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), find(tb, "promtool"), args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Server is a Prometheus.
type Server struct {
	tb     testing.TB
	url    string
	client http.Client
}

// Start runs a Prometheus that scrapes target (host:port) every second, native histograms
// too, until the test ends.
func Start(tb testing.TB, target string) *Server {
	tb.Helper()
	bin, dir := find(tb, "prometheus"), tb.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	text := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs: [{job_name: signalbox, static_configs: [{targets: [%q]}]}]\n", target)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("free port: %v", err)
	}
	address := listener.Addr().String()
	_ = listener.Close()

	var log bytes.Buffer
	cmd := exec.Command(bin, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--enable-feature=native-histograms", "--log.level=warn")
	cmd.Stdout, cmd.Stderr = &log, &log
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
		tb.Fatalf("start prometheus: %v", err)
	}
	tb.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-exited
		if tb.Failed() {
			tb.Logf("prometheus:\n%s", &log)
		}
	})
	return &Server{tb: tb, url: "http://" + address, client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
}

// Sample is one result of a query: its labels, and its value as text.
type Sample struct {
	Labels map[string]string
	Value  string
}

// Query waits until a query has a result, and returns it.
func (s *Server) Query(query string) []Sample {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), patience)
	defer cancel()
	for {
		samples, err := s.query(ctx, query)
		if err == nil && len(samples) > 0 {
			return samples
		}
		select {
		case <-ctx.Done():
			s.tb.Fatalf("query %s: no result after %v: %v", query, patience, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (s *Server) query(ctx context.Context, query string) ([]Sample, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/query?query="+url.QueryEscape(query), nil)
	if err != nil {
		return nil, err
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", response.Status, err)
	}
	if answer.Error != "" {
		return nil, fmt.Errorf("%s: %s", response.Status, answer.Error)
	}
	var samples []Sample
	for _, r := range answer.Data.Result {
		samples = append(samples, Sample{Labels: r.Metric, Value: fmt.Sprint(r.Value[1])})
	}
	return samples, nil
}

func find(tb testing.TB, program string) string {
	tb.Helper()
	bin, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatalf("%s is needed in CI: %v", program, err)
		}
		tb.Skipf("%s is not installed (apt-get install prometheus): %v", program, err)
	}
	return bin
}
