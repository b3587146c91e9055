package transport

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	randv2 "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), d)
}

// selfSigned makes a certificate for 127.0.0.1 that only vouches for itself, and the
// PEM files of it and its key.
func selfSigned(t *testing.T) (certificate tls.Certificate, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certFile, keyFile
}

func TestEntryPayload(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fields map[string]any
		want   string
	}{
		{"payload wins", map[string]any{"payload": "p", "data": "d"}, "p"},
		{"empty payload", map[string]any{"payload": "", "x": "y"}, ""},
		{"only data", map[string]any{"data": `{"type":"t"}`}, `{"type":"t"}`},
		{"only message", map[string]any{"message": "m"}, "m"},
		{"only another", map[string]any{"body": "b"}, `{"body":"b"}`},
		{"sorted", map[string]any{"b": "2", "a": "1"}, `{"a":"1","b":"2"}`},
		{"json data", map[string]any{"type": "t", "data": ` {"n": 1}`}, `{"data": {"n": 1},"type":"t"}`},
		{"text data", map[string]any{"type": "t", "data": "NaN"}, `{"data":"NaN","type":"t"}`},
		{"escapes", map[string]any{`q"`: "\\\n\x00é"}, `{"q\"":"\\\u000a\u0000é"}`},
		{"bad utf-8", map[string]any{"type": "\xff"}, "{\"type\":\"\xff\"}"},
		{"none", nil, "{}"},
		{"strange value", map[string]any{"a": 1}, `{"a":""}`},
	} {
		if got := string(entryPayload(c.fields)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestEntryTime(t *testing.T) {
	t.Parallel()
	if got := entryTime("1700000000123-5"); !got.Equal(time.UnixMilli(1700000000123)) {
		t.Errorf("got %v", got)
	}
	for _, id := range []string{"", "x-1", "-5-1", "99999999999999999999-0"} {
		if got := entryTime(id); !got.IsZero() {
			t.Errorf("%s: got %v", id, got)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add("payload", "x", "metadata", "y", "_watermill_message_uuid", "z")
	f.Add("data", `{"a":1}`, "type", "tick", "", "")
	f.Add("data", "\xff", "message", "\x00\"\\", "k", "v")
	f.Add("_watermill_message_uuid", "u", "metadata", "\xdf\xff\xff\xff\xff", "a", "b")
	f.Fuzz(func(t *testing.T, k1, v1, k2, v2, k3, v3 string) {
		fields := map[string]any{k1: v1, k2: v2, k3: v3}
		got := entryPayload(fields)
		uuid, metadata := entryHeader(fields)
		if metadata == nil || uuid != text(fields[uuidField]) {
			t.Fatalf("uuid %q, metadata %v", uuid, metadata)
		}
		if p, ok := fields[payloadField]; ok {
			if string(got) != p {
				t.Fatalf("payload %q became %q", p, got)
			}
			return
		}
		if len(fields) == 1 && (k1 == "data" || k1 == "message") {
			if string(got) != v1 {
				t.Fatalf("%q became %q", v1, got)
			}
			return
		}
		for k, v := range fields {
			if !utf8.ValidString(k) || !utf8.ValidString(text(v)) {
				if utf8.Valid(got) && !json.Valid(got) {
					t.Fatalf("%q is broken", got)
				}
				return
			}
		}
		var back map[string]json.RawMessage
		if err := json.Unmarshal(got, &back); err != nil || len(back) != len(fields) {
			t.Fatalf("%q: %v", got, err)
		}
		for k, v := range fields {
			var s string
			if k == "data" && json.Valid([]byte(text(v))) {
				continue
			}
			if err := json.Unmarshal(back[k], &s); err != nil || s != v {
				t.Fatalf("field %q is %q, want %q", k, s, v)
			}
		}
	})
}

func TestBoundedQueue(t *testing.T) {
	t.Parallel()
	random := randv2.New(randv2.NewPCG(1, 2))
	q := bounded{maxEvents: 50, maxByte: 400}
	var model []string
	size := 0
	for i := range 20_000 {
		if random.IntN(3) == 0 && q.n > 0 {
			if got := string(q.pop().payload); got != model[0] {
				t.Fatalf("step %d: got %q, want %q", i, got, model[0])
			}
			size -= len(model[0])
			model = model[1:]
			continue
		}
		payload := strings.Repeat("x", random.IntN(30)) + fmt.Sprint(i)
		dropped := 0
		for len(model) >= q.maxEvents || size+len(payload) > q.maxByte {
			size -= len(model[0])
			model = model[1:]
			dropped++
		}
		model = append(model, payload)
		size += len(payload)
		if got := q.push(arrival{payload: []byte(payload)}); got != dropped || q.n != len(model) || q.bytes != size {
			t.Fatalf("step %d: dropped %d of %d, %d events of %d, %d bytes of %d",
				i, got, dropped, q.n, len(model), q.bytes, size)
		}
	}
	if dropped := q.push(arrival{payload: bytes.Repeat([]byte("x"), 401)}); dropped != 1 || q.n != len(model) {
		t.Fatal("one event that can never fit displaced others")
	}
}

func TestDeque(t *testing.T) {
	t.Parallel()
	var d deque[int]
	for i := range 100 {
		d.pushBack(i)
		d.pushFront(-i)
	}
	for i := 99; i >= 0; i-- {
		if got := d.popFront(); got != -i {
			t.Fatalf("got %d, want %d", got, -i)
		}
	}
	for i := range 100 {
		if got := d.popFront(); got != i {
			t.Fatalf("got %d, want %d", got, i)
		}
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	w := newWindow(10)
	if n := w.reserve(t.Context(), 1, 256, false); n != 10 {
		t.Fatalf("got %d", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if n := w.reserve(ctx, 1, 1, false); n != 0 {
		t.Fatalf("got %d places of a full window", n)
	}
	got := make(chan int)
	go func() { got <- w.reserve(t.Context(), 5, 256, false) }()
	w.release(2) // fewer than wished for, but enough after a moment
	if n := <-got; n != 2 {
		t.Fatalf("got %d", n)
	}
	w.release(10)
	w.claiming(1)
	if n := w.reserve(t.Context(), 5, 256, false); n != 5 {
		t.Fatalf("a reader got %d while entries are claimed", n)
	}
	if n := w.reserve(t.Context(), 1, 256, true); n != 5 {
		t.Fatalf("a claimer got %d", n)
	}
	go func() { got <- w.reserve(t.Context(), 1, 1, true) }()
	w.release(1)
	if n := <-got; n != 1 {
		t.Fatalf("got %d", n)
	}
}

func TestWindowNeverOverbooks(t *testing.T) {
	t.Parallel()
	w := newWindow(7)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 500 {
				n := w.reserve(t.Context(), 1+i, 3, i%2 == 0)
				if used := w.inUse(); used > 7 || n < 1 || n > 3 {
					t.Errorf("%d places of 7, got %d", used, n)
				}
				w.release(n)
			}
		})
	}
	wg.Wait()
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	var b backoff
	for range 100 {
		if d := b.next(); d < 50*time.Millisecond || d > 5*time.Second {
			t.Fatalf("pause of %v", d)
		}
	}
	b.reset()
	if d := b.next(); d > 100*time.Millisecond {
		t.Fatalf("first pause of %v", d)
	}
}

func BenchmarkEntryPayload(b *testing.B) {
	for name, fields := range map[string]map[string]any{
		"payload": {payloadField: strings.Repeat("x", 280)},
		"object":  {"type": "tick", "data": `{"symbol":"BTCUSDT","price":97000.5}`, "source": "broker"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				entryPayload(fields)
			}
		})
	}
}

func BenchmarkQueue(b *testing.B) {
	q := bounded{maxEvents: 65536, maxByte: 32 << 20}
	a := arrival{topic: "prices", payload: make([]byte, 280)}
	b.ReportAllocs()
	for b.Loop() {
		q.push(a)
		q.pop()
	}
}

// A consumer is dead when its mark is missed twice, a TTL apart, while ours was there.
func TestDeadConsumers(t *testing.T) {
	t.Parallel()
	r := &Redis{}
	r.alive = newAlive(r)
	r.alive.last = time.Now()
	tend := &tender{streamSub: &streamSub{r: r}, missing: make(map[string]absence)}
	look := func(gone ...string) int { return len(tend.dead(gone)) }
	age := func() {
		for name, a := range tend.missing {
			a.since = a.since.Add(-aliveTTL)
			tend.missing[name] = a
		}
	}
	if look("a") != 0 {
		t.Fatal("dead at first sight")
	}
	age()
	if look("a", "b") != 1 {
		t.Fatal("not dead after a TTL")
	}
	age()
	if look("a") != 1 || look("b") != 0 {
		t.Fatal("a mark that was seen between does not count from anew")
	}
	age()
	r.alive.losses++
	if look("b") != 0 {
		t.Fatal("dead though our own mark was lost meanwhile")
	}
	age()
	r.alive.last = time.Now().Add(-2 * aliveTTL)
	if look("b") != 0 {
		t.Fatal("dead though our own mark is missing")
	}
}
