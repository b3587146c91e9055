package handlers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"

	"signalbox/router"
)

// Check connects to the database and looks at the table, and makes neither.
func (o SQLOptions) Check(ctx context.Context) (found string, err error) {
	create := o.Create
	o.Create = false // prepare would make it
	if isPostgres(o.DSN) {
		return checkPostgres(ctx, o, create)
	}
	return checkSQLite(ctx, o, create)
}

func checkPostgres(ctx context.Context, o SQLOptions, create bool) (found string, err error) {
	db, err := openPostgres(router.Env{Service: "router", Log: slog.New(slog.DiscardHandler)}, o)
	if err != nil {
		return "", err
	}
	defer db.close()
	said := func(err error) (string, error) {
		_, err = db.fault(ctx, err, nil)
		return "", err
	}
	var version string
	if err := db.pool.QueryRowContext(ctx, "SELECT current_setting('server_version')").Scan(&version); err != nil {
		return said(err)
	}
	version, _, _ = strings.Cut(version, " ") // of the packager
	found = "PostgreSQL " + version
	table, _, err := db.find(ctx)
	switch {
	case err != nil:
		return said(err)
	case table == 0 && create:
		var may bool
		if err := db.pool.QueryRowContext(ctx, "SELECT has_schema_privilege(coalesce(nullif($1, ''), current_schema(), ''), 'CREATE')", db.table.schema).Scan(&may); err != nil {
			return said(err)
		}
		if !may {
			return "", fmt.Errorf("%s: table %s is not there, and this user may not make it; GRANT CREATE on its schema", found, db.table)
		}
		return fmt.Sprintf("%s; table %s is made when the router starts", found, db.table), nil
	}
	warnings, err := db.prepare(ctx)
	if err != nil {
		return said(err)
	}
	for _, c := range db.filled {
		var may bool
		if err := db.pool.QueryRowContext(ctx, "SELECT has_column_privilege($1::oid, $2, 'INSERT')", fmt.Sprint(table), c.name).Scan(&may); err != nil {
			return said(err)
		}
		if !may {
			return "", fmt.Errorf("%s: this user may not insert into column %q of table %s; GRANT INSERT on the table to it", found, c.name, db.table)
		}
	}
	return fitting(found, db.sqlTarget, warnings), nil
}

// fitting says that a table takes the events, and what is worth a warning.
func fitting(found string, target sqlTarget, warnings []string) string {
	return strings.Join(append([]string{fmt.Sprintf("%s; table %s fits", found, target.table)}, warnings...), "; ")
}

// checkSQLite opens a file that is there to read it only: its journal stays as it is.
func checkSQLite(ctx context.Context, o SQLOptions, create bool) (found string, err error) {
	path := strings.TrimPrefix(o.DSN, sqlitePrefix)
	db, err := openSQLite(o)
	if err != nil {
		return "", err
	}
	defer func() { db.close() }()
	if err := db.folder(); err != nil {
		return "", err
	}
	_, err = os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !create:
		return "", fmt.Errorf("file %s is not there: %w", path, noTable(db.table, db.standard))
	case errors.Is(err, fs.ErrNotExist):
		if err := writable(filepath.Dir(path)); err != nil {
			return "", fmt.Errorf("%s cannot be made: %w", path, cause(err))
		}
		return fmt.Sprintf("%s and its table %s are made when the router starts", path, db.table), nil
	}
	if err := mayWrite(path); err != nil {
		return "", fmt.Errorf("%s cannot be written to: %w", path, cause(err))
	}
	if err := writable(filepath.Dir(path)); err != nil { // where its journal stands
		return "", fmt.Errorf("the folder of %s cannot be written to: %w", path, cause(err))
	}
	if err := db.readOnly(path); err != nil {
		return "", err
	}
	var version string
	if err := db.db.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&version); err != nil {
		_, err = db.fault(ctx, err, nil)
		return "", err
	}
	found = "SQLite " + version
	if has, _, err := db.find(ctx); err == nil && len(has) == 0 && create {
		return fmt.Sprintf("%s; table %s is made in %s when the router starts", found, db.table, path), nil
	}
	warnings, err := db.prepare(ctx)
	if err != nil {
		_, err = db.fault(ctx, err, nil)
		return "", err
	}
	return fitting(found, db.sqlTarget, warnings), nil
}

// mayWrite opens a file for writing, and writes nothing.
func mayWrite(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// readOnly makes the database one that is only read.
func (s *sqliteFile) readOnly(path string) error {
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: "mode=ro&_pragma=busy_timeout(4000)"}
	connector, err := sqlite.NewConnector(file.String())
	if err != nil {
		return fmt.Errorf("dsn: %w", err)
	}

	_ = s.db.Close()
	s.opener = &sqliteOpener{Connector: connector, path: path}
	s.db = sql.OpenDB(s.opener)
	s.db.SetMaxOpenConns(1)
	return nil
}
