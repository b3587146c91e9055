package handlers_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"signalbox/handlers"
	"signalbox/internal/pgtest"
)

// checks runs a check and compares what it says, without a secret in it.
func checks(t *testing.T, o handlers.SQLOptions, wantFound, wantErr string) {
	t.Helper()
	found, err := o.Check(t.Context())
	said := ""
	if err != nil {
		said = err.Error()
	}
	for text, want := range map[string]string{found: wantFound, said: wantErr} {
		if (want == "") != (text == "") || !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("found %q, error %q; want %q, %q", found, said, wantFound, wantErr)
		}
	}
	if strings.Contains(found+said, "canary") || strings.Contains(found+said, "\n") {
		t.Errorf("said %q %q", found, said)
	}
}

func TestSQLCheckPostgres(t *testing.T) {
	t.Parallel()
	db := pgtest.Start(t, "fsync=off").Create(t)
	standard := handlers.SQLOptions{DSN: db.DSN, Table: "events"}
	checks(t, standard, "", `^table "events" does not exist; make it, or write create = true$`)
	standard.Create = true
	checks(t, standard, `^PostgreSQL \d[\d.]*; table "events" is made when the router starts$`, "")
	if got := db.Text("SELECT count(*) FROM pg_class WHERE relname = 'events'"); got != "0" {
		t.Errorf("the check made %s tables", got)
	}
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY, n int)`, `CREATE TABLE keyless (id text)`)
	own := handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: map[string]string{"id": "id", "n": "data.n"}}
	checks(t, own, `^PostgreSQL \d[\d.]*; table "t" fits$`, "")
	own.Columns = map[string]string{"id": "id", "price": "data.n"}
	checks(t, own, "", `^table "t" does not fit: it has no column "price"; its columns are "id", "n"$`)
	checks(t, handlers.SQLOptions{DSN: db.DSN, Table: "keyless", Columns: map[string]string{"id": "id"}},
		`; table "keyless" fits; table "keyless" has no unique key whose columns are all filled; make one$`, "")

	// Another user may less.
	db.Exec(`CREATE ROLE checker LOGIN PASSWORD 'canary-pw'`, `CREATE SCHEMA closed`)
	dsn := strings.Replace(db.DSN, pgtest.User+":"+pgtest.Password, "checker:canary-pw", 1)
	little := handlers.SQLOptions{DSN: dsn, Table: "t", Columns: map[string]string{"id": "id"}}
	checks(t, little, "", `^PostgreSQL \d[\d.]*: this user may not insert into column "id" of table "t"; GRANT INSERT on the table to it$`)
	db.Exec(`GRANT INSERT (id) ON t TO checker`)
	checks(t, little, `fits$`, "")
	checks(t, handlers.SQLOptions{DSN: dsn, Table: "closed.events", Create: true}, "", "permission denied for schema closed")
	db.Exec(`GRANT USAGE ON SCHEMA closed TO checker`)
	checks(t, handlers.SQLOptions{DSN: dsn, Table: "closed.events", Create: true}, "", `: table "closed"."events" is not there, and this user may not make it; GRANT CREATE on its schema$`)
	db.Exec(`GRANT ALL ON SCHEMA closed TO checker`)
	checks(t, handlers.SQLOptions{DSN: dsn, Table: "closed.events", Create: true}, `"closed"."events" is made when`, "")

	// Nobody there, or nobody who lets us in.
	checks(t, handlers.SQLOptions{DSN: strings.Replace(db.DSN, pgtest.Password, "canary2", 1), Table: "t"}, "", "password authentication failed")
	checks(t, handlers.SQLOptions{DSN: "postgres://u:canary@127.0.0.1:1/x", Table: "t"}, "", "refused")
}

func TestSQLCheckSQLite(t *testing.T) {
	t.Parallel()
	options, db := file(t, handlers.SQLOptions{Table: "events"})
	path := strings.TrimPrefix(options.DSN, "sqlite:")
	checks(t, options, "", `^file .* is not there: table "events" does not exist; make it, or write create = true$`)
	options.Create = true
	checks(t, options, ` and its table "events" are made when the router starts$`, "")
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) > 0 {
		t.Errorf("the check made %v, %v", left, err)
	}

	// A file that is there keeps its journal, and gets no table.
	db.exec("PRAGMA journal_mode = DELETE", "CREATE TABLE t (id TEXT PRIMARY KEY)")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	checks(t, options, `^SQLite 3[\d.]+; table "events" is made in .* when the router starts$`, "")
	own := handlers.SQLOptions{DSN: options.DSN, Table: "t", Columns: map[string]string{"id": "id"}}
	checks(t, own, `^SQLite 3[\d.]+; table "t" fits$`, "")
	own.Columns["n"] = "data.n"
	checks(t, own, "", `^table "t" does not fit: it has no column "n"; its columns are "id"$`)
	options.Create = false
	checks(t, options, "", `^table "events" does not exist`)
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the check changed the file, %v", err)
	}
	db.exec("PRAGMA journal_mode = WAL")
	own.Columns = map[string]string{"id": "id"}
	checks(t, own, `fits$`, "")

	if err := os.WriteFile(path+"x", []byte("this is no database, but a text that is long enough to be one"), 0o600); err != nil {
		t.Fatal(err)
	}
	checks(t, handlers.SQLOptions{DSN: options.DSN + "x", Table: "t"}, "", "file is not a database")
	checks(t, handlers.SQLOptions{DSN: "sqlite:/nowhere/x.db", Table: "t", Create: true}, "", "there is no folder /nowhere; make it, or mount it$")
	if os.Getuid() == 0 {
		return // who may everything
	}
	if err := os.Chmod(path, 0o400); err != nil {
		t.Fatal(err)
	}
	checks(t, own, "", "cannot be written to: permission denied$")
}
