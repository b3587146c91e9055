package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/internal/pgtest"
	"signalbox/router"
)

// TestSQLPostgres is all that needs no server of its own.
func TestSQLPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t, "fsync=off")
	for name, test := range map[string]func(*testing.T, *pgtest.DB){
		"standard layout":            standardLayout,
		"created by ten at once":     createdByTen,
		"each event once":            eachOnce,
		"same events, two orders":    twoOrders,
		"bad rows":                   badRows,
		"columns":                    typedColumns,
		"values that do not fit":     misfits,
		"tables that do not fit":     unfitTables,
		"odd names":                  oddNames,
		"SQL in payloads":            sqlInPayloads,
		"warned without a key":       warnedWithoutKey,
		"table gone and back":        tableGoneAndBack,
		"least privilege":            leastPrivilege,
		"modes for poolers":          poolerModes,
		"a statement that is gone":   statementGone,
		"what is prepared":           whatIsPrepared,
		"idle connections":           idleConnections,
		"time in the key":            timeInKey,
		"large events":               largeEvents,
		"table that changes":         tableChanges,
		"constraint on a partition":  partitions,
		"what a trigger says":        triggers,
		"the password stays unsaid":  passwordUnsaid,
		"numbers as they are":        exactNumbers,
		"a batch may hold one twice": twiceInBatch,
		"connections":                connections,
		"connections that ended":     endedConnections,
		"what the page says":         documentedTables,

		"the end of a commit is not known": unknownOutcome,
		"a link that swallows packets":     halfOpen,
		"what the server says":             sqlStates,
		"too many connections":             tooManyConnections,
		"deadlock":                         deadlock,
		"serialization":                    serialization,
		"a lock that somebody holds":       locked,
		"a standby":                        readOnly,
		"full disk":                        fullDisk,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, server.Create(t))
		})
	}
}

func standardLayout(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	bare := event("2", `[1, 2]`)
	bare.Key, bare.Source = "", ""
	h.saved(t, event("1", `{"bid": "97429.71"}`), bare)
	if got, want := db.Text(`SELECT json_agg(e ORDER BY id)::jsonb #- '{0,received_at}' #- '{1,received_at}' FROM events e`), `[`+
		`{"id": "1", "key": "BTCUSDT", "data": {"bid": "97429.71"}, "time": "2026-11-21T22:30:00.123456+00:00", "type": "tick", "source": "/feed", "channel": "price_data"}, `+
		`{"id": "2", "key": null, "data": [1, 2], "time": "2026-11-21T22:30:00.123456+00:00", "type": "tick", "source": null, "channel": "price_data"}]`; got != want {
		// the server may show times in a zone of its own
		t.Errorf("rows %s\nwant %s", got, want)
	}
	if got := db.Text(`SELECT bool_and(now() - received_at BETWEEN '0 s' AND '1 min') FROM events`); got != "true" {
		t.Errorf("received_at is now: %s", got)
	}
}

// Ten routers find that there is no table, and make it in the same moment.
func createdByTen(t *testing.T, db *pgtest.DB) {
	other := db.Connect()
	const lock = `(hashtextextended('signalbox "events"', 0))`
	run(t, other, "SELECT pg_advisory_lock"+lock)
	var routers [10]*sqlHandler
	for n := range routers {
		routers[n] = newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	}
	awaitText(t, db, "10", "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'")
	run(t, other, "SELECT pg_advisory_unlock"+lock)
	for n, h := range routers {
		h.saved(t, ticks(n, n+1)...)
		if strings.Contains(h.log.String(), "level=WARN") {
			t.Errorf("router %d: %s", n, h.log)
		}
	}
	if got := db.Text("SELECT count(*) FROM events"); got != "10" {
		t.Errorf("%s rows", got)
	}
}

// awaitText waits until a query returns a text.
func awaitText(t *testing.T, db *pgtest.DB, want, query string, args ...any) {
	t.Helper()
	var got string
	for range 1000 {
		if got = db.Text(query, args...); got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: %s, want %s", query, got, want)
}

func eachOnce(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	h.saved(t, ticks(0, 200)...)
	h.saved(t, ticks(100, 300)...)
	other := event("id-7", `{"n":"other"}`)
	other.Channel = "orders"
	h.saved(t, other)
	if err := h.Handle(t.Context(), ticks(5, 6)[0]); err != nil {
		t.Error(err)
	}
	if got := db.Text("SELECT count(*) || ' ' || count(*) FILTER (WHERE data->>'n' = substr(id, 4)) FROM events"); got != "301 300" {
		t.Errorf("rows %s, want 301, of which 300 have the data that came first", got)
	}
}

// Replicas of a Pub/Sub channel save the same events at the same time, each in its order.
func twoOrders(t *testing.T, db *pgtest.DB) {
	db.Exec("ALTER SYSTEM SET deadlock_timeout = '10ms'", "SELECT pg_reload_conf()")
	var replicas sync.WaitGroup
	for n := range 4 {
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
		replicas.Go(func() {
			for round := range 30 {
				events := ticks(round*100, round*100+100)
				if n%2 == 1 {
					slices.Reverse(events)
				}
				if verdicts := h.HandleBatch(t.Context(), events); verdicts != nil {
					t.Errorf("replica %d: %v", n, verdicts[0])
					return
				}
			}
		})
	}
	replicas.Wait()
	if got := db.Text("SELECT count(*) FROM events"); got != "3000" {
		t.Errorf("%s rows", got)
	}
}

func badRows(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	events := ticks(0, 256)
	want := slices.Repeat([]string{"done"}, len(events))
	for at, bad := range map[int]*router.Event{
		0:   event("zero", `{"text":"a\u0000b"}`),
		77:  event("lone", `{"text":"\ud800"}`),
		78:  event("id with \x00", `{}`),
		130: event("key", `{}`),
		255: event(strings.Repeat("long id ", 100_000), `{}`),
	} {
		if at == 130 {
			bad.Key = "\x00"
		}
		events[at], want[at] = bad, "permanent"
	}
	verdicts := h.HandleBatch(t.Context(), events)
	if got := outcomes(verdicts, len(events)); !slices.Equal(got, want) {
		t.Errorf("outcomes %v", got)
	}
	if got := db.Text("SELECT count(*) FROM events"); got != "251" {
		t.Errorf("%s rows", got)
	}
	for at, text := range map[int]string{
		0:   `table "events": column "data" (jsonb) does not take "{"text":"a\u0000b"}" of data: unsupported Unicode escape sequence (SQLSTATE 22P05)`,
		78:  `table "events": column "id" (text) does not take "id with \u0000" of id: invalid byte sequence for encoding "UTF8": 0x00 (SQLSTATE 22021)`,
		130: `table "events": column "key" (text) does not take "\u0000" of key: `,
		255: `index row`,
	} {
		if got := fmt.Sprint(verdicts[at]); !strings.Contains(got, text) || len(got) > 700 {
			t.Errorf("event %d: %s\nwant     %s", at, got, text)
		}
	}
	if got := count(h.save(t, event("a", `{"t":"\u0000"}`), event("b", `{"t":"\u0000"}`))); got != "map[permanent:2]" {
		t.Errorf("only bad ones: %s", got)
	}
}

func typedColumns(t *testing.T, db *pgtest.DB) {
	db.Exec(`ALTER DATABASE `+db.Text("SELECT current_database()")+` SET timezone = 'Asia/Tokyo'`, `CREATE TYPE side AS ENUM ('buy', 'sell')`, `CREATE DOMAIN qty AS numeric(8,2) CHECK (VALUE > 0)`, `CREATE TABLE t (
		id text PRIMARY KEY, t text, v varchar(5), c char(3), i2 int2, i4 int4, i8 int8, n numeric, n2 numeric(5,2), f4 float4, f8 float8, b bool,
		tz timestamptz, local timestamptz, ts timestamp, d date, own timestamptz, j json, jb jsonb, js jsonb, whole jsonb, u uuid, raw bytea, e side, q qty, ip inet, nothing int DEFAULT 7)`)
	columns := map[string]string{"id": "id", "own": "time", "whole": "data", "js": "key"}
	for name := range strings.FieldsSeq("t v c i2 i4 i8 n n2 f4 f8 b tz local ts d j jb u raw e q ip nothing") {
		columns[name] = "data." + name
	}
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: columns})
	h.saved(t, event("1", `{"t":"ü😀'\"\\","v":"fünf5","c":"ab","i2":-32768,"i4":"2147483647","i8":9223372036854775807,"n":123456789012345678901234567890.125,`+
		`"n2":"999.99","f4":0.1,"f8":1e300,"b":true,"tz":"2026-11-21T10:00:00+02:00","local":"2026-11-21 10:00","ts":"2026-11-21T10:00:00+02:00","d":"2026-11-21T01:00:00+02:00","j":{"a" : 1},`+
		`"jb":"text","u":"0190a1b2-0000-7000-8000-000000000001","raw":"a\\b","e":"sell","q":"12.345","ip":"10.0.0.1"}`))
	h.saved(t, event("2", `{"b":null,"t":""}`))
	for query, want := range map[string]string{
		`t || '|' || v || '|' || c`: `ü😀'"\|fünf5|ab`,
		`i2 || ' ' || i4 || ' ' || i8 || ' ' || n || ' ' || n2 || ' ' || f4 || ' ' || f8 || ' ' || b`:                                  `-32768 2147483647 9223372036854775807 123456789012345678901234567890.125 999.99 0.1 1e+300 true`,
		`to_char(tz AT TIME ZONE 'UTC', 'DD HH24:MI') || '|' || to_char(local AT TIME ZONE 'UTC', 'HH24:MI') || '|' || ts || '|' || d`: `21 08:00|10:00|2026-11-21 08:00:00|2026-11-20`,
		`to_char(own AT TIME ZONE 'UTC', 'DD HH24:MI:SS.US')`:                                                                          `21 22:30:00.123456`,
		`j::text || jb || js || u || encode(raw, 'escape') || e || q || ip`:                                                            `{"a" : 1}"text""BTCUSDT"0190a1b2-0000-7000-8000-000000000001a\\bsell12.3510.0.0.1/32`,
		`whole->>'e'`: `sell`,
		`nothing`:     `NULL`,
	} {
		if got := db.Text(`SELECT ` + query + ` FROM t WHERE id = '1'`); got != want {
			t.Errorf("%s = %s\nwant %s", query, got, want)
		}
	}
	if got := db.Text(`SELECT (b IS NULL) || t || (n IS NULL) FROM t WHERE id = '2'`); got != "truetrue" {
		t.Errorf("missing, null and empty: %s", got)
	}
}

func misfits(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE DOMAIN qty AS numeric(8,2) CHECK (VALUE > 0)`, `CREATE TABLE p (id text PRIMARY KEY)`, `CREATE TABLE t (
		id text PRIMARY KEY, price numeric(5,2) NOT NULL, n int4, at timestamptz, v varchar(3), q qty, parent text REFERENCES p, CHECK (price < 100))`)
	columns := map[string]string{"id": "id"}
	for name := range strings.FieldsSeq("price n at v q parent") {
		columns[name] = "data." + name
	}
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: columns})
	for _, test := range []struct{ data, want string }{
		{`{"price":1}`, "<nil>"},
		{`{}`, `table "t": the event has no data.price for column "price": null value in column "price" of relation "t" violates not-null constraint (SQLSTATE 23502)`},
		{`{"price":"free"}`, `table "t": column "price" (numeric(5,2)) does not take "free" of data.price: invalid input syntax for type numeric: "free" (SQLSTATE 22P02)`},
		{`{"price":12345}`, `table "t": column "price" (numeric(5,2)) does not take "12345" of data.price: numeric field overflow (SQLSTATE 22003)`},
		{`{"price":100}`, `table "t": new row for relation "t" violates check constraint "t_price_check" (SQLSTATE 23514)`},
		{`{"price":1,"n":5.5}`, `table "t": column "n" (integer) does not take "5.5" of data.n: invalid input syntax for type integer: "5.5" (SQLSTATE 22P02)`},
		{`{"price":1,"n":2147483648}`, `column "n" (integer) does not take "2147483648" of data.n: `},
		{`{"price":1,"at":"yesterday at noon\nlevel=ERROR"}`, `column "at" (timestamp with time zone) does not take "yesterday at noon\u000alevel=ERROR" of data.at: `},
		{`{"price":1,"at":1763767800}`, `column "at" (timestamp with time zone) does not take "1763767800" of data.at: `},
		{`{"price":1,"v":"four"}`, `column "v" (character varying(3)) does not take "four" of data.v: value too long for type character varying(3) (SQLSTATE 22001)`},
		{`{"price":1,"v":"ab     "}`, "<nil>"}, // as PostgreSQL does it
		{`{"price":1,"q":-1}`, `column "q" (qty) does not take "-1" of data.q: value for domain qty violates check constraint "qty_check" (SQLSTATE 23514)`},
		{`{"price":1,"parent":"none"}`, `violates foreign key constraint "t_parent_fkey" (SQLSTATE 23503)`},
		{`{"price":1,"n":{"deep":[1, 2]}}`, `column "n" (integer) does not take "{"deep":[1,2]}" of data.n: `},
		{`{"price":1,"v":"` + strings.Repeat("€", 500) + `"}`, `does not take "` + strings.Repeat("€", 26) + `…" of data.v: `},
	} {
		err := h.Handle(t.Context(), event(fmt.Sprint(test.data), test.data))
		if got := fmt.Sprint(err); !strings.Contains(got, test.want) || strings.Contains(got, "\n") || err != nil && !router.IsPermanent(err) {
			t.Errorf("%.100s: %s\nwant %s", test.data, got, test.want)
		}
	}
	if got := db.Text("SELECT count(*) FROM t"); got != "2" {
		t.Errorf("%s rows", got)
	}
}

func unfitTables(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY, n int, must int NOT NULL, dflt int NOT NULL DEFAULT 1, always int GENERATED ALWAYS AS IDENTITY, made int GENERATED ALWAYS AS (n + 1) STORED, list text[], ser bigserial)`,
		`CREATE TABLE later (id text UNIQUE DEFERRABLE)`,
		`CREATE TABLE events (id text PRIMARY KEY, data jsonb)`)
	for _, test := range []struct {
		table   string
		columns map[string]string
		want    string
	}{
		{"nowhere", map[string]string{"id": "id"}, `table "nowhere" does not exist; make it"`},
		{"nowhere", nil, `table "nowhere" does not exist; make it, or write create = true"`},
		{"none.t", map[string]string{"id": "id"}, `table "none"."t" does not exist; make it"`},
		{"events", nil, `table "events" does not fit: it has no column "channel"; it has no column "type"; it has no column "source"; it has no column "time"; it has no column "key"; its columns are "id", "data"`},
		{"later", map[string]string{"id": "id"}, `table "later" does not fit: its key "later_id_key" is deferrable, so that ON CONFLICT cannot be used; make it NOT DEFERRABLE"`},
		{"t", map[string]string{"id": "id", "prise": "data.p", "must": "data.m"}, `it has no column "prise"; its columns are "id", "n", "must", `},
		{"t", map[string]string{"id": "id"}, `column "must" must not be null, has no default, and nothing fills it; its columns`},
		{"t", map[string]string{"id": "id", "must": "data.m", "always": "data.a"}, `column "always" is generated by the database and cannot be filled`},
		{"t", map[string]string{"id": "id", "must": "data.m", "made": "data.a"}, `column "made" is generated by the database and cannot be filled`},
		{"t", map[string]string{"id": "id", "must": "time"}, `table "t" does not fit: column "must" is integer, which a time does not fit; make it timestamptz`},
		{"t", map[string]string{"id": "id", "must": "data.m", "list": "data.l"}, `table "t" does not fit: column "list" is text[], which no value of an event fits; make it jsonb`},
	} {
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: test.table, Columns: test.columns})
		h.says(t, "the database cannot be used yet; events wait until it can")
		verdicts := h.HandleBatch(t.Context(), ticks(0, 2))
		if got := count(outcomes(verdicts, 2)); got != "map[unavailable:2]" {
			t.Errorf("%s %v: %s", test.table, test.columns, got)
		}
		if got := fmt.Sprintf("%v\"", verdicts[0]); !strings.Contains(got, test.want) {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}

func oddNames(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE SCHEMA "order"`, `CREATE SCHEMA "a.b"`)
	for _, table := range []string{`select`, `order.Group`, `"a.b"."c""d; DROP TABLE x --"`, `'); DROP TABLE x; --`, `ünïcode 😀`, "new\nline", `$1`, `public.?`} {
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: table, Create: true})
		h.saved(t, event("1", `{}`))
		h.saved(t, event("1", `{}`))
	}
	if got := db.Text(`SELECT string_agg(n || '=' || c, ' ' ORDER BY n) FROM (SELECT relname n, (xpath('//c/text()', query_to_xml(format('SELECT count(*) c FROM %I.%I', nspname, relname), false, true, '')))[1]::text c
		FROM pg_class JOIN pg_namespace s ON s.oid = relnamespace WHERE relkind = 'r' AND nspname IN ('public', 'order', 'a.b')) x`); got != "$1=1 '); DROP TABLE x; --=1 ?=1 Group=1 c\"d; DROP TABLE x --=1 new\nline=1 select=1 ünïcode 😀=1" {
		t.Errorf("tables %s", got)
	}
	db.Exec(`CREATE TABLE odd ("select" text PRIMARY KEY, "a ""b"" $1" text, "Ü" text)`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "odd", Columns: map[string]string{"select": "id", `a "b" $1`: "data.x", "Ü": "key"}})
	h.saved(t, event("1", `{"x":"y"}`))
	if got := db.Text(`SELECT "a ""b"" $1" || "Ü" FROM odd`); got != "yBTCUSDT" {
		t.Errorf("row %s", got)
	}
}

// What a payload says is a value, whatever it looks like.
func sqlInPayloads(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	db.Exec(`CREATE TABLE c (id text PRIMARY KEY, a text, n numeric)`)
	hc := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "c", Columns: map[string]string{"id": "id", "a": "data.a", "n": "data.n"}})
	attacks := []string{
		`'); DROP TABLE events; --`, `"; DROP TABLE events; --`, `$1`, `$$; DROP TABLE events; $$`, `\'; DROP TABLE events; --`, `{a,NULL,"b"}`, `NULL`, `},{`, `1); DELETE FROM c; --`,
		`' || pg_sleep(10) || '`, "/*", "\\x00", "%s %d", "\u2019; DROP TABLE events; --", "e'\\''",
	}
	for i, text := range attacks {
		data := fmt.Sprintf(`{"a":%q}`, text)
		e := event(text, data)
		e.Type, e.Key, e.Source, e.Name = text, text, text, text
		h.saved(t, e)
		hc.saved(t, e)
		if got := db.Text(`SELECT type || key || source || (data->>'a') FROM events WHERE id = $1`, text); got != strings.Repeat(text, 4) {
			t.Errorf("%q was saved as %s", text, got)
		}
		if got := db.Text(`SELECT a FROM c WHERE id = $1`, text); got != text {
			t.Errorf("%q was saved as %s", text, got)
		}
		if err := hc.Handle(t.Context(), event(fmt.Sprint("n", i), fmt.Sprintf(`{"n":%q}`, text))); !router.IsPermanent(err) {
			t.Errorf("%q as a number: %v", text, err)
		}
	}
	if got, want := db.Text("SELECT (SELECT count(*) FROM events) || ' ' || (SELECT count(*) FROM c)"), fmt.Sprint(len(attacks), " ", len(attacks)); got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
}

func warnedWithoutKey(t *testing.T, db *pgtest.DB) {
	const warning = "events that come again will be saved again"
	for name, test := range map[string]struct {
		table string
		warns bool
	}{
		"none":       {"id text, channel text", true},
		"of its own": {"own bigserial PRIMARY KEY, id text, channel text", true},
		"partial":    {"id text, channel text); CREATE UNIQUE INDEX ON of_partial (id) WHERE (channel = 'x'", true},
		"expression": {"id text, channel text); CREATE UNIQUE INDEX ON of_expression (lower(id)", true},
		"half":       {"id text, channel text, other text DEFAULT 'x', UNIQUE (id, other)", true},
		"primary":    {"id text PRIMARY KEY, channel text", false},
		"both":       {"own bigserial PRIMARY KEY, id text, channel text, UNIQUE (channel, id)", false},
		"included":   {"own bigserial, id text, channel text, UNIQUE (id) INCLUDE (own)", false},
	} {
		table := "of_" + strings.ReplaceAll(name, " ", "_")
		db.Exec("CREATE TABLE " + table + " (" + test.table + ")")
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: table, Columns: map[string]string{"id": "id", "channel": "channel"}})
		h.saved(t, event("1", `{}`))
		h.saved(t, event("1", `{}`))
		if got := strings.Contains(h.log.String(), warning); got != test.warns {
			t.Errorf("%s: warned %v: %s", name, got, h.log)
		}
		if got := db.Text("SELECT count(*) FROM " + table); !test.warns && got != "1" {
			t.Errorf("%s: %s rows", name, got)
		}
	}
}

// A table that is dropped costs no event: they wait until it is there again.
func tableGoneAndBack(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY, n int)`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: map[string]string{"id": "id", "n": "data.n"}})
	h.saved(t, ticks(0, 10)...)
	db.Exec(`ALTER TABLE t RENAME TO moved`)
	for range 3 {
		if got := count(h.save(t, ticks(10, 20)...)); got != "map[unavailable:10]" {
			t.Errorf("without the table: %s", got)
		}
	}
	db.Exec(`ALTER TABLE moved RENAME TO t`)
	h.saved(t, ticks(10, 20)...)
	db.Exec(`ALTER TABLE t RENAME n TO m`)
	if got := count(h.save(t, ticks(20, 30)...)); got != "map[unavailable:10]" {
		t.Errorf("without the column: %s", got)
	}
	db.Exec(`ALTER TABLE t RENAME m TO n`)
	h.saved(t, ticks(20, 30)...)
	if got := db.Text("SELECT count(*) FROM t"); got != "30" {
		t.Errorf("%s rows", got)
	}
	made := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	made.saved(t, ticks(0, 1)...)
	db.Exec("DROP TABLE events")
	if got := count(made.save(t, ticks(1, 2)...)); got != "map[unavailable:1]" {
		t.Errorf("with create, when the table is dropped: %s", got)
	}
	made.saved(t, ticks(1, 2)...)
}

// A user that may only insert is enough, and one that may not yet costs no event.
func leastPrivilege(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY, n int)`, `CREATE ROLE saver LOGIN PASSWORD 'canary-pw'`)
	dsn := strings.Replace(db.DSN, pgtest.User+":"+pgtest.Password, "saver:canary-pw", 1)
	h := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "t", Columns: map[string]string{"id": "id", "n": "data.n"}})
	verdicts := h.HandleBatch(t.Context(), ticks(0, 2))
	if got := count(outcomes(verdicts, 2)); got != "map[unavailable:2]" || !strings.Contains(verdicts[0].Error(), "permission denied for table t (SQLSTATE 42501); GRANT INSERT on the table to this user") {
		t.Errorf("without the privilege: %s %v", got, verdicts)
	}
	db.Exec(`GRANT INSERT ON t TO saver`)
	h.saved(t, ticks(0, 2)...)
	h.saved(t, ticks(0, 2)...)

	db.Exec(`CREATE SCHEMA closed`)
	closed := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "closed.events", Create: true})
	if got := count(closed.save(t, ticks(0, 1)...)); got != "map[unavailable:1]" {
		t.Errorf("without the right to create: %s", got)
	}
	db.Exec(`GRANT ALL ON SCHEMA closed TO saver`)
	closed.saved(t, ticks(0, 1)...)

	db.Exec(`ALTER ROLE saver PASSWORD 'changed'`)
	rejected := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "t", Columns: map[string]string{"id": "id", "n": "data.n"}})
	verdicts = rejected.HandleBatch(t.Context(), ticks(5, 6))
	if got := count(outcomes(verdicts, 1)); got != "map[unavailable:1]" || !strings.Contains(verdicts[0].Error(), "password authentication failed") {
		t.Errorf("with another password: %s %v", got, verdicts)
	}
	db.Exec(`ALTER ROLE saver PASSWORD 'canary-pw'`)
	rejected.saved(t, ticks(5, 6)...)
	for _, said := range []string{h.log.String(), rejected.log.String(), fmt.Sprint(verdicts), closed.log.String()} {
		if strings.Contains(said, "canary") {
			t.Errorf("the password was told: %s", said)
		}
	}
}

func poolerModes(t *testing.T, db *pgtest.DB) {
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&default_query_exec_mode=" + mode, Table: mode, Create: true})
		events := append(ticks(0, 20), event("odd", `{"t":"{\"},NULL' \\ $1"}`))
		bare := event("bare", `null`)
		bare.Key = ""
		h.saved(t, append(events, bare)...)
		h.saved(t, events...)
		if got := db.Text("SELECT count(*) || coalesce(max(data->>'t'), '') || count(key) FROM " + mode); got != `22{"},NULL' \ $121` {
			t.Errorf("%s: %s", mode, got)
		}
		if got := count(h.save(t, ticks(20, 21)[0], event("x", `{"t":"\u0000"}`))); got != "map[done:1 permanent:1]" {
			t.Errorf("%s: %s", mode, got)
		}
	}
}

// A pooler has given the connection to another server, which does not know the statement: it is
// prepared anew.
func statementGone(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`, `CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN DEALLOCATE ALL; RETURN NULL; END $f$`,
		`CREATE TRIGGER forget AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION forget()`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&pool_max_conns=1", Table: "t", Columns: map[string]string{"id": "id"}})
	h.saved(t, ticks(0, 5)...)
	verdicts := h.HandleBatch(t.Context(), ticks(5, 10))
	if text := fmt.Sprint(verdicts); verdicts != nil && !strings.Contains(text, "(SQLSTATE 26000); behind a pooler that gives each transaction another connection, add default_query_exec_mode=exec to the dsn") {
		t.Errorf("verdicts %v", verdicts)
	}
	db.Exec(`DROP TRIGGER forget ON t`)
	h.saved(t, ticks(5, 10)...)
	if got := db.Text("SELECT count(*) FROM t"); got != "10" {
		t.Errorf("%s rows", got)
	}
}

// What inserts is prepared once on a connection, under a name of its own for each table, and
// only when the dsn lets it be.
func whatIsPrepared(t *testing.T, db *pgtest.DB) {
	for parameters, want := range map[string]string{
		"": "1", "&default_query_exec_mode=cache_statement": "1",
		"&default_query_exec_mode=cache_describe": "0", "&default_query_exec_mode=describe_exec": "0", "&default_query_exec_mode=exec": "0",
		"&default_query_exec_mode=simple_protocol": "0", "&statement_cache_capacity=0": "0",
	} {
		db.Exec(`DROP TABLE IF EXISTS a, b, seen`, `CREATE TABLE a (id text PRIMARY KEY)`, `CREATE TABLE b (id text PRIMARY KEY)`, `CREATE TABLE seen (pid int, name text)`,
			`CREATE OR REPLACE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN
				INSERT INTO seen SELECT pg_backend_pid(), name FROM pg_prepared_statements WHERE NOT from_sql; RETURN NULL; END $f$`,
			`CREATE TRIGGER look AFTER INSERT ON a FOR EACH STATEMENT EXECUTE FUNCTION look()`, `CREATE TRIGGER look AFTER INSERT ON b FOR EACH STATEMENT EXECUTE FUNCTION look()`)
		for _, table := range []string{"a", "b"} {
			h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&pool_max_conns=1" + parameters, Table: table, Columns: map[string]string{"id": "id"}})
			h.saved(t, ticks(0, 5)...)
			h.saved(t, ticks(5, 10)...)
			if got := db.Text("SELECT count(*) FROM " + table); got != "10" {
				t.Errorf("%q: %s rows in %s", parameters, got, table)
			}
		}
		names := map[string]string{"0": "0", "1": "2"}[want]
		if got := db.Text("SELECT count(DISTINCT name) || ' ' || coalesce(max(n), 0) FROM (SELECT name, count(*) OVER (PARTITION BY pid, name) / 2 AS n FROM seen) s"); got != names+" "+want {
			t.Errorf("%q: names and how often each was there: %s, want %s %s", parameters, got, names, want)
		}
	}
}

// A connection that was idle is asked whether it is there, and one that has lived long enough is not used again.
func idleConnections(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`)
	const pid = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity WHERE application_name = $1"
	for name, parameters := range map[string]string{"idle": "", "old": "&pool_max_conn_lifetime=1ms", "unused": "&pool_max_conn_idle_time=1ms"} {
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&pool_max_conns=1&application_name=" + name + parameters, Table: "t", Columns: map[string]string{"id": "id"}})
		h.saved(t, ticks(0, 1)...)
		before := db.Text(pid, name)
		if name == "idle" {
			db.Exec("SELECT pg_terminate_backend(" + before + ")")
		}
		time.Sleep(1100 * time.Millisecond)
		h.saved(t, ticks(0, 2)...)
		if after := db.Text(pid, name); after == before {
			t.Errorf("%s: connection %s is used again", name, after)
		}
	}
}

// A hypertable's unique keys contain its time; the statement takes any key.
func timeInKey(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE ticks (id text NOT NULL, channel text NOT NULL, type text NOT NULL, source text, time timestamptz NOT NULL,
		received_at timestamptz NOT NULL DEFAULT now(), key text, data jsonb, PRIMARY KEY (channel, id, time)) PARTITION BY RANGE (time)`,
		`CREATE TABLE ticks_2026 PARTITION OF ticks FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "ticks"})
	h.saved(t, ticks(0, 50)...)
	h.saved(t, ticks(0, 50)...)
	if got := db.Text("SELECT count(*) FROM ticks"); got != "50" || strings.Contains(h.log.String(), "come again") {
		t.Errorf("%s rows, log %s", got, h.log)
	}
}

// Many large events are several statements, of at most 4 MB.
func largeEvents(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	var events []*router.Event
	for n := range 10 {
		events = append(events, event(fmt.Sprint(n), fmt.Sprintf(`{"pad":%q}`, strings.Repeat("x", 1<<20))))
	}
	h.saved(t, events...)
	if got := db.Text("SELECT count(*) || ' ' || min(length(data->>'pad')) || ' ' || count(DISTINCT xmin::text) FROM events"); got != "10 1048576 4" {
		t.Errorf("rows %s", got)
	}
}

// A statement that was prepared for what the table was before is prepared again.
func tableChanges(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY, n int)`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: map[string]string{"id": "id", "n": "data.bid"}})
	if got := count(h.save(t, ticks(0, 1)...)); got != "map[permanent:1]" {
		t.Errorf("a decimal in an integer: %s", got)
	}
	db.Exec(`ALTER TABLE t ALTER n TYPE numeric`)
	events := ticks(0, 10)
	if got := count(h.save(t, events...)); got != "map[unavailable:10]" { // its parameter is still an integer
		t.Errorf("right after the change: %s", got)
	}
	h.saved(t, events...)
	db.Exec(`ALTER TABLE t DROP n`, `ALTER TABLE t ADD n jsonb`)
	if got := count(h.save(t, ticks(10, 20)...)); got != "map[unavailable:10]" {
		t.Errorf("right after the second change: %s", got)
	}
	h.saved(t, ticks(10, 20)...)
	if got := db.Text("SELECT count(*) || string_agg(DISTINCT jsonb_typeof(n), ' ') FROM t"); got != "20string" {
		t.Errorf("rows %s", got)
	}
}

// A partition that is missing may be there at the next attempt.
func partitions(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text, time timestamptz, PRIMARY KEY (id, time)) PARTITION BY RANGE (time)`,
		`CREATE TABLE t_2026 PARTITION OF t FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: map[string]string{"id": "id", "time": "time"}})
	late := event("late", `{}`)
	late.Time = late.Time.AddDate(1, 0, 0)
	events := append(ticks(0, 9), late)
	if got := count(h.save(t, events...)); got != "map[done:9 failed:1]" {
		t.Errorf("without the partition: %s", got)
	}
	db.Exec(`CREATE TABLE t_2027 PARTITION OF t FOR VALUES FROM ('2027-01-01') TO ('2028-01-01')`)
	h.saved(t, events...)
}

func triggers(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`,
		`CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN IF new.id = 'id-3' THEN RAISE EXCEPTION 'not %', new.id; END IF; RETURN new; END $f$`,
		`CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: map[string]string{"id": "id"}})
	verdicts := h.HandleBatch(t.Context(), ticks(0, 10))
	if got := count(outcomes(verdicts, 10)); got != "map[done:9 failed:1]" || !strings.Contains(verdicts[3].Error(), "not id-3 (SQLSTATE P0001)") {
		t.Errorf("%s %v", got, verdicts)
	}
}

func passwordUnsaid(t *testing.T, db *pgtest.DB) {
	const canary = "canary%2Fp%40ss"
	for _, dsn := range []string{
		"postgres://trader:" + canary + "@127.0.0.1:1/x?connect_timeout=1",
		"postgres://trader:" + canary + "@no-such-host.invalid/x?connect_timeout=1",
		strings.Replace(db.DSN, pgtest.Password, canary, 1),
		strings.Replace(db.DSN, "disable", "require", 1) + "&password=" + canary,
		strings.Replace(db.DSN, "/db", "/nope", 1),
	} {
		h := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "events", Create: true})
		err := h.Handle(t.Context(), event("1", `{}`))
		if _, isAway := router.IsUnavailable(err); !isAway {
			t.Errorf("error %v", err)
		}
		h.says(t, "cannot be used yet")
		if strings.Contains(dsn, "invalid") {
			h.says(t, "the database's certificate is not checked")
		}
		for _, secret := range []string{"canary", "p@ss", pgtest.Password} {
			if said := h.log.String() + err.Error(); strings.Contains(said, secret) || strings.Contains(said, `\n`) {
				t.Errorf("said %s", said)
			}
		}
	}
}

func exactNumbers(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	const data = `{"a": 12345678901234567890.12345678901234567890, "b": 1e400, "c": 0.10, "d": 9007199254740993}`
	h.saved(t, event("1", data))
	if got := db.Text("SELECT data FROM events"); !strings.Contains(got, `"a": 12345678901234567890.12345678901234567890,`) ||
		!strings.Contains(got, `"c": 0.10`) || !strings.Contains(got, `"d": 9007199254740993`) || !strings.Contains(got, `"b": 1`+strings.Repeat("0", 400)) {
		t.Errorf("saved as %s", got)
	}
}

func twiceInBatch(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	h.saved(t, event("1", `"first"`), event("0", `0`), event("1", `"second"`))
	if got := db.Text("SELECT string_agg(data::text, ' ' ORDER BY id) FROM events"); got != `0 "first"` {
		t.Errorf("saved %s", got)
	}
}

// A handler keeps to its connections, however many ask.
func connections(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`)
	other := db.Connect()
	for parameter, want := range map[string]string{"": "4", "&pool_max_conns=2": "2"} {
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + parameter + "&application_name=of" + want, Table: "t", Columns: map[string]string{"id": "id"}})
		run(t, other, "BEGIN")
		run(t, other, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
		h.says(t, "the database is ready")
		var asking sync.WaitGroup
		for n := range 10 {
			asking.Go(func() {
				if verdicts := h.HandleBatch(t.Context(), ticks(n, n+1)); verdicts != nil {
					t.Error(verdicts)
				}
			})
		}
		awaitText(t, db, want+" "+want, "SELECT count(*) || ' ' || count(*) FILTER (WHERE wait_event_type = 'Lock') FROM pg_stat_activity WHERE application_name = $1", "of"+want)
		run(t, other, "COMMIT")
		asking.Wait()
		if got := db.Text("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1", "of"+want); got != want {
			t.Errorf("%q: %s connections in the end", parameter, got)
		}
	}
	if got := db.Text("SELECT count(*) FROM t"); got != "10" {
		t.Errorf("%s rows", got)
	}
}

// When one connection has ended, the next attempt uses none of the others, which have, too.
func endedConnections(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`)
	l, dsn := through(t, db)
	h := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "t", Columns: map[string]string{"id": "id"}})
	other := db.Connect()
	for how, end := range map[string]func(){
		"the network": l.cut,
		"the server": func() {
			db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox:test' AND datname = current_database()")
		},
	} {
		run(t, other, "BEGIN")
		run(t, other, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
		var asking sync.WaitGroup
		for n := range 4 {
			asking.Go(func() { _ = h.HandleBatch(t.Context(), ticks(n, n+1)) })
		}
		awaitText(t, db, "4", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signalbox:test' AND datname = current_database() AND wait_event_type = 'Lock'")
		run(t, other, "COMMIT")
		asking.Wait()
		end()
		if got := count(h.save(t, ticks(0, 9)...)); got != "map[unavailable:9]" {
			t.Errorf("%s ended them: %s", how, got)
		}
		if verdicts := h.HandleBatch(t.Context(), ticks(0, 9)); verdicts != nil {
			t.Errorf("after %s ended them: %v", how, verdicts[0])
		}
	}
	if got := db.Text("SELECT count(*) FROM t"); got != "9" {
		t.Errorf("%s rows", got)
	}
}

// The tables on the page are what create makes, and what events fit into.
func documentedTables(t *testing.T, db *pgtest.DB) {
	page, err := os.ReadFile("../docs/handlers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## sql\n")
	blocks := strings.Split(section, "```sql\n")
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of SQL", len(blocks)-1)
	}
	for _, block := range blocks[1:] {
		statement, _, _ := strings.Cut(block, ";\nSELECT create_hypertable")
		statement, _, _ = strings.Cut(statement, "```")
		db.Exec(statement)
	}
	newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "made", Create: true}).saved(t, ticks(0, 1)...)
	const columns = `SELECT string_agg(concat_ws(' ', column_name, data_type, is_nullable, column_default), ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = $1`
	made := db.Text(columns, "made")
	for _, table := range []string{"events", "ticks"} {
		if got := db.Text(columns, table); got != made {
			t.Errorf("%s on the page has %s\nwant %s", table, got, made)
		}
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: table})
		h.saved(t, ticks(0, 9)...)
		h.saved(t, ticks(0, 9)...)
		if got := db.Text("SELECT count(*) FROM " + table); got != "9" || strings.Contains(h.log.String(), "WARN") {
			t.Errorf("%s: %s rows, log %s", table, got, h.log)
		}
	}
}

// A shutdown says nothing of the database; a timeout of the route does.
func TestSQLInterrupted(t *testing.T) {
	t.Parallel()
	h := newSQL(t, handlers.SQLOptions{DSN: "postgres://127.0.0.1:1/x", Table: "events", Create: true})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	verdicts := h.HandleBatch(ended, ticks(0, 2))
	if got := count(outcomes(verdicts, 2)); got != "map[canceled:2]" || !errors.Is(verdicts[0], context.Canceled) {
		t.Errorf("%s %v", got, verdicts)
	}
	expired, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(context.DeadlineExceeded)
	if got := count(outcomes(h.HandleBatch(expired, ticks(0, 2)), 2)); got != "map[unavailable:2]" {
		t.Errorf("after a timeout: %s", got)
	}
}
