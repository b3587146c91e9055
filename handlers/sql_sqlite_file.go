package handlers

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
)

// sqliteOpener opens the file, and remembers which one it was. Only one connection is open
// at a time.
type sqliteOpener struct {
	driver.Connector
	path   string
	opened atomic.Pointer[fs.FileInfo] // nil: nobody could tell
}

// Connect opens the file.
func (o *sqliteOpener) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := o.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	o.opened.Store(nil)
	if info, err := os.Stat(o.path); err == nil {
		o.opened.Store(&info)
	}
	return conn, nil
}

// conn is the connection, to the file that has the name now. SQLite itself would go on
// with one that was deleted or renamed, and all rows would go with it: then it is an error,
// and the next call opens the file anew.
func (s *sqliteFile) conn(ctx context.Context) (*sql.Conn, error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	opened := s.opener.opened.Load()
	if opened == nil {
		return conn, nil
	}
	if now, err := os.Stat(s.path); err == nil && os.SameFile(now, *opened) {
		return conn, nil
	}
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // closes it
	_ = conn.Close()
	return nil, tableError{fmt.Sprintf("%s was deleted, renamed or replaced while it was open; it is opened anew", s.path)}
}
