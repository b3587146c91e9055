package handlers

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"signalbox/router"
)

// postgres is a table of a PostgreSQL database.
type postgres struct {
	sqlTarget
	pool      *pgxpool.Pool
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
	configure(config, env)
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("dsn: %w", err)
	}
	return &postgres{sqlTarget: target, pool: pool}, nil
}

// configure sets what the dsn leaves out.
func configure(config *pgxpool.Config, env router.Env) {
	connection := config.ConnConfig
	if connection.ConnectTimeout == 0 {
		connection.ConnectTimeout = statementTime / 2
	}
	if plain, err := pgx.ParseConfig(connection.ConnString()); err == nil && plain.RuntimeParams["pool_max_conns"] == "" {
		config.MaxConns = sqlWorkers // and not as many as there are processors
	}
	// A time that names no zone is UTC, wherever the server is.
	connection.RuntimeParams["timezone"] = "UTC"
	if connection.RuntimeParams["application_name"] == "" {
		connection.RuntimeParams["application_name"] = "signalbox:" + env.Service
	}
	local := strings.HasPrefix(connection.Host, "/") || connection.Host == "localhost" || net.ParseIP(connection.Host).IsLoopback()
	if !local && (connection.TLSConfig == nil || connection.TLSConfig.InsecureSkipVerify) {
		env.Log.Info("the database's certificate is not checked: who sits between could read everything; sslmode=verify-full in the dsn checks it", "host", connection.Host)
	}
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
	cells := make([]pgtype.Text, len(statement.columns)*len(events))
	for i, c := range statement.columns {
		texts := cells[i*len(events) : (i+1)*len(events)]
		for j, event := range events {
			texts[j].String, texts[j].Valid = c.text(event)
		}
		arguments[i] = pgtype.FlatArray[pgtype.Text](texts)
	}
	_, err := p.pool.Exec(ctx, statement.sql, arguments...)
	return err
}

func (p *postgres) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTime): // a link that swallows packets; pgx gives up after 15 s
	}
}
