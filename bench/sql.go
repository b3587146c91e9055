package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"signalbox/internal/pgtest"
)

// postgresEnv is the dsn of the database for a contender that saves.
const postgresEnv = "BENCH_POSTGRES"

// savedTable is where contenders save: the standard layout of the kind sql.
const savedTable = `CREATE TABLE IF NOT EXISTS events (id text NOT NULL, channel text NOT NULL, type text NOT NULL, source text, time timestamptz NOT NULL,
	received_at timestamptz NOT NULL DEFAULT now(), key text, data jsonb, PRIMARY KEY (channel, id))`

// saveDrain compares the kind sql with a loop that saves slices with the same statement,
// and one that saves each entry by itself. PostgreSQL is as it is installed: each commit
// waits for the disk.
func saveDrain(b *bench) ([]result, error) {
	if _, err := pgtest.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "left out:", err)
		return nil, nil
	}
	server, err := pgtest.New()
	if err != nil {
		return nil, err
	}
	defer server.Close()
	if err := server.Run(); err != nil {
		return nil, err
	}
	b.postgres = server.DSN("")
	l := &load{n: b.saves}
	few := &load{n: b.saves / 25} // for who needs a second for that
	all := []*contender{
		{name: "pgx, slices of 256", load: l, stream: true, save: true},
		{name: "pgx, single inserts", load: few, stream: true, save: true},
		{name: "Signalbox", load: l, stream: true, save: true, routes: func(channel string) routes {
			return one(channel, "stream", "sql", fmt.Sprintf("dsn = %q\ntable = \"events\"\ncreate = true", b.postgres))
		}},
	}
	rates, err := b.rates(all...)
	if err != nil {
		return nil, err
	}
	results := []result{
		atLeast(0.7, "sql, stream → PostgreSQL, to a pgx loop in slices of 256", ratios(rates["Signalbox"], rates["pgx, slices of 256"])),
		atLeast(15, "sql, stream → PostgreSQL, to single inserts", ratios(rates["Signalbox"], rates["pgx, single inserts"])),
	}
	return append(results, speeds("sql, stream → PostgreSQL", rates, all)...), nil
}

// awaitSaved returns how long it took until the load was acknowledged, checks that it is in
// the table, and empties that. Asking Redis costs PostgreSQL nothing.
func (p *process) awaitSaved(begin time.Time) (time.Duration, error) {
	for {
		groups, err := p.b.server.client.XInfoGroups(p.b.ctx, p.channel).Result()
		took := time.Since(begin)
		switch {
		case err != nil:
			return 0, err
		case len(groups) == 1 && groups[0].Pending == 0 && groups[0].Lag == 0:
			return took, p.savedRight()
		case took > patience:
			return 0, fmt.Errorf("%s acknowledged fewer than %d entries", p.name, p.load.n)
		}
		time.Sleep(time.Millisecond)
	}
}

// savedRight checks what was saved, and removes it.
func (p *process) savedRight() error {
	db, err := pgx.Connect(p.b.ctx, p.b.postgres)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close(p.b.ctx) }()
	var rows, sum int64
	if err := db.QueryRow(p.b.ctx, "SELECT count(*), coalesce(sum((data->>'seq')::bigint), 0) FROM events WHERE channel = $1 AND key = data->>'symbol'", p.channel).Scan(&rows, &sum); err != nil {
		return err
	}
	n := int64(p.load.n)
	if want := n*firstSeq + n*(n-1)/2; rows != n || sum != want {
		return fmt.Errorf("%s saved %d rows with the sum %d; want %d and %d", p.name, rows, sum, n, want)
	}
	_, err = db.Exec(p.b.ctx, "TRUNCATE events")
	return err
}

// saving opens the database and makes the table.
func saving(ctx context.Context) (*pgxpool.Pool, error) {
	db, err := pgxpool.New(ctx, os.Getenv(postgresEnv))
	if err != nil {
		return nil, err
	}
	_, err = db.Exec(ctx, savedTable)
	return db, err
}

// row is what a hand-written loop saves of an entry.
type row struct {
	ID     string          `json:"id"`
	Type   string          `json:"type"`
	Source string          `json:"source"`
	Time   time.Time       `json:"time"`
	Data   json.RawMessage `json:"data"`
	key    string
}

func rowOf(entry redis.XMessage) (r row, err error) {
	payload, _ := entry.Values["payload"].(string)
	if err := json.Unmarshal([]byte(payload), &r); err != nil {
		return r, err
	}
	var data quote
	err = json.Unmarshal(r.Data, &data)
	r.key = data.Symbol
	return r, err
}

// saveSlices saves what it reads with one statement.
func saveSlices(ctx context.Context, j job) error {
	db, err := saving(ctx)
	if err != nil {
		return err
	}
	return j.readGroup(ctx, func(entries []redis.XMessage) error {
		n := len(entries)
		ids, channels, types, sources, keys, data, times := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]json.RawMessage, n), make([]time.Time, n)
		for i, entry := range entries {
			r, err := rowOf(entry)
			if err != nil {
				return err
			}
			ids[i], channels[i], types[i], sources[i], times[i], keys[i], data[i] = r.ID, j.channel, r.Type, r.Source, r.Time, r.key, r.Data
		}
		_, err := db.Exec(ctx, `INSERT INTO events (id, channel, type, source, time, key, data)
			SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::jsonb[]) ON CONFLICT DO NOTHING`,
			ids, channels, types, sources, times, keys, data)
		return err
	})
}

// saveEach saves each entry by itself. What it reads and acknowledges, it does in slices.
func saveEach(ctx context.Context, j job) error {
	db, err := saving(ctx)
	if err != nil {
		return err
	}
	return j.readGroup(ctx, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			r, err := rowOf(entry)
			if err != nil {
				return err
			}
			if _, err := db.Exec(ctx, `INSERT INTO events (id, channel, type, source, time, key, data) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
				r.ID, j.channel, r.Type, r.Source, r.Time, r.key, r.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// readGroup makes the group, and reads in it.
func (j job) readGroup(ctx context.Context, handle func([]redis.XMessage) error) error {
	if err := j.redis.XGroupCreateMkStream(ctx, j.channel, group, "0").Err(); err != nil {
		return err
	}
	ready()
	return errors.Join(errors.New("the stream ended"), j.eachSlice(ctx, handle))
}
