package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// commandTimeout bounds dialing, and each write and read of an ordinary command.
const commandTimeout = 3 * time.Second

// Config says where Redis is and who we are.
type Config struct {
	// URL is redis://, rediss:// (TLS) or unix://, as go-redis reads it; required.
	URL string
	// Username and Password win over the URL's when not empty.
	Username, Password string
	// CAFile is a PEM file with the certificates to trust, for rediss://; empty: the system's.
	CAFile string
	// Service is who this process is; connections are named "signalbox:<Service>".
	Service string
	// OnLoss is told of every loss and gap that is known of. It may be nil, is called
	// from several goroutines, and must not block.
	OnLoss func(Loss)
}

// Why events were lost.
const (
	LossOverflow = "overflow" // the queue was full: see PubSubConfig.Key
	LossGap      = "gap"      // the Pub/Sub connection was away for Blind; nobody knows how many were missed
	LossShutdown = "shutdown" // the queue could not be worked off within Drain
	LossTrimmed  = "trimmed"  // stream entries were trimmed before they could be delivered
)

// Loss is events that were not and will never be delivered, as far as it is known.
type Loss struct {
	Topic  string        // the Redis name or pattern that was subscribed to
	Reason string        // one of LossOverflow, LossGap, LossShutdown, LossTrimmed
	Events int           // how many; 0 when unknown
	Blind  time.Duration // only for a gap: how long nothing could arrive
}

// Redis makes subscribers and publishers on one Redis server. Who opened it closes it.
type Redis struct {
	cfg      Config
	log      *slog.Logger
	opts     redis.Options
	writer   *redis.Client
	consumer string
	link     link
	alive    *alive
	clock    clock
	hub      *hub

	unreleased sync.Map // by source: the epoch of a term whose session is closed; Redis was away when that was to be said
	leases     sync.Map // by source: why its lease cannot be asked for, an error
	scripts    *scripts
	epochs     epochs

	seed    maphash.Seed   // of the sums of messages
	closing chan struct{}  // closed when Close begins
	wg      sync.WaitGroup // subscriptions, acknowledgers and their helpers

	mu     sync.Mutex
	closed bool
	subs   map[*lifetime]struct{}
	groups map[groupKey]*group
}

// Open checks the configuration and makes a Redis. It dials nothing: see [Redis.Check].
func Open(cfg Config, log *slog.Logger) (*Redis, error) {
	opts, err := options(cfg)
	if err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Redis{
		cfg:      cfg,
		log:      log,
		opts:     *opts,
		consumer: newConsumer(),
		link:     link{log: log.With("redis", opts.Addr)},
		scripts:  newScripts(),
		seed:     maphash.MakeSeed(),
		closing:  make(chan struct{}),
		subs:     make(map[*lifetime]struct{}),
		groups:   make(map[groupKey]*group),
	}
	if opts.TLSConfig != nil && opts.TLSConfig.InsecureSkipVerify {
		log.Warn("the certificate of Redis is not verified (skip_verify in its URL): anybody between can read and change everything", "redis", opts.Addr)
	}
	r.writer = r.client(func(*redis.Options) {})
	r.alive = newAlive(r)
	r.clock.r = r
	r.hub = newHub(r)
	return r, nil
}

// options turns cfg into go-redis' options. No error mentions the URL's password.
func options(cfg Config) (*redis.Options, error) {
	opts, err := redis.ParseURL(cfg.URL)
	if err != nil {
		if parse, ok := errors.AsType[*url.Error](err); ok {
			err = parse.Err
		}
		return nil, fmt.Errorf("redis url (want redis://host:6379/0, rediss:// or unix://): %w", err)
	}
	if cfg.Username != "" {
		opts.Username = cfg.Username
	}
	if cfg.Password != "" {
		opts.Password = cfg.Password
	}
	opts.ClientName = "signalbox:" + cfg.Service
	if strings.ContainsFunc(opts.ClientName, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, fmt.Errorf("service %q: want printable ASCII without spaces", cfg.Service)
	}
	if err := trust(opts, cfg.CAFile); err != nil {
		return nil, err
	}
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.MaxRetries = -1
	opts.ContextTimeoutEnabled = true
	opts.DialTimeout = commandTimeout
	opts.ReadTimeout = commandTimeout
	opts.WriteTimeout = commandTimeout
	return opts, nil
}

// trust makes opts accept only servers that file's certificates vouch for.
func trust(opts *redis.Options, file string) error {
	if file == "" {
		return nil
	}
	if opts.TLSConfig == nil {
		return fmt.Errorf("ca file %q: the redis url has no TLS; use rediss://", file)
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("ca file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("ca file %q: no PEM certificate in it", file)
	}
	opts.TLSConfig.RootCAs = pool
	opts.TLSConfig.MinVersion = tls.VersionTLS12
	return nil
}

// client makes a client of its own for one purpose; whoever asked for it closes it.
func (r *Redis) client(change func(*redis.Options)) *redis.Client {
	opts := r.opts
	change(&opts)
	opts.Dialer = lateErrors(patient(redis.NewDialer(&opts)))
	return redis.NewClient(&opts)
}

// Client returns the client for ordinary commands, shared by the publishers. It
// retries nothing, obeys context deadlines, and is closed by [Redis.Close].
func (r *Redis) Client() *redis.Client { return r.writer }

// Consumer returns the name this process has in every consumer group.
func (r *Redis) Consumer() string { return r.consumer }

// LinkStatus is how the connections to Redis are.
type LinkStatus struct {
	Away       bool   // as far as a command has noticed
	Reconnects uint64 // how often Redis was back after it had been away
	Unverified bool   // nobody looks at its certificate, see [Config]
}

// Link returns how the connections are. It asks nobody.
func (r *Redis) Link() LinkStatus {
	return LinkStatus{
		Away: r.link.away.since.Load() != 0, Reconnects: r.link.times.Load(),
		Unverified: r.opts.TLSConfig != nil && r.opts.TLSConfig.InsecureSkipVerify,
	}
}

// Now is the time by Redis' clock, once a subscription was made or [Redis.Synchronize]
// has asked for it; else by the clock of this machine.
func (r *Redis) Now() time.Time { return r.clock.at(time.Now()) }

// Synchronize asks Redis what time it is, and goes on asking until r is closed.
// Subscriptions do so by themselves.
func (r *Redis) Synchronize(ctx context.Context) error { return r.clock.ensure(ctx) }

// Ready returns when every subscription made so far is confirmed: SUBSCRIBE was
// acknowledged, the group exists. While the connection is lost they are not. The
// error wraps ctx's and names a topic that is not ready.
func (r *Redis) Ready(ctx context.Context) error {
	r.mu.Lock()
	subs := make([]*lifetime, 0, len(r.subs))
	for s := range r.subs {
		subs = append(subs, s)
	}
	r.mu.Unlock()
	for _, s := range subs {
		if err := s.ready.wait(ctx, s.closed); err != nil {
			return fmt.Errorf("subscription to %q is not confirmed: %w", s.topic, err)
		}
	}
	return nil
}

// Close ends all subscriptions, writes the acknowledgements that are left (for 3 s at
// most), and closes all clients. It returns when every goroutine has ended; events
// that are completed later are not acknowledged.
func (r *Redis) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		r.wg.Wait()
		return nil
	}
	r.closed = true
	subs := make([]*lifetime, 0, len(r.subs))
	for s := range r.subs {
		subs = append(subs, s)
	}
	r.mu.Unlock()
	for _, s := range subs {
		s.cancel()
	}
	for _, s := range subs {
		<-s.closed
	}
	close(r.closing)
	r.wg.Wait()
	r.alive.end()
	r.clock.end()
	r.hub.end()
	return r.writer.Close()
}

// lose reports a loss.
func (r *Redis) lose(loss Loss) {
	if r.cfg.OnLoss != nil {
		r.cfg.OnLoss(loss)
	}
}
