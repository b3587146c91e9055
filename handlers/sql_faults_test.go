package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"signalbox/handlers"
	"signalbox/internal/pgtest"
	"signalbox/router"
)

// through is a link to the server of a database, and the dsn that goes through it.
func through(t *testing.T, db *pgtest.DB) (l *link, dsn string) {
	t.Helper()
	_, rest, _ := strings.Cut(db.DSN, "@")
	address, _, _ := strings.Cut(rest, "/")
	l = newLink(t, address)
	return l, strings.Replace(db.DSN, address, l.listener.Addr().String(), 1)
}

// Packets vanish, and no connection ends. It is noticed, nothing waits for ever, and Close
// does not either.
func halfOpen(t *testing.T, db *pgtest.DB) {
	l, dsn := through(t, db)
	h := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "events", Create: true})
	h.saved(t, event("first", `{}`))
	l.swallow.Store(true)
	begin := time.Now()
	verdicts := h.HandleBatch(t.Context(), ticks(0, 10))
	if got := count(outcomes(verdicts, 10)); got != "map[unavailable:10]" || !strings.Contains(verdicts[0].Error(), "no answer within 10s: ") {
		t.Errorf("%s %v", got, verdicts)
	}
	if took := time.Since(begin); took < 9*time.Second || took > 12*time.Second {
		t.Errorf("noticed after %v", took)
	}
	begin = time.Now()
	if err := h.BatchHandler.(io.Closer).Close(); err != nil || time.Since(begin) > 3*time.Second {
		t.Errorf("closed after %v: %v", time.Since(begin), err)
	}
	l.swallow.Store(false)
	l.cut()
	again := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "events", Create: true})
	again.saved(t, ticks(0, 10)...)
	if got := db.Text("SELECT count(*) FROM events"); got != "11" {
		t.Errorf("%s rows", got)
	}
}

// Fault 10: the connection ends between a statement and its answer. Whether the rows are
// there or not, they are there once in the end.
func unknownOutcome(t *testing.T, db *pgtest.DB) {
	l, dsn := through(t, db)
	h := newSQL(t, handlers.SQLOptions{DSN: dsn + "&pool_max_conns=1", Table: "events", Create: true})
	h.saved(t, event("first", `{}`)) // the statement is prepared
	const rounds, each = 20, 50
	there := 0
	for round := range rounds {
		events := ticks(round*each, (round+1)*each)
		lose := &l.loseReply
		if round%2 == 1 {
			lose = &l.loseRequest
		}
		lose.Store(true)
		if got := count(h.save(t, events...)); got != fmt.Sprintf("map[unavailable:%d]", each) {
			t.Errorf("round %d: %s", round, got)
		}
		if db.Text("SELECT count(*) FROM events WHERE id = $1", events[0].ID) == "1" {
			there++
		}
		h.saved(t, events...)
		h.saved(t, event(fmt.Sprint("prepared ", round), `{}`))
	}
	if there != rounds/2 || l.lost.Load() != rounds {
		t.Errorf("%d batches were there although their answer was lost, %d were cut; want %d and %d", there, l.lost.Load(), rounds/2, rounds)
	}
	if got, want := db.Text("SELECT count(*) FROM events"), fmt.Sprint(rounds*each+rounds+1); got != want {
		t.Errorf("%s rows, want %s", got, want)
	}
}

// Each SQLSTATE as the server sends it: which event fails, and how. A trigger says it of
// one row; what concerns the database keeps all rows.
func sqlStates(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`,
		`CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN IF new.id LIKE 'code %' THEN RAISE EXCEPTION 'said' USING ERRCODE = substr(new.id, 6); END IF; RETURN new; END $f$`,
		`CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "t", Columns: map[string]string{"id": "id"}})
	wants := map[string]string{
		"permanent":   "22000 22001 22003 22012 22021 22P02 22P05 23000 23502 23503 23505 23P01 44000 54000",
		"unavailable": "08000 08006 25006 28000 28P01 3D000 40001 40P01 53000 53100 53200 53300 53400 55006 55P03 57014 57P01 57P02 57P03 58000 58030 XX001 XX002 42P01 42703 42501 42804 3F000 0A000 26000 54011",
		"failed":      "P0001 P0002 21000 23514 38000 XX000 HV000 F0000 ZZ999",
	}
	for want, codes := range wants {
		for code := range strings.FieldsSeq(codes) {
			events := append(ticks(0, 3), event("code "+code, `{}`))
			verdicts := h.HandleBatch(t.Context(), events)
			words := outcomes(verdicts, 4)
			rest := map[string]string{"unavailable": "unavailable"}[want]
			if words[3] != want || rest == "" && words[0]+words[2] != "donedone" {
				t.Errorf("%s: %v, want %s: %v", code, words, want, verdicts[3])
			}
			if text := fmt.Sprint(verdicts[3]); !strings.Contains(text, "(SQLSTATE "+code+")") {
				t.Errorf("%s: error %s", code, text)
			}
		}
	}
	h.saved(t, ticks(0, 3)...)
	if got := db.Text("SELECT count(*) FROM t"); got != "3" {
		t.Errorf("%s rows", got)
	}
}

func tooManyConnections(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE ROLE limited LOGIN PASSWORD 'x' CONNECTION LIMIT 1`, `GRANT ALL ON SCHEMA public TO limited`)
	dsn := strings.Replace(db.DSN, pgtest.User+":"+pgtest.Password, "limited:x", 1)
	other, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	h := newSQL(t, handlers.SQLOptions{DSN: dsn, Table: "events", Create: true})
	verdicts := h.HandleBatch(t.Context(), ticks(0, 5))
	if got := count(outcomes(verdicts, 5)); got != "map[unavailable:5]" || !strings.Contains(verdicts[0].Error(), "too many connections") {
		t.Errorf("%s %v", got, verdicts)
	}
	_ = other.Close(t.Context())
	eventuallySaved(t, h, ticks(0, 5))
	if got := db.Text("SELECT count(*) FROM events"); got != "5" {
		t.Errorf("%s rows", got)
	}
}

// eventuallySaved saves events that wait, as a route would.
func eventuallySaved(t *testing.T, h *sqlHandler, events []*router.Event) {
	t.Helper()
	var verdicts []error
	for range 500 {
		if verdicts = h.HandleBatch(t.Context(), events); verdicts == nil {
			return
		}
		if got := count(outcomes(verdicts, len(events))); got != fmt.Sprintf("map[unavailable:%d]", len(events)) {
			t.Fatalf("outcomes %s: %v", got, verdicts[0])
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("never saved: %v", verdicts[0])
}

// awaitBlocked waits until a connection of the router waits for a lock.
func awaitBlocked(t *testing.T, db *pgtest.DB) {
	t.Helper()
	awaitText(t, db, "1", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'signalbox:test' AND datname = current_database() AND wait_event_type = 'Lock'")
}

func run(t *testing.T, conn *pgx.Conn, statement string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
}

func deadlock(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`)
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&deadlock_timeout=500ms", Table: "t", Columns: map[string]string{"id": "id"}})
	other := db.Connect()
	run(t, other, "SET deadlock_timeout = '1h'")
	run(t, other, "BEGIN")
	run(t, other, "INSERT INTO t VALUES ('id-1')")
	h.says(t, "the database is ready")
	verdicts := make(chan []error)
	go func() { verdicts <- h.HandleBatch(t.Context(), ticks(0, 2)) }()
	awaitBlocked(t, db)
	run(t, other, "INSERT INTO t VALUES ('id-0') ON CONFLICT DO NOTHING")
	got := <-verdicts
	if words := count(outcomes(got, 2)); words != "map[unavailable:2]" || !strings.Contains(got[0].Error(), "deadlock detected (SQLSTATE 40P01)") {
		t.Errorf("%s %v", words, got)
	}
	run(t, other, "ROLLBACK")
	h.saved(t, ticks(0, 2)...)
	if got := db.Text("SELECT count(*) FROM t"); got != "2" {
		t.Errorf("%s rows", got)
	}
}

func serialization(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&default_transaction_isolation=serializable", Table: "events", Create: true})
	h.saved(t, event("0", `{}`))
	other := db.Connect()
	run(t, other, "BEGIN")
	run(t, other, "INSERT INTO events (id, channel, type, time) VALUES ('id-1', 'price_data', 'x', now())")
	verdicts := make(chan []error)
	go func() { verdicts <- h.HandleBatch(t.Context(), ticks(0, 3)) }()
	awaitBlocked(t, db)
	run(t, other, "COMMIT")
	got := <-verdicts
	if words := count(outcomes(got, 3)); words != "map[unavailable:3]" || !strings.Contains(got[0].Error(), "(SQLSTATE 40001)") {
		t.Errorf("%s %v", words, got)
	}
	h.saved(t, ticks(0, 3)...)
	if got := db.Text("SELECT count(*) FROM events"); got != "4" {
		t.Errorf("%s rows", got)
	}
}

// Whoever's patience ends first, the database's or the route's, the events wait.
func locked(t *testing.T, db *pgtest.DB) {
	db.Exec(`CREATE TABLE t (id text PRIMARY KEY)`)
	other := db.Connect()
	for _, test := range []struct{ parameter, code string }{
		{"statement_timeout=100ms", "(SQLSTATE 57014)"},
		{"lock_timeout=100ms", "(SQLSTATE 55P03)"},
		{"lock_timeout=0", "timeout"}, // of the route
	} {
		h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&" + test.parameter, Table: "t", Columns: map[string]string{"id": "id"}})
		h.saved(t, event("0", `{}`))
		run(t, other, "BEGIN")
		run(t, other, "LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		verdicts := h.HandleBatch(ctx, ticks(0, 3))
		cancel()
		if got := count(outcomes(verdicts, 3)); got != "map[unavailable:3]" || !strings.Contains(verdicts[0].Error(), test.code) {
			t.Errorf("%s: %s %v", test.parameter, got, verdicts)
		}
		run(t, other, "ROLLBACK")
		h.saved(t, ticks(0, 3)...)
	}
}

func readOnly(t *testing.T, db *pgtest.DB) {
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN, Table: "events", Create: true})
	h.saved(t, ticks(0, 1)...)
	name := db.Text("SELECT current_database()")
	db.Exec("ALTER DATABASE " + name + " SET default_transaction_read_only = on")
	cut := "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'signalbox:test' AND datname = current_database()"
	db.Exec(cut)
	for range 2 { // the cut, then what the new connections say
		if got := count(h.save(t, ticks(1, 3)...)); got != "map[unavailable:2]" {
			t.Errorf("read-only: %s", got)
		}
	}
	db.Exec("SET default_transaction_read_only = off", "ALTER DATABASE "+name+" RESET default_transaction_read_only")
	h.saved(t, ticks(1, 3)...) // on new connections
	if got := db.Text("SELECT count(*) FROM events"); got != "3" {
		t.Errorf("%s rows", got)
	}
}

// tinyDisk is a file system of a few megabytes. Only root may make one.
func tinyDisk(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("a full disk needs a file system of its own, which only root on Linux can make")
	}
	dir, err := os.MkdirTemp("", "tiny") //nolint:usetesting // another user, who runs the server, may not enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	unmount, err := mountTiny(dir)
	if err != nil {
		_ = os.Remove(dir)
		t.Skipf("a full disk needs a file system of its own: %v", err)
	}
	t.Cleanup(func() {
		unmount()
		_ = os.Remove(dir)
	})
	return dir
}

func fullDisk(t *testing.T, db *pgtest.DB) {
	disk := filepath.Join(tinyDisk(t), "space")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(disk), disk} {
		if err := pgtest.Give(dir); err != nil {
			t.Fatal(err)
		}
	}
	db.Exec("CREATE TABLESPACE tiny LOCATION '"+disk+"'", "CREATE TABLE ballast (n text) TABLESPACE tiny")
	h := newSQL(t, handlers.SQLOptions{DSN: db.DSN + "&default_tablespace=tiny", Table: "events", Create: true})
	random := rand.NewChaCha8([32]byte{}) // the database would make less of a text that repeats
	pad := make([]byte, 3000)
	saved, full := 0, error(nil)
	for full == nil && saved < 100_000 {
		events := make([]*router.Event, 100)
		for i := range events {
			_, _ = random.Read(pad)
			events[i] = event(fmt.Sprint(saved+i), fmt.Sprintf(`{"pad":"%x"}`, pad))
		}
		verdicts := h.HandleBatch(t.Context(), events)
		if verdicts == nil {
			saved += len(events)
			continue
		}
		full = verdicts[0]
		if got := count(outcomes(verdicts, 100)); got != "map[unavailable:100]" || !strings.Contains(full.Error(), "(SQLSTATE 53100)") {
			t.Fatalf("%s %v", got, full)
		}
	}
	if full == nil {
		t.Fatal("the disk is not full")
	}
	if got := db.Text("SELECT count(*) FROM events"); got != fmt.Sprint(saved) {
		t.Errorf("%s rows, want %d", got, saved)
	}
	db.Exec("ALTER TABLE events SET TABLESPACE pg_default", "ALTER INDEX events_pkey SET TABLESPACE pg_default", "DROP TABLE ballast", "DROP TABLESPACE tiny")
	h.saved(t, ticks(0, 100)...)
}

// A server that isn't there when the router starts, that is killed, shut down, and that
// hangs: events wait, and are saved as soon as it is back.
func TestSQLServerAway(t *testing.T) {
	t.Parallel()
	server := pgtest.Absent(t)
	h := newSQL(t, handlers.SQLOptions{DSN: server.DSN(""), Table: "events", Create: true})
	h.says(t, "the database cannot be used yet; events wait until it can")
	if got := count(h.save(t, ticks(0, 100)...)); got != "map[unavailable:100]" {
		t.Errorf("before it is there: %s", got)
	}
	n := 0
	save := func(after string) {
		t.Helper()
		n += 100
		if verdicts := h.HandleBatch(t.Context(), ticks(n-100, n)); verdicts != nil {
			t.Errorf("after %s: %v", after, verdicts[0])
		}
	}
	again := func() {
		t.Helper()
		if err := server.Run(); err != nil {
			t.Fatal(err)
		}
	}
	again()
	save("it came")
	for what, end := range map[string]func(){"a crash": server.Kill, "a shutdown": server.Stop} {
		end()
		for range 2 {
			verdicts := h.HandleBatch(t.Context(), ticks(n, n+100))
			if got := count(outcomes(verdicts, 100)); got != "map[unavailable:100]" || strings.Contains(fmt.Sprint(verdicts[0]), pgtest.Password) {
				t.Errorf("during %s: %s %v", what, got, verdicts[0])
			}
		}
		again()
		save(what)
	}
	server.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	verdicts := h.HandleBatch(ctx, ticks(n, n+100))
	cancel()
	if got := count(outcomes(verdicts, 100)); got != "map[unavailable:100]" || !errors.Is(verdicts[0], context.DeadlineExceeded) {
		t.Errorf("while it hangs: %s %v", got, verdicts[0])
	}
	ctx, cancel = context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	if got := count(h.saveIn(ctx, ticks(n, n+100)...)); got != "map[canceled:100]" {
		t.Errorf("a shutdown while it hangs: %s", got)
	}
	server.Resume()
	save("it hung")
	if got := server.Open(t).Text("SELECT count(*) FROM events"); got != fmt.Sprint(n) {
		t.Errorf("%s rows, want %d", got, n)
	}
}
