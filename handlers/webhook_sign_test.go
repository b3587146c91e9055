package handlers

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"signalbox/router"
)

// The specification's own example.
func TestWebhookSignatureOfTheSpecification(t *testing.T) {
	t.Parallel()
	signer, err := parseWebhookSecrets(testSecret, "")
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{}
	if err := signer.sign(header, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := header.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
}

// Receivers verify with the key of today and with the one before, and with no other.
func TestWebhookSignatures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secret, old         string
		today, before, none bool // who can verify
	}{
		"one key":  {secret: testSecret, today: true},
		"two keys": {secret: testSecret, old: oldSecret, today: true, before: true},
		"no key":   {none: true},
	} {
		peer := newReceiver(t, nil)
		w := testWebhook(t, WebhookOptions{URL: peer.URL, Secret: test.secret, OldSecret: test.old})
		ids := []string{"7", "1526919030474-0", "a.b", "x y\r\nz: 1", strings.Repeat("n", 300)}
		for _, id := range ids {
			if err := w.Handle(t.Context(), &router.Event{ID: id, Type: "a"}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		got := peer.requests()
		if len(got) != len(ids) {
			t.Fatalf("%s: %d requests, want %d", name, len(got), len(ids))
		}
		for i, r := range got {
			for key, want := range map[string]bool{testSecret: test.today, oldSecret: test.before, "d3Jvbmcga2V5IG9mIHR3ZW50eSBmb3VyIGJ5dGVz": false} {
				verifier, err := standardwebhooks.NewWebhook(key)
				if err != nil {
					t.Fatal(err)
				}
				if err := verifier.Verify([]byte(r.body), r.header); (err == nil) != want {
					t.Errorf("%s, id %q: %v, want valid %t", name, ids[i], err, want)
				}
				if err := verifier.Verify([]byte(r.body+" "), r.header); err == nil {
					t.Errorf("%s, id %q: another body is valid", name, ids[i])
				}
			}
			if has := r.header.Get("webhook-signature") != ""; has == test.none {
				t.Errorf("%s, id %q: has a signature: %t", name, ids[i], has)
			}
			if r.header.Get("webhook-id") == "" || r.header.Get("webhook-timestamp") == "" {
				t.Errorf("%s, id %q: header %v", name, ids[i], r.header)
			}
		}
	}
}

// The id is the same in every attempt, the time is that of the attempt.
func TestWebhookAttempts(t *testing.T) {
	t.Parallel()
	peer := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	w := testWebhook(t, WebhookOptions{URL: peer.URL, Secret: testSecret})
	event := &router.Event{ID: "order 7", Type: "a", Time: time.Unix(1, 0)}
	begin := time.Now().Unix()
	for range 3 {
		_ = w.Handle(t.Context(), event)
	}
	got := peer.requests()
	if len(got) != 3 {
		t.Fatalf("%d requests, want 3", len(got))
	}
	for _, r := range got {
		if id := r.header.Get("webhook-id"); id != "order%207" {
			t.Errorf("id %q", id)
		}
		if at, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64); err != nil || at < begin || at > time.Now().Unix() {
			t.Errorf("timestamp %q, want now", r.header.Get("webhook-timestamp"))
		}
		if r.body != got[0].body {
			t.Errorf("body %s, want %s", r.body, got[0].body)
		}
	}
}

func TestWebhookID(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for id, want := range map[string]string{
		"7":                                    "7",
		"1526919030474-0":                      "1526919030474-0",
		"0191e9f2-6c7b-7b1a-9d0f-5f0b6e1a2b3c": "0191e9f2-6c7b-7b1a-9d0f-5f0b6e1a2b3c",
		"urn:a/b@c+d=e~f_g":                    "urn:a/b@c+d=e~f_g",
		"a.1614265330.b":                       "a%2E1614265330%2Eb",
		"a%2Eb":                                "a%252Eb",
		"é\r\n\x00":                            "%C3%A9%0D%0A%00",
		" x ":                                  "%20x%20",
		long:                                   long,
	} {
		if got := webhookID(id); got != want {
			t.Errorf("%q becomes %q, want %q", id, got, want)
		}
	}
	if a, b := webhookID(long+"a"), webhookID(long+"b"); a == b || len(a) != len("sha256:")+64 || a != webhookID(long+"a") {
		t.Errorf("long ids become %q and %q", a, b)
	}
}
