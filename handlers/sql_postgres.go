package handlers

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"signalbox/router"
)

// postgres is a table of a PostgreSQL database.
type postgres struct {
	sqlTarget
	driver    *pgDriver
	pool      *sql.DB
	statement atomic.Pointer[pgStatement] // as the table was found last
}

// pgStatement inserts any number of events.
type pgStatement struct {
	sql     string
	columns []pgColumn // its parameters, each an array of texts
}

// openPostgres makes a pool, which connects when it is used.
func openPostgres(env router.Env, options SQLOptions) (*postgres, error) {
	config, err := parsePostgres(options.DSN)
	if err != nil {
		return nil, err
	}
	target, err := sqlTargetOf(options)
	if err != nil {
		return nil, err
	}
	config.complete(env)
	driver := &pgDriver{config: config}
	pool := sql.OpenDB(driver)
	pool.SetMaxOpenConns(config.maxConns)
	pool.SetMaxIdleConns(config.maxConns)
	pool.SetConnMaxIdleTime(config.idleTime)
	return &postgres{sqlTarget: target, driver: driver, pool: pool}, nil
}

// newStatement takes each column as an array of texts. The server makes of each text what
// its column is, with the rules that it has for that, whatever the type.
func newStatement(table tableName, columns []pgColumn) *pgStatement {
	names, values, arrays, aliases := make([]string, len(columns)), make([]string, len(columns)), make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		aliases[i] = fmt.Sprint("c", i)
		names[i], values[i], arrays[i] = quote(c.name), c.value(aliases[i]), fmt.Sprintf("$%d::text[]", i+1)
	}
	return &pgStatement{
		sql: fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM unnest(%s) AS e(%s) ON CONFLICT DO NOTHING", table,
			strings.Join(names, ", "), strings.Join(values, ", "), strings.Join(arrays, ", "), strings.Join(aliases, ", ")),
		columns: columns,
	}
}

// insert saves events with one statement, which is a transaction of its own. When its end
// is not known, the events come again, and the table's key finds them.
func (p *postgres) insert(ctx context.Context, events []*router.Event) error {
	statement := p.statement.Load()
	arguments := make([]any, len(statement.columns))
	cells := make(pgTexts, len(statement.columns)*len(events))
	for i, c := range statement.columns {
		texts := cells[i*len(events) : (i+1)*len(events)]
		for j, event := range events {
			texts[j].text, texts[j].ok = c.text(event)
		}
		arguments[i] = texts
	}
	_, err := p.pool.ExecContext(ctx, statement.sql, arguments...)
	return err
}

func (p *postgres) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_ = p.pool.Close()
		p.driver.ending.Wait()
	}()
	select {
	case <-closed:
	case <-time.After(closeTime): // a link that swallows packets
	}
}
