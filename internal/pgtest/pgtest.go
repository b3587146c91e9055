package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Start runs a server until the test ends. Without PostgreSQL the test is skipped, or
// fails when CI=true.
func Start(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	s := Absent(tb, settings...)
	if err := s.Run(); err != nil {
		tb.Fatal(err)
	}
	return s
}

// Absent is Start for a server that doesn't run until the test says so.
func Absent(tb testing.TB, settings ...string) *Server {
	tb.Helper()
	if _, err := Find(); err != nil {
		if os.Getenv("CI") == "true" {
			tb.Fatal(err)
		}
		tb.Skip(err)
	}
	s, err := New(settings...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// DB is a database of one test, on a server that others may use too.
type DB struct {
	tb  testing.TB
	DSN string
}

// databases counts them, so that each has a name of its own.
var databases atomic.Int64 //nolint:gochecknoglobals // of one process, as the servers are

// Create makes a database.
func (s *Server) Create(tb testing.TB) *DB {
	tb.Helper()
	name := fmt.Sprint("db", databases.Add(1))
	(&DB{tb, s.DSN("")}).Exec("CREATE DATABASE " + name)
	return &DB{tb, s.DSN(name)}
}

// Open is a database that is there already.
func (s *Server) Open(tb testing.TB) *DB { return &DB{tb, s.DSN("")} }

// Exec runs statements, one after the other.
func (d *DB) Exec(statements ...string) {
	d.tb.Helper()
	d.with(func(ctx context.Context, conn *pgx.Conn) error {
		for _, statement := range statements {
			if _, err := conn.Exec(ctx, statement, pgx.QueryExecModeSimpleProtocol); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}

// Text is what a query returns in its only row and column, as text.
func (d *DB) Text(query string, args ...any) (text string) {
	d.tb.Helper()
	d.with(func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT coalesce(("+query+")::text, 'NULL')", args...).Scan(&text)
	})
	return text
}

// Connect opens a connection that ends with the test.
func (d *DB) Connect() *pgx.Conn {
	d.tb.Helper()
	conn, err := pgx.Connect(d.tb.Context(), d.DSN)
	if err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (d *DB) with(do func(context.Context, *pgx.Conn) error) {
	d.tb.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, d.DSN)
	if err != nil {
		d.tb.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := do(ctx, conn); err != nil {
		d.tb.Fatal(err)
	}
}
