package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Source brings messages from outside: a broker's feed, for example. It is as small as
// [Handler], and is registered the same way, as a [SourceKind].
//
// Run is one session: it connects, hands over to the sink what it reads, and returns when
// the session ends. It neither connects again nor waits before it does: who runs it knows
// when that is right. What it returns is its verdict:
//
//   - nil: the session ended as planned, and the next one may begin at once, or after a
//     back-off if it brought no data;
//   - any error: it failed; the next one begins after a back-off, which only data resets;
//   - [Unavailable]: likewise, and not before the time that the other side asked for;
//   - [StandDown]: another session of this account is in the way, or has taken the place;
//   - [Permanent]: no other session can be better, until the configuration changes.
//
// When ctx ends, Run closes its connection at once and returns; what it returns then does
// not matter. A source serves for one session: the next one is made anew, with options that
// were expanded anew, so that credentials which have changed are read again.
type Source interface {
	Run(ctx context.Context, to Sink) error
}

// SourceFunc is a function that is a [Source].
type SourceFunc func(ctx context.Context, to Sink) error

// Run calls f.
func (f SourceFunc) Run(ctx context.Context, to Sink) error { return f(ctx, to) }

// Sink is where a source hands over what it reads. Its methods never wait, and may be
// called from several goroutines.
type Sink interface {
	// Opened tells that the other side has accepted the session, and that what was asked
	// for is confirmed, if that can be known. At is where, without secrets.
	Opened(at string)
	// Alive tells that something arrived that is no message: the connection is not dead.
	Alive()
	// Emit hands over a message as it arrived. It must not change afterwards.
	Emit(message []byte)
	// Trouble tells of what is wrong although the session goes on; nil: nothing is any more.
	Trouble(err error)
}

// StandDown marks err as one that says that another session of this account is in the way:
// the other side refused this one, or ended it in favour of the other. StandDown(nil) is nil.
func StandDown(err error) error {
	if err == nil {
		return nil
	}
	return &standDownError{err}
}

// IsStandDown reports whether err, or an error it wraps, was marked by [StandDown].
func IsStandDown(err error) bool {
	_, ok := errors.AsType[*standDownError](err)
	return ok
}

type standDownError struct{ err error }

func (e *standDownError) Error() string { return e.err.Error() }
func (e *standDownError) Unwrap() error { return e.err }

// SourceEnv is what a source is made with, for each session.
type SourceEnv struct {
	Source string // the name of this instance
	// Attempt counts the sessions since data came last, from 0: with several places to
	// connect to, each is tried in turn.
	Attempt int
	Log     *slog.Logger
}

// SourceKind is a sort of source, with options of type T: to [Source] what [Kind] is to
// [Handler], and its options follow the same rules. T has no option that is a key of
// every source, such as channel: see SourceSpec.
type SourceKind[T any] struct {
	Name     string
	Doc      string // what it does, in one sentence
	Defaults T
	New      func(SourceEnv, T) (Source, error)
}

// SourceInfo is k with the type of its options erased.
func (k SourceKind[T]) SourceInfo() SourceInfo {
	return SourceInfo{
		Name: k.Name,
		Doc:  k.Doc,
		Options: func() any {
			options := cloned(k.Defaults)
			return &options
		},
		New: func(env SourceEnv, options any) (Source, error) {
			typed, ok := options.(*T)
			if !ok {
				return nil, fmt.Errorf("kind of source %q: options are %T, want %T", k.Name, options, typed)
			}
			return k.New(env, *typed)
		},
	}
}

// SourceInfo is a [SourceKind] whose options' type is erased.
type SourceInfo struct {
	Name string
	Doc  string
	// Options returns a pointer to a new struct that holds the defaults.
	Options func() any
	// New makes a source; options is what Options returned, filled in.
	New func(env SourceEnv, options any) (Source, error)
}

// SourceSpec is a source to be run, and how.
type SourceSpec struct {
	Name string
	Kind string // for logs and docs; may be empty
	// Revision stands for all that the file says of it: a reload keeps a source whose
	// Revision stays, and begins any other anew. Empty: always anew.
	Revision string
	Channel  string // the declared channel that it publishes to

	// Fields say where the messages that it reads keep their standard fields; Seq and MaxBytes
	// are not used. The zero value is CloudEvents' layout.
	Fields Fields
	// Raw publishes the bytes that were read; else they become the data of an envelope that
	// also has Epoch and Seq, see [Stamp]. Where Fields say nothing of type, id and time, what
	// is read may be an envelope already: then its data does.
	Raw      bool
	Sequence *Sequence // nil: the messages are not counted by the other side

	// Lease has one process at a time connect, of all that share the Redis and the source's
	// name. The others stand by.
	Lease         bool
	LeaseFor      time.Duration // how long a holder may be out of reach before others take over; 0: 6 s
	TakeoverDelay time.Duration // how long the other side may remember a session whose holder died
	Conflict      Conflict      // what the other side does to a second session; empty: Refuses
	StandDown     time.Duration // how long not to connect after StandDown; 0: 15 min

	Backoff    time.Duration // before the second attempt; it doubles from then on, with jitter. 0: 1 s
	MaxBackoff time.Duration // 0: 1 min
	Budget     Budget        // the zero value: 20 in 10 min

	// StaleAfter.Any is when a session is ended because nothing comes. What readers of the
	// channel are told is for [Channel.StaleAfter] to say.
	StaleAfter StaleAfter
	Hours      Hours // when data is to be expected; the zero value: always

	Queue      int // events that wait for Redis, at most; 0: 65,536
	QueueBytes int // likewise; 0: 32 MiB

	// New makes the source for one session.
	New func(SourceEnv) (Source, error)
}

// Conflict is what the other side does when a second session of the account begins.
type Conflict string

// The conflicts.
const (
	Refuses Conflict = "refuses" // the second is refused
	Evicts  Conflict = "evicts"  // the first is ended
)

// Budget is how often a source may connect, all processes together.
type Budget struct {
	Connects int
	Per      time.Duration
}

// Sequence says how the other side counts its messages, so that missing ones are noticed.
// Paths are dotted, into a message after Fields.Split.
type Sequence struct {
	Path     string // of the number
	PerKey   bool   // each key is counted by itself; else all messages of a session are
	Step     int64  // what it grows by; 0: 1
	Previous string // path of the number of the message before; empty: Step says it
	Snapshot string // path of what only messages have that begin a count anew; empty: none
}

// StaleAfter is how long nothing may come before prices are not to be trusted; 0: for ever.
type StaleAfter struct {
	Any    time.Duration // of all messages
	PerKey time.Duration // of those of a key that has come before
}
