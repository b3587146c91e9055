package handlers_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

// sqlHandler is a handler of kind sql that is closed with the test, and what it logs.
type sqlHandler struct {
	router.BatchHandler
	log *handlers.LockedBuffer
}

func newSQL(t *testing.T, options handlers.SQLOptions) *sqlHandler {
	t.Helper()
	log := &handlers.LockedBuffer{}
	handler, err := handlers.SQL().New(router.Env{Service: "test", Log: slog.New(slog.NewTextHandler(log, withoutTime()))}, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := handler.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	})
	return &sqlHandler{handler.(router.BatchHandler), log}
}

// save saves events and returns what became of each.
func (h *sqlHandler) save(t *testing.T, events ...*router.Event) []string {
	t.Helper()
	return h.saveIn(t.Context(), events...)
}

func (h *sqlHandler) saveIn(ctx context.Context, events ...*router.Event) []string {
	return outcomes(h.HandleBatch(ctx, events), len(events))
}

// saved fails the test unless all are saved.
func (h *sqlHandler) saved(t *testing.T, events ...*router.Event) {
	t.Helper()
	if verdicts := h.HandleBatch(t.Context(), events); verdicts != nil {
		t.Fatalf("verdicts %v", verdicts)
	}
}

// says waits until the log has a text.
func (h *sqlHandler) says(t *testing.T, text string) {
	t.Helper()
	for range 1000 {
		if strings.Contains(h.log.String(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the log does not say %q:\n%s", text, h.log)
}

// outcomes are words for verdicts.
func outcomes(verdicts []error, n int) []string {
	words := slices.Repeat([]string{"done"}, n)
	for i, err := range verdicts {
		_, isAway := router.IsUnavailable(err)
		switch {
		case err == nil:
		case router.IsPermanent(err):
			words[i] = "permanent"
		case isAway:
			words[i] = "unavailable"
		case errors.Is(err, context.Canceled):
			words[i] = "canceled"
		default:
			words[i] = "failed"
		}
	}
	return words
}

// count says how often each outcome is there.
func count(words []string) string {
	n := map[string]int{}
	for _, word := range words {
		n[word]++
	}
	return fmt.Sprint(n)
}

// event is an event of this id and data.
func event(id, data string) *router.Event {
	return &router.Event{
		ID: id, Type: "tick", Source: "/feed", Time: time.Date(2026, 11, 21, 23, 30, 0, 123456789, time.FixedZone("", 3600)),
		Key: "BTCUSDT", Channel: "price_data", Name: "prices:binance", Data: json.RawMessage(data), Msg: json.RawMessage(data),
	}
}

// ticks are events with the numbers from up to below to.
func ticks(from, to int) []*router.Event {
	events := make([]*router.Event, 0, to-from)
	for n := from; n < to; n++ {
		events = append(events, event(fmt.Sprint("id-", n), fmt.Sprintf(`{"n":%d,"bid":"97429.%d"}`, n, n)))
	}
	return events
}

// An address is tried with TLS and without; what is said of both is said once.
func TestSQLNobodyThere(t *testing.T) {
	t.Parallel()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
	h := newSQL(t, handlers.SQLOptions{DSN: "postgres://trader:canary-7@" + port.Addr().String() + "/trading", Table: "events"})
	verdicts := h.HandleBatch(t.Context(), ticks(0, 1))
	if got := outcomes(verdicts, 1); got[0] != "unavailable" {
		t.Fatalf("verdicts %v", verdicts)
	}
	text := verdicts[0].Error()
	if n := strings.Count(text, "connection refused"); n != 1 || strings.Contains(text, "canary") {
		t.Errorf("the cause is there %d times: %s", n, text)
	}
}

func TestSQLOptions(t *testing.T) {
	t.Parallel()
	const good = "postgres://trader:canary-7@db.example:5432/trading"
	for _, test := range []struct {
		name    string
		options handlers.SQLOptions
		want    []string // lines of the error
	}{
		{"postgres", handlers.SQLOptions{DSN: good, Table: "events"}, nil},
		{"postgresql", handlers.SQLOptions{DSN: "postgresql://db/trading?sslmode=require&pool_max_conns=9", Table: "s.events", Create: true}, nil},
		{"sqlite", handlers.SQLOptions{DSN: "sqlite:a %41 file.db", Table: `"a.b"."c""d"`}, nil},
		{"columns", handlers.SQLOptions{DSN: good, Table: "t", Columns: map[string]string{"price": "data.bid", "at": "time"}}, nil},
		{"nothing", handlers.SQLOptions{}, []string{
			"dsn is missing; write postgres://user:password@host:5432/database, or sqlite:FILE",
			`table is missing; name the table to insert into, as in table = "events"`,
		}},
		{"another database", handlers.SQLOptions{DSN: "mysql://root:canary-7@db/x", Table: "t"}, []string{`dsn: "mysql" is neither postgres nor sqlite; write `}},
		{"words", handlers.SQLOptions{DSN: "host=db password=canary-7", Table: "t"}, []string{"dsn names no kind of database; write "}},
		{"no scheme", handlers.SQLOptions{DSN: "trader@canary-7:x", Table: "t"}, []string{"dsn names no kind of database; write "}},
		{"no file", handlers.SQLOptions{DSN: "sqlite:", Table: "t"}, []string{`dsn: "sqlite:" names no file; write sqlite:FILE`}},
		{"parameters of a file", handlers.SQLOptions{DSN: "sqlite:a.db?mode=ro", Table: "t"}, []string{`dsn: "sqlite:a.db?mode=ro": an SQLite file has no parameters here; `}},
		{"port", handlers.SQLOptions{DSN: "postgres://trader:can/ary-7@db:5432/x", Table: "t"}, []string{"dsn: PostgreSQL's address cannot be read"}},
		{"sslmode", handlers.SQLOptions{DSN: good + "?sslmode=canary-7", Table: "t"}, []string{"dsn: PostgreSQL's address cannot be read (sslmode is invalid); correct this parameter "}},
		{"no fewer than", handlers.SQLOptions{DSN: good + "?pool_min_conns=canary-7", Table: "t"}, []string{"dsn: pool_min_conns is not offered: connections are made when they are needed; leave it out"}},
		{"lifetime", handlers.SQLOptions{DSN: good + "?pool_max_conn_lifetime=canary-7", Table: "t"}, []string{"dsn: PostgreSQL's address cannot be read (pool_max_conn_lifetime); correct this parameter "}},
		{"mode", handlers.SQLOptions{DSN: good + "?default_query_exec_mode=canary-7", Table: "t"}, []string{"dsn: PostgreSQL's address cannot be read (default_query_exec_mode); correct this parameter "}},
		{"capacity", handlers.SQLOptions{DSN: good + "?statement_cache_capacity=canary-7", Table: "t"}, []string{"dsn: PostgreSQL's address cannot be read (statement_cache_capacity); correct this parameter "}},
		{"pool", handlers.SQLOptions{DSN: good + "?pool_max_conns=canary-7", Table: "t"}, []string{"dsn: PostgreSQL's address cannot be read (pool_max_conns); correct this parameter "}},
		{"three parts", handlers.SQLOptions{DSN: good, Table: "a.b.c"}, []string{`table: "a.b.c" has 3 parts; write table or schema.table`}},
		{"empty part", handlers.SQLOptions{DSN: good, Table: "a."}, []string{`table: "a." is no table or schema.table; a name that holds a dot stands in double quotes, as in '"a.b"'`}},
		{"open quote", handlers.SQLOptions{DSN: good, Table: `"a`}, []string{`table: "\"a" is no table or schema.table; `}},
		{"quote within", handlers.SQLOptions{DSN: good, Table: `a"b`}, []string{`table: "a\"b" is no table or schema.table; `}},
		{"text behind a quote", handlers.SQLOptions{DSN: good, Table: `"a"b`}, []string{`table: "\"a\"b" is no table or schema.table; `}},
		{"create and columns", handlers.SQLOptions{DSN: good, Table: "t", Create: true, Columns: map[string]string{"a": "id"}}, []string{"create makes the standard layout, not a table of your columns; "}},
		{"unknown fields", handlers.SQLOptions{DSN: good, Table: "t", Columns: map[string]string{"a": "price", "b": "time.x", "": "id"}}, []string{
			`columns: "" is no name of a column`,
			`columns: a = "price": an event has no field "price"; it has id, type, source, time, key, channel, name, data, msg`,
			`columns: b = "time.x": "time" has no members; only data and msg have`,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := test.options.Validate()
			var lines []string
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			if len(lines) != len(test.want) {
				t.Fatalf("errors %q\nwant   %q", lines, test.want)
			}
			for i, want := range test.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("error %q\nwant  %q", lines[i], want)
				}
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "ary-7")) {
				t.Errorf("the error has the password: %v", err)
			}
			if err == nil {
				return
			}
			if _, newErr := handlers.SQL().New(router.Env{}, test.options); newErr == nil || newErr.Error() != err.Error() {
				t.Errorf("New says %v", newErr)
			}
		})
	}
}

// A path starts at the folder of the file that has it.
func TestSQLLocate(t *testing.T) {
	t.Parallel()
	for dsn, want := range map[string]string{
		"sqlite:a.db":      "sqlite:" + filepath.FromSlash("/etc/box/a.db"),
		"sqlite:/abs/a.db": "sqlite:/abs/a.db",
		"sqlite:":          "sqlite:",
		"postgres://db/x":  "postgres://db/x",
	} {
		options := handlers.SQLOptions{DSN: dsn}
		options.Locate("/etc/box")
		if options.DSN != want {
			t.Errorf("%s became %s, want %s", dsn, options.DSN, want)
		}
	}
}

func ExampleSQL() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file := filepath.Join(dir, "signalbox.db")

	saver, err := handlers.SQL().New(router.Env{Log: slog.New(slog.DiscardHandler)}, handlers.SQLOptions{DSN: "sqlite:" + file, Table: "events", Create: true})
	if err != nil {
		panic(err)
	}
	tick := &router.Event{ID: "7", Type: "tick", Channel: "price_data", Key: "BTCUSDT", Time: time.Unix(1_763_767_800, 0), Data: json.RawMessage(`{"bid":"97429.71"}`)}
	fmt.Println(saver.Handle(context.Background(), tick))
	fmt.Println(saver.Handle(context.Background(), tick)) // it comes again
	_ = saver.(io.Closer).Close()

	db, err := sql.Open("sqlite", file)
	if err != nil {
		panic(err)
	}
	defer func() { _ = db.Close() }()
	var rows int
	var key, bid string
	err = db.QueryRow("SELECT count(*), key, data ->> 'bid' FROM events").Scan(&rows, &key, &bid)
	fmt.Println(rows, key, bid, err)
	// Output:
	// <nil>
	// <nil>
	// 1 BTCUSDT 97429.71 <nil>
}
