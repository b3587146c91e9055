package handlers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"signalbox/router"
)

// sqliteFile is a table of an SQLite file. It has one connection: SQLite lets one write at
// a time anyway.
type sqliteFile struct {
	sqlTarget
	db        *sql.DB
	opener    *sqliteOpener
	path      string
	statement atomic.Pointer[sqliteStatement] // as the table was found last
}

// sqliteStatement inserts one event.
type sqliteStatement struct {
	sql     string
	columns []sqliteColumn // its parameters
}

// openSQLite opens nothing yet: the file is opened when it is used.
func openSQLite(options SQLOptions) (*sqliteFile, error) {
	path := strings.TrimPrefix(options.DSN, sqlitePrefix)
	connector, err := sqlite.NewConnector(sqliteURI(path))
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	target, err := sqlTargetOf(options)
	if err != nil {
		return nil, err
	}
	opener := &sqliteOpener{Connector: connector, path: path}
	db := sql.OpenDB(opener)
	db.SetMaxOpenConns(1)
	return &sqliteFile{sqlTarget: target, db: db, opener: opener, path: path}, nil
}

// insert saves events in one transaction. What others write at the same time is waited for.
func (s *sqliteFile) insert(ctx context.Context, events []*router.Event) error {
	statement := s.statement.Load()
	conn, err := s.conn(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	insert, err := tx.PrepareContext(ctx, statement.sql)
	if err != nil {
		return err
	}
	defer func() { _ = insert.Close() }()
	values := make([]any, len(statement.columns))
	for _, event := range events {
		for i, c := range statement.columns {
			if values[i], err = c.value(event); err != nil {
				return err
			}
		}
		if _, err := insert.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// fault reads an error of SQLite.
func (s *sqliteFile) fault(_ context.Context, err error, events []*router.Event) (fault, error) {
	if _, ours := errors.AsType[tableError](err); ours {
		return changed, err
	}
	if bad, ok := errors.AsType[misfit](err); ok {
		return refused, bad
	}
	said := sqlError{fmt.Sprintf("table %s of %s: %s", s.table, s.path, oneLine(err.Error())), err}
	code := sqlite3.SQLITE_BUSY // no answer in time
	if its, ok := errors.AsType[*sqlite.Error](err); ok {
		code = its.Code()
	}
	whose := sqliteFault(code)
	if code == sqlite3.SQLITE_CONSTRAINT_NOTNULL && len(events) == 1 {
		for _, c := range s.statement.Load().columns {
			if _, ok := c.in(events[0]); !ok && c.required {
				said.text += fmt.Sprintf(": the event has no %s for column %q", c.field.path, c.name)
			}
		}
	}
	return whose, said
}

// sqliteFault is whose fault a result code is: https://www.sqlite.org/rescode.html
func sqliteFault(code int) fault {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_TRIGGER: // RAISE: what the trigger means by that nobody knows
		return unclear
	}
	switch code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return refused
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA: // no such table or column, above all
		return changed
	case sqlite3.SQLITE_RANGE, sqlite3.SQLITE_MISUSE:
		return unclear
	default: // locked, full, read-only, cannot be opened, the disk, damaged
		return away
	}
}

func (s *sqliteFile) close() { _ = s.db.Close() }

// folder returns an error when the file's folder isn't there. It is not made: a volume that
// isn't mounted would be covered up.
func (s *sqliteFile) folder() error {
	dir := filepath.Dir(s.path)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	return tableError{fmt.Sprintf("%s: there is no folder %s; make it, or mount it", s.path, dir)}
}
