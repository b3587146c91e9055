package handlers

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgDriver makes the connections of a pool of database/sql. pgx has a pool, too; but with it
// comes all that pgx knows about types, of which nothing is needed here: values come and go
// as texts. It makes the binary 2 MB larger.
type pgDriver struct {
	config *pgConfig
	era    atomic.Int64 // connections of an earlier one are not used again
	ending sync.WaitGroup
}

// reset gives up the connections that there are, each when it is free.
func (d *pgDriver) reset() { d.era.Add(1) }

// Driver is asked for by nobody.
func (d *pgDriver) Driver() driver.Driver { return nil }

// Connect makes a connection.
func (d *pgDriver) Connect(ctx context.Context) (driver.Conn, error) {
	era := d.era.Load()
	link, err := pgconn.ConnectConfig(ctx, d.config.Copy())
	if err != nil {
		return nil, err
	}
	return &pgConn{link: link, driver: d, era: era, end: d.config.end(), used: time.Now()}, nil
}

// pgConn is one of them.
type pgConn struct {
	link     *pgconn.PgConn
	driver   *pgDriver
	era      int64
	end      time.Time
	used     time.Time
	prepared *pgconn.StatementDescription // what was inserted with last
	stale    bool                         // the server knows the statement no longer
}

var (
	errNotOffered = errors.New("sql: statements and transactions of the driver are not offered")

	_ driver.ExecerContext   = (*pgConn)(nil)
	_ driver.QueryerContext  = (*pgConn)(nil)
	_ driver.SessionResetter = (*pgConn)(nil)
	_ driver.Validator       = (*pgConn)(nil)
)

// Prepare and Begin are there because database/sql wants them to be.
func (c *pgConn) Prepare(string) (driver.Stmt, error) { return nil, errNotOffered }

// Begin is not offered.
func (c *pgConn) Begin() (driver.Tx, error) { return nil, errNotOffered }

// CheckNamedValue lets through what run knows how to send, and as it is.
func (c *pgConn) CheckNamedValue(arg *driver.NamedValue) error {
	switch arg.Value.(type) {
	case string, pgTexts:
		return nil
	}
	return fmt.Errorf("sql: argument %d is %T; want a text, or an array of them", arg.Ordinal, arg.Value)
}

// idleBefore is how long a connection may have been idle and still be believed to be there.
const idleBefore = time.Second

// ResetSession is called before a connection is used again.
func (c *pgConn) ResetSession(ctx context.Context) error {
	idle := time.Since(c.used)
	if !c.isUsable() || time.Now().After(c.end) || idle > c.driver.config.idleTime {
		return driver.ErrBadConn
	}
	if idle <= idleBefore {
		return nil
	}
	if limit := c.driver.config.pingTime; limit > 0 {
		limited, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		ctx = limited
	}
	if err := c.link.Ping(ctx); err != nil {
		return driver.ErrBadConn
	}
	return nil
}

// IsValid is called after a connection was used.
func (c *pgConn) IsValid() bool {
	c.used = time.Now()
	return c.isUsable()
}

func (c *pgConn) isUsable() bool {
	return !c.stale && c.era == c.driver.era.Load() && !c.link.IsClosed() && !c.link.IsBusy() && c.link.TxStatus() == 'I'
}

// Close says goodbye to the server, and doesn't wait for it: it may not listen any more.
func (c *pgConn) Close() error {
	c.driver.ending.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		_ = c.link.Close(ctx)
		select {
		case <-c.link.CleanupDone():
		case <-ctx.Done():
		}
	})
	return nil
}

// ExecContext runs a statement that returns no rows, or whose rows nobody needs.
func (c *pgConn) ExecContext(ctx context.Context, statement string, args []driver.NamedValue) (driver.Result, error) {
	_, err := c.run(ctx, statement, args)
	return driver.ResultNoRows, err
}

// QueryContext returns the rows of a statement.
func (c *pgConn) QueryContext(ctx context.Context, statement string, args []driver.NamedValue) (driver.Rows, error) {
	result, err := c.run(ctx, statement, args)
	if err != nil {
		return nil, err
	}
	return &pgRows{result: result}, nil
}

// run runs a statement, in the way that the dsn wants. What takes arrays comes again and
// again, and is prepared.
func (c *pgConn) run(ctx context.Context, statement string, args []driver.NamedValue) (*pgconn.Result, error) {
	mode := c.driver.config.mode
	if mode == pgSimple || len(args) == 0 {
		return c.runSimple(ctx, statement, args)
	}
	values, formats := make([][]byte, len(args)), make([]int16, len(args))
	arrays := true
	for i, arg := range args {
		switch value := arg.Value.(type) {
		case pgTexts:
			values[i], formats[i] = value.binary(), 1
		case string:
			values[i], arrays = []byte(value), false
		}
	}
	if mode == pgUnnamed || !arrays {
		return concluded(c.link.ExecParams(ctx, statement, values, nil, formats, nil))
	}
	if err := c.prepare(ctx, statement); err != nil {
		return nil, err
	}
	result, err := concluded(c.link.ExecStatement(ctx, c.prepared, values, formats, nil))
	if said, is := errors.AsType[*pgconn.PgError](err); is && (said.Code == "26000" || said.Code == "0A000") {
		c.stale = true // there is no such statement, or what it was made for has changed
	}
	return result, err
}

// prepare makes the server know the statement, once for each connection and table. Its name
// tells what it is: a pooler may give the connection that knows it to somebody else, whose
// values must not go into this table.
func (c *pgConn) prepare(ctx context.Context, statement string) error {
	if c.prepared != nil && c.prepared.SQL == statement {
		return nil
	}
	if known := c.prepared; known != nil {
		c.prepared = nil
		if err := c.link.Deallocate(ctx, known.Name); err != nil {
			return err
		}
	}
	prepared, err := c.link.Prepare(ctx, fmt.Sprintf("signalbox_%x", sha256.Sum256([]byte(statement)))[:40], statement, nil)
	if err == nil {
		c.prepared = prepared
	}
	return err
}

func concluded(reader *pgconn.ResultReader) (*pgconn.Result, error) {
	result := reader.Read()
	return result, result.Err
}
