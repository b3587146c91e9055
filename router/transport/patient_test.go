package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/internal/redistest"
)

// pair is a patient connection and its peer.
func pair(t *testing.T) (conn, peer net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	dial := patient(func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	})
	if conn, err = dial(t.Context(), "tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if peer, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		_ = peer.Close()
	})
	return conn, peer
}

// What moves has time; what stands still has as much as its deadline said.
func TestPatientConn(t *testing.T) {
	t.Parallel()
	conn, peer := pair(t)
	const still = 1500 * time.Millisecond
	go func() {
		for range 15 {
			time.Sleep(still / 10)
			_, _ = peer.Write([]byte("x"))
		}
	}()
	if err := conn.SetReadDeadline(time.Now().Add(still)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 15)); err != nil {
		t.Errorf("bytes that came one by one: %v", err)
	}
	begin := time.Now()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) > 10*still {
		t.Errorf("after %v of silence: %v", time.Since(begin), err)
	}

	large := make([]byte, 32<<20) // more than the sockets hold
	go func() {
		buffer := make([]byte, 1<<20)
		for {
			time.Sleep(still / 40)
			if _, err := peer.Read(buffer); err != nil {
				return
			}
		}
	}()
	if err := conn.SetWriteDeadline(time.Now().Add(still)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Write(large); n != len(large) || err != nil {
		t.Errorf("wrote %d of %d bytes to a slow reader: %v", n, len(large), err)
	}
}

// An entry that takes longer to arrive than a command may stand still arrives, and so
// does what comes after it.
func TestStreamLargeEntryOnASlowLine(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := strings.Replace(server.URL(), server.Addr(), slowLine(t, server.Addr()), 1)
	large := strings.Repeat("x", 10<<20)
	xadd(t, server.Client(), large, "next")
	n := open(t, url)
	begin := time.Now()
	messages := subscribe(t, n, n.Stream(StreamConfig{Group: "bot", MaxBatch: 64}), "work")
	if got := collect(t, messages, 2); len(got[0]) != len(large) || got[1] != "next" {
		t.Errorf("got %d bytes and %.10q", len(got[0]), got[1])
	}
	if took := time.Since(begin); took < readBlock+readSlack {
		t.Errorf("it took %v, less than a command may stand still: the line is too fast to show anything", took)
	}
	if n.log.count("redis is away") > 0 {
		t.Error("a slow line was taken for an absence")
	}
}

// slowLine is an address that leads to addr, at about 2 MB/s.
func slowLine(t *testing.T, addr string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var lines sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		lines.Wait()
	})
	lines.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				_ = near.Close()
				continue
			}
			lines.Go(func() { crawl(far, near) })
			lines.Go(func() { crawl(near, far) })
		}
	})
	return listener.Addr().String()
}

func crawl(to, from net.Conn) {
	defer func() { _ = to.Close() }()
	buffer := make([]byte, 20<<10)
	for {
		n, err := from.Read(buffer)
		if err == nil {
			_, err = to.Write(buffer[:n])
		}
		if err != nil {
			return
		}
		time.Sleep(time.Duration(n) * time.Second / (2 << 20))
	}
}
