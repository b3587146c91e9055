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

// DB is a database of one test, on a server that others may use too. Its own statements
// go through one connection, that ends with the test.
type DB struct {
	DSN  string
	tb   testing.TB
	conn *pgx.Conn
}

// databases counts them, so that each has a name of its own.
var databases atomic.Int64 //nolint:gochecknoglobals // of one process, as the servers are

// Create makes a database.
func (s *Server) Create(tb testing.TB) *DB {
	tb.Helper()
	name := fmt.Sprint("db", databases.Add(1))
	s.Open(tb).Exec("CREATE DATABASE " + name)
	return &DB{DSN: s.DSN(name), tb: tb}
}

// Open is a database that is there already.
func (s *Server) Open(tb testing.TB) *DB { return &DB{DSN: s.DSN(""), tb: tb} }

// Exec runs statements, one after the other.
func (d *DB) Exec(statements ...string) {
	d.tb.Helper()
	for _, statement := range statements {
		if _, err := d.own().Exec(context.Background(), statement, pgx.QueryExecModeSimpleProtocol); err != nil {
			d.tb.Fatalf("%s: %v", statement, err)
		}
	}
}

// Text is what a query returns in its only row and column, as text.
func (d *DB) Text(query string, args ...any) (text string) {
	d.tb.Helper()
	args = append([]any{pgx.QueryExecModeExec}, args...) // what a table is may change
	if err := d.own().QueryRow(context.Background(), "SELECT coalesce(("+query+")::text, 'NULL')", args...).Scan(&text); err != nil {
		d.tb.Fatalf("%s: %v", query, err)
	}
	return text
}

// Try is Text, or what the error says, such as that the server is away.
func (d *DB) Try(query string, args ...any) string {
	conn, err := pgx.Connect(context.Background(), d.DSN)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var text string
	if err := conn.QueryRow(context.Background(), "SELECT coalesce(("+query+")::text, 'NULL')", args...).Scan(&text); err != nil {
		return err.Error()
	}
	return text
}

// Connect opens another connection that ends with the test.
func (d *DB) Connect() *pgx.Conn {
	d.tb.Helper()
	conn, err := pgx.Connect(context.Background(), d.DSN)
	if err != nil {
		d.tb.Fatal(err)
	}
	d.tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (d *DB) own() *pgx.Conn {
	d.tb.Helper()
	if d.conn == nil {
		d.conn = d.Connect()
	}
	return d.conn
}
