package handlers_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signalbox/handlers"
	"signalbox/router"
)

// file is an SQLite file of the test, and options for it.
func file(t *testing.T, options handlers.SQLOptions) (handlers.SQLOptions, *sqliteDB) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a %41 #b'c.db")
	options.DSN = "sqlite:" + path
	return options, openFile(t, path)
}

type sqliteDB struct {
	t  *testing.T
	db *sql.DB
}

// openFile opens a file for the test's own statements; it is made when the first is run.
func openFile(t *testing.T, path string) *sqliteDB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23", " ", "%20").Replace(path)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return &sqliteDB{t, db}
}

func (d *sqliteDB) exec(statements ...string) {
	d.t.Helper()
	for _, statement := range statements {
		if _, err := d.db.ExecContext(d.t.Context(), statement); err != nil {
			d.t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (d *sqliteDB) text(query string, args ...any) string {
	d.t.Helper()
	var text string
	if err := d.db.QueryRowContext(d.t.Context(), "SELECT coalesce(CAST(("+query+") AS TEXT), 'NULL')", args...).Scan(&text); err != nil {
		d.t.Fatalf("%s: %v", query, err)
	}
	return text
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	options, db := file(t, handlers.SQLOptions{Table: "events", Create: true})
	h := newSQL(t, options)
	bare := event("2", ` "text" `)
	bare.Key, bare.Source, bare.Time = "", "", bare.Time.Truncate(time.Second)
	h.saved(t, event("1", `{"bid": 12345678901234567890.1234567890}`), bare, event("3\x00", `{"t":"\u0000"}`))
	h.saved(t, event("1", `"again"`))
	for query, want := range map[string]string{
		`SELECT group_concat(id || '|' || channel || '|' || type || '|' || coalesce(source, 'NULL') || '|' || time || '|' || coalesce(key, 'NULL') || '|' || data, ' ') FROM events WHERE id < '3'`: `1|price_data|tick|/feed|2026-11-21T22:30:00.123456Z|BTCUSDT|{"bid": 12345678901234567890.1234567890} ` +
			`2|price_data|tick|NULL|2026-11-21T22:30:00.000000Z|NULL|"text"`,
		`SELECT count(*) FROM events WHERE length(CAST(id AS BLOB)) = 2 AND json_valid(data)`:      `1`,
		`SELECT group_concat(id) FROM (SELECT * FROM events WHERE id < '3' ORDER BY time)`:         `2,1`,
		`SELECT data ->> '$' FROM events WHERE id = '2'`:                                           `text`,
		`SELECT count(*) FROM events WHERE abs(julianday(received_at) - julianday('now')) < 0.001`: `3`,
		`SELECT strftime('%H:%M', time) FROM events WHERE id = '1'`:                                `22:30`,
		`SELECT journal_mode FROM pragma_journal_mode`:                                             `wal`,
	} {
		if got := db.text(query); got != want {
			t.Errorf("%s\n is  %s\nwant %s", query, got, want)
		}
	}
}

func TestSQLiteColumns(t *testing.T) {
	t.Parallel()
	options, db := file(t, handlers.SQLOptions{Table: `main."odd ""name"`, Columns: map[string]string{"id": "id", "at": "time", "select": "key", "whole": "data", "j": "data.j"}})
	for name := range strings.FieldsSeq("i r s b n any") {
		options.Columns[name] = "data." + name
	}
	db.exec(`CREATE TABLE "odd ""name" (id VARCHAR(10) PRIMARY KEY, at DATETIME, "select" TEXT NOT NULL CHECK ("select" <> 'bad'), whole JSON, j JSON TEXT,
		i BIGINT, r DOUBLE, s TEXT, b BOOLEAN, n NUMERIC, "any", own INTEGER NOT NULL DEFAULT 7)`)
	h := newSQL(t, options)
	h.saved(t, event("1", `{"i":"9223372036854775807","r":1e300,"s":5,"b":true,"n":"12.5","any":9007199254740993,"j":["a"]}`))
	h.saved(t, event("2", `{"i":null,"any":"x","s":{"a": 1}}`))
	h.saved(t, event("2", `{}`))
	for query, want := range map[string]string{
		`SELECT i || ' ' || typeof(i) || ' ' || r || ' ' || s || ' ' || typeof(s) || ' ' || b || ' ' || n || ' ' || typeof(n) || ' ' || "any" || ' ' || typeof("any") FROM "odd ""name" WHERE id = 1`: `9223372036854775807 integer 1.0e+300 5 text 1 12.5 real 9007199254740993 integer`,
		`SELECT at || "select" || j || (whole ->> 'i') || own FROM "odd ""name" WHERE id = 1`:                                                                                                         `2026-11-21T22:30:00.123456ZBTCUSDT["a"]92233720368547758077`,
		`SELECT (i IS NULL) || "any" || s FROM "odd ""name" WHERE id = 2`:                                                                                                                             `1x{"a":1}`,
		`SELECT count(*) FROM "odd ""name"`: `2`,
	} {
		if got := db.text(query); got != want {
			t.Errorf("%s\n is  %s\nwant %s", query, got, want)
		}
	}
	events := ticks(0, 50)
	want := slices.Repeat([]string{"done"}, len(events))
	texts := map[int]string{
		0:  `column "i" (BIGINT) does not take "5.5" of data.i`,
		10: `column "i" (BIGINT) does not take "many\u000alines" of data.i`,
		20: `column "r" (DOUBLE) does not take "1e400" of data.r`,
		30: `NOT NULL constraint failed: odd "name.select (1299): the event has no key for column "select"`,
		49: `CHECK constraint failed: select (275)`,
	}
	for at, data := range map[int]string{0: `{"i":5.5}`, 10: `{"i":"many\nlines"}`, 20: `{"r":1e400}`, 30: `{}`, 49: `{}`} {
		events[at], want[at] = event(fmt.Sprint("bad ", at), data), "permanent"
	}
	events[30].Key, events[49].Key = "", "bad"
	verdicts := h.HandleBatch(t.Context(), events)
	if got := outcomes(verdicts, len(events)); !slices.Equal(got, want) {
		t.Errorf("outcomes %v", got)
	}
	for at, text := range texts {
		if got := fmt.Sprint(verdicts[at]); !strings.Contains(got, text) || strings.Contains(got, "\n") {
			t.Errorf("event %d: %s\nwant     %s", at, got, text)
		}
	}
	if got := db.text(`SELECT count(*) FROM "odd ""name"`); got != "47" {
		t.Errorf("%s rows", got)
	}
}

// What a payload says is a value, whatever it looks like.
func TestSQLiteTakesPayloadsAsValues(t *testing.T) {
	t.Parallel()
	options, db := file(t, handlers.SQLOptions{Table: "'); DROP TABLE x; --", Create: true})
	h := newSQL(t, options)
	attacks := []string{`'); DROP TABLE events; --`, `"; DELETE FROM events; --`, "?1", ":id", `\'`, "NULL"}
	for _, text := range attacks {
		e := event(text, fmt.Sprintf(`{"a":%q}`, text))
		e.Type, e.Key, e.Source = text, text, text
		h.saved(t, e)
		if got := db.text(`SELECT type || key || source || (data ->> 'a') FROM "'); DROP TABLE x; --" WHERE id = ?`, text); got != strings.Repeat(text, 4) {
			t.Errorf("%q was saved as %s", text, got)
		}
	}
	if got := db.text(`SELECT count(*) FROM "'); DROP TABLE x; --"`); got != fmt.Sprint(len(attacks)) {
		t.Errorf("%s rows", got)
	}
}

// Two routers write the same file at the same time, in part the same events.
func TestSQLiteTwoRouters(t *testing.T) {
	t.Parallel()
	options, db := file(t, handlers.SQLOptions{Table: "events", Create: true})
	var routers sync.WaitGroup
	for n := range 2 {
		h := newSQL(t, options)
		for lane := range 2 {
			routers.Go(func() {
				for round := range 10 {
					from := (round*2+lane)*100 + n*50
					if verdicts := h.HandleBatch(t.Context(), ticks(from, from+100)); verdicts != nil {
						t.Errorf("router %d: %v", n, verdicts[0])
					}
				}
			})
		}
	}
	routers.Wait()
	if got := db.text("SELECT count(*) FROM events"); got != "2050" {
		t.Errorf("%s rows", got)
	}
}

// What is wrong with the file, for now, costs no event.
// A file that is deleted to begin anew, or put away, gets no more rows: they would be done,
// and gone.
func TestSQLiteFollowsItsName(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(path string) error{
		"deleted": func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
		},
		"deleted alone": os.Remove,
		"renamed":       func(path string) error { return os.Rename(path, path+".old") },
		"replaced": func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"), os.WriteFile(path, nil, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.db")
			h := newSQL(t, handlers.SQLOptions{DSN: "sqlite:" + path, Table: "events", Create: true})
			h.saved(t, ticks(0, 2)...)
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			verdicts := h.HandleBatch(t.Context(), ticks(2, 5))
			if got := count(outcomes(verdicts, 3)); got != "map[unavailable:3]" || !strings.Contains(verdicts[0].Error(), "was deleted, renamed or replaced") {
				t.Errorf("%s %v", got, verdicts)
			}
			h.saved(t, ticks(2, 5)...)
			h.saved(t, ticks(5, 6)...)
			if got := openFile(t, path).text("SELECT count(*) FROM events"); got != "4" {
				t.Errorf("%s rows, want 4", got)
			}
		})
	}
}

func TestSQLiteAway(t *testing.T) {
	t.Parallel()
	t.Run("locked", func(t *testing.T) {
		t.Parallel()
		options, db := file(t, handlers.SQLOptions{Table: "events", Create: true})
		h := newSQL(t, options)
		h.saved(t, ticks(0, 1)...)
		db.db.SetMaxOpenConns(1)
		db.exec("BEGIN IMMEDIATE")
		verdicts := h.HandleBatch(t.Context(), ticks(1, 3))
		if got := count(outcomes(verdicts, 2)); got != "map[unavailable:2]" || !strings.Contains(verdicts[0].Error(), "database is locked") {
			t.Errorf("%s %v", got, verdicts)
		}
		db.exec("ROLLBACK")
		h.saved(t, ticks(1, 3)...)
	})
	t.Run("no folder", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "volume")
		h := newSQL(t, handlers.SQLOptions{DSN: "sqlite:" + filepath.Join(dir, "a.db"), Table: "events", Create: true})
		verdicts := h.HandleBatch(t.Context(), ticks(0, 1))
		if got := count(outcomes(verdicts, 1)); got != "map[unavailable:1]" || !strings.Contains(verdicts[0].Error(), "there is no folder "+dir+"; make it, or mount it") {
			t.Errorf("%s %v", got, verdicts)
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		h.saved(t, ticks(0, 1)...)
	})
	t.Run("no database", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a.db")
		if err := os.WriteFile(path, []byte(strings.Repeat("this is no database. ", 100)), 0o600); err != nil {
			t.Fatal(err)
		}
		h := newSQL(t, handlers.SQLOptions{DSN: "sqlite:" + path, Table: "events", Create: true})
		verdicts := h.HandleBatch(t.Context(), ticks(0, 1))
		if got := count(outcomes(verdicts, 1)); got != "map[unavailable:1]" || !strings.Contains(verdicts[0].Error(), "not a database") {
			t.Errorf("%s %v", got, verdicts)
		}
	})
	t.Run("table gone and back", func(t *testing.T) {
		t.Parallel()
		options, db := file(t, handlers.SQLOptions{Table: "t", Columns: map[string]string{"id": "id", "n": "data.n"}})
		h := newSQL(t, options)
		for _, step := range []struct{ statement, want string }{
			{"", `table "t" does not exist; make it`},
			{"CREATE TABLE t (id TEXT PRIMARY KEY)", `table "t" does not fit: it has no column "n"; its columns are "id"`},
			{"ALTER TABLE t ADD n TEXT GENERATED ALWAYS AS (id) VIRTUAL", `column "n" is generated by the database and cannot be filled`},
			{"ALTER TABLE t DROP n", `it has no column "n"`},
			{"ALTER TABLE t ADD n TEXT", ""},
			{"ALTER TABLE t RENAME TO moved", "no such table"},
			{"", `table "t" does not exist; make it`},
			{"ALTER TABLE moved RENAME TO t", ""},
		} {
			if step.statement != "" {
				db.exec(step.statement)
			}
			verdicts := h.HandleBatch(t.Context(), ticks(0, 5))
			words, want := count(outcomes(verdicts, 5)), "map[unavailable:5]"
			if step.want == "" {
				want = "map[done:5]"
			}
			if words != want || want != "map[done:5]" && !strings.Contains(verdicts[0].Error(), step.want) {
				t.Errorf("after %q: %s %v", step.statement, words, verdicts)
			}
		}
	})
	t.Run("full disk", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(tinyDisk(t), "a.db")
		h := newSQL(t, handlers.SQLOptions{DSN: "sqlite:" + path, Table: "events", Create: true})
		saved, pad := 0, strings.Repeat("x", 10_000)
		for saved < 10_000 {
			events := make([]*router.Event, 50)
			for i := range events {
				events[i] = event(fmt.Sprint(saved+i), fmt.Sprintf("%q", pad))
			}
			verdicts := h.HandleBatch(t.Context(), events)
			if verdicts == nil {
				saved += len(events)
				continue
			}
			if got := count(outcomes(verdicts, 50)); got != "map[unavailable:50]" || !strings.Contains(verdicts[0].Error(), "full") {
				t.Fatalf("%s %v", got, verdicts[0])
			}
			break
		}
		if got := openFile(t, path).text("SELECT count(*) FROM events"); saved == 0 || saved == 10_000 || got != fmt.Sprint(saved) {
			t.Errorf("%s rows, want %d", got, saved)
		}
	})
}

func TestSQLiteKeyWarning(t *testing.T) {
	t.Parallel()
	const warning = "events that come again will be saved again"
	for table, warns := range map[string]bool{
		"(id TEXT, n INT)":                                         true,
		"(own INTEGER PRIMARY KEY, id TEXT, n INT)":                true,
		"(id TEXT, n INT, other INT, UNIQUE (id, other))":          true,
		"(id TEXT PRIMARY KEY, n INT)":                             false,
		"(own INTEGER PRIMARY KEY, id TEXT, n INT, UNIQUE (n,id))": false,
		"(id INTEGER PRIMARY KEY, n INT)":                          false,
		"(id TEXT, n INT, PRIMARY KEY (n, id)) WITHOUT ROWID":      false,
	} {
		options, db := file(t, handlers.SQLOptions{Table: "t", Columns: map[string]string{"id": "id", "n": "data"}})
		db.exec("CREATE TABLE t " + table)
		h := newSQL(t, options)
		h.saved(t, event("1", `1`))
		h.saved(t, event("1", `1`))
		if got := strings.Contains(h.log.String(), warning); got != warns {
			t.Errorf("%s: warned %v", table, got)
		}
		if got := db.text("SELECT count(*) FROM t"); got != map[bool]string{true: "2", false: "1"}[warns] {
			t.Errorf("%s: %s rows", table, got)
		}
	}
}
