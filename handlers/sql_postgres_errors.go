package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"

	"signalbox/router"
)

// fault reads an error of PostgreSQL, or of the way there.
func (p *postgres) fault(ctx context.Context, err error, events []*router.Event) (fault, error) {
	if _, ours := errors.AsType[tableError](err); ours {
		return changed, err
	}
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return p.lost(err)
	}
	whose := stateFault(pgErr)
	if whose == refused && len(events) == 1 && p.hasChanged(ctx) { // its values are still made for what the table was
		whose = changed
	}
	said := sqlError{fmt.Sprintf("%s (SQLSTATE %s)", oneLine(pgErr.Message), pgErr.Code), err}
	switch class := pgErr.Code[:2]; {
	case whose == refused && len(events) == 1:
		said.text = p.blame(ctx, pgErr, events[0]) + said.text
	case class == "57" || class == "25": // it goes down, or has become a standby: other connections are no better
		p.driver.reset()
	case pgErr.Code == "42501":
		said.text += "; GRANT INSERT on the table to this user"
	case pgErr.Code == "42P05" || class == "26":
		said.text += "; behind a pooler that gives each transaction another connection, add default_query_exec_mode=exec to the dsn"
	}
	said.text = fmt.Sprintf("table %s: %s", p.table, said.text)
	return whose, said
}

// lost is the fault of an error that PostgreSQL did not send. When one connection is lost
// others are too, and would each cost an attempt.
func (p *postgres) lost(err error) (fault, error) {
	_, connecting := errors.AsType[*pgconn.ConnectError](err) // which has a limit of its own, and says so
	if !connecting && p.statement.Load() != nil {
		p.driver.reset()
	}
	text := oneLine(attempts(err.Error()))
	if errors.Is(err, context.DeadlineExceeded) && !connecting {
		text = fmt.Sprintf("no answer within %v: %s", statementTime, text)
	}
	return away, sqlError{text, err}
}

// attempts is what pgx says of a connection that failed, in one line: it has a line for each
// address that was tried, and tries an address with TLS and without.
func attempts(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// sqlError is an error whose text is safe to log.
type sqlError struct {
	text string
	err  error
}

func (e sqlError) Error() string { return e.text }
func (e sqlError) Unwrap() error { return e.err }

// stateFault is whose fault an SQLSTATE is. Codes and classes:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func stateFault(err *pgconn.PgError) fault {
	switch err.Code {
	case "23514":
		if err.ConstraintName == "" { // no partition for this row, and somebody may be making it
			return unclear
		}
	case "54011", "54023": // too many columns, arguments
		return changed
	case "XX001", "XX002": // damaged data, index
		return away
	}
	switch err.Code[:2] {
	case "22", "23", "44", "54": // the value; a constraint; a view's condition; too long for an index
		return refused
	case "42", "3F", "0A", "26": // no such table, column, schema; no permission; a changed type
		return changed
	case "08", "25", "28", "3D", "40", "53", "55", "57", "58":
		// connection; read-only; password; no such database; serialization, deadlock; no room, memory or
		// connection left; a lock; shutdown, statement timeout; the disk
		return away
	default: // a trigger's own error (P0001), and what nobody has foreseen
		return unclear
	}
}

// blame names the column that an event does not fit, and the value: "…: ", or nothing.
func (p *postgres) blame(ctx context.Context, pgErr *pgconn.PgError, event *router.Event) string {
	statement := p.statement.Load()
	for _, c := range statement.columns {
		text, ok := c.text(event)
		switch {
		case pgErr.Code == "23502" && pgErr.ColumnName == c.name:
			return fmt.Sprintf("the event has no %s for column %q: ", c.field.path, c.name)
		case pgErr.Code[:2] != "22" && pgErr.DataTypeName == "", !ok:
			continue
		case c.refuses(text) || p.refuses(ctx, c, text):
			return fmt.Sprintf("column %q (%s) does not take %s of %s: ", c.name, c.typ, excerpt(text), c.field.path)
		}
	}
	return ""
}

// refuses reports whether a text is too long for the column; spaces at its end are not.
func (c pgColumn) refuses(text string) bool {
	return c.limit > 0 && utf8.RuneCountInString(strings.TrimRight(text, " ")) > c.limit
}

// refuses asks the server whether a text alone is no value of the column.
func (p *postgres) refuses(ctx context.Context, c pgColumn, text string) bool {
	ctx, cancel := context.WithTimeout(ctx, statementTime)
	defer cancel()
	_, err := p.pool.ExecContext(ctx, fmt.Sprintf("SELECT CAST(%s AS %s)", c.value("$1::text"), c.typ), text)
	_, itsOwn := errors.AsType[*pgconn.PgError](err)
	return itsOwn
}

// excerpt is a value in quotes, short enough for an error.
func excerpt(text string) string {
	const most = 80
	if len(text) > most {
		end := most
		for !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + "…"
	}
	return `"` + oneLine(text) + `"`
}
