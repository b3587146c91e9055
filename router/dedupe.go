package router

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Dedupe remembers which events are in progress and which were handled, for routes
// whose policy says Dedupe. Package transport has one in Redis and one in memory.
//
// Keys and tokens are parallel. A key is claimed with a token that nobody else uses,
// and for a limited time only, a lease: who dies holding it delays others until it
// ends. Losing what it remembers means duplicates, and must never mean anything else.
type Dedupe interface {
	// Claim takes each key that is free, and makes those that the tokens hold already
	// last for a whole lease again. Mine says which keys are held by their token now,
	// done which were marked by Done; all others are held by somebody else. After an
	// error nothing is known, and claiming again with the same tokens is right.
	Claim(ctx context.Context, keys, tokens []string, lease time.Duration) (mine, done []bool, err error)
	// Done marks keys as done for the window, whoever holds them.
	Done(ctx context.Context, keys []string, window time.Duration) error
	// Release frees those keys that are still held by their token.
	Release(ctx context.Context, keys, tokens []string) error
}

// DedupePolicy says that a route handles an event only once: another one of the same
// id that comes within the Window after it was handled is a [Duplicate]. The zero
// value lets every event pass.
type DedupePolicy struct {
	Window time.Duration
	By     DedupeBy // empty: DedupeByID
}

// DedupeBy is what makes two events the same.
type DedupeBy string

// The ways.
const (
	DedupeByID  DedupeBy = "id"
	DedupeByKey DedupeBy = "key" // an event without a key goes by its id
)

func (p DedupePolicy) check() error {
	if p.By != "" && p.By != DedupeByID && p.By != DedupeByKey {
		return fmt.Errorf("dedupe by %q: want %q or %q", p.By, DedupeByID, DedupeByKey)
	}
	if p.Window < 0 {
		return fmt.Errorf("dedupe: the window %v is negative", p.Window)
	}
	return nil
}

// checkDedupe reports whether there is what the policies of the routes need.
func checkDedupe(cfg Config, store Dedupe) error {
	if store != nil {
		return nil
	}
	for _, r := range cfg.Routes {
		if r.Policy.Dedupe.Window > 0 {
			return fmt.Errorf("route %q: its policy says Dedupe, and Options.Dedupe is missing", r.Name)
		}
	}
	return nil
}

const (
	maxKeyID   = 128 // bytes; a longer id is replaced by its hash
	hashPrefix = "sha256:"
	idPrefix   = "id:" // an id where others go by their key
)

// dedupeKey is what identifies an event of a route, after the route's prefix. Strangers
// choose ids and keys, so they can be of any length and look like anything.
func dedupeKey(event *Event, by DedupeBy) string {
	text, taken := event.ID, false
	if by == DedupeByKey {
		if event.Key == "" {
			return idPrefix + clipKey(event.ID, false)
		}
		text, taken = event.Key, strings.HasPrefix(event.Key, idPrefix)
	}
	return clipKey(text, taken)
}

// clipKey hashes a text that is too long, or that looks like something it isn't.
func clipKey(text string, taken bool) string {
	if len(text) <= maxKeyID && !taken && !strings.HasPrefix(text, hashPrefix) {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return hashPrefix + hex.EncodeToString(sum[:])
}

// dedupePrefix is what the keys of a route begin with: its names, each followed by a
// colon. A colon in a name is escaped, so that no two routes share a prefix.
func dedupePrefix(names ...string) string {
	escape := strings.NewReplacer("%", "%25", ":", "%3A")
	var b strings.Builder
	for _, name := range names {
		b.WriteString(escape.Replace(name))
		b.WriteByte(':')
	}
	return b.String()
}

var (
	// errHandledBefore is why an event is a duplicate.
	errHandledBefore = errors.New("handled before, within the window of dedupe")
	// errInProgress is why an event on Pub/Sub, which can't wait, is one.
	errInProgress = errors.New("another event of the same id or key is in progress")
)
