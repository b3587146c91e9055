package handlers

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// pgTexts is an array of texts, some of them NULL.
type pgTexts []pgText

type pgText struct {
	text string
	ok   bool // false: NULL
}

// textOID is the type text, for PostgreSQL.
const textOID = 25

// binary is the array as PostgreSQL sends and takes one, so that nothing has to be quoted:
// dimensions, whether there is a NULL, the type, length and first index of the dimension,
// and of each element its length and bytes.
// https://github.com/postgres/postgres/blob/master/src/backend/utils/adt/arrayfuncs.c
func (texts pgTexts) binary() []byte {
	size := 20 + 4*len(texts)
	for _, t := range texts {
		size += len(t.text)
	}
	b := make([]byte, 0, size)
	for _, n := range []int{1, 1, textOID, len(texts), 1} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	for _, t := range texts {
		if !t.ok {
			b = append(b, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(t.text)))
		b = append(b, t.text...)
	}
	return b
}

// literal is the array as text.
func (texts pgTexts) literal() string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for i, t := range texts {
		b.WriteByte("{,"[min(i, 1)])
		if !t.ok {
			b.WriteString("NULL")
			continue
		}
		b.WriteByte('"')
		_, _ = escape.WriteString(&b, t.text)
		b.WriteByte('"')
	}
	if len(texts) == 0 {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	return b.String()
}

// runSimple runs one statement that has the values in it, or several that have none.
func (c *pgConn) runSimple(ctx context.Context, statement string, args []driver.NamedValue) (*pgconn.Result, error) {
	values := make([]string, len(args))
	for i, arg := range args {
		var text string
		switch value := arg.Value.(type) {
		case pgTexts:
			text = value.literal()
		case string:
			text = value
		}
		if strings.ContainsRune(text, 0) { // the server would take it for the end
			return nil, &pgconn.PgError{Severity: "ERROR", Code: "22021", Message: `invalid byte sequence for encoding "UTF8": 0x00`}
		}
		escaped, err := c.link.EscapeString(text)
		if err != nil {
			return nil, err
		}
		values[i] = " '" + escaped + "' "
	}
	if len(values) > 0 {
		statement = withValues(statement, values)
	}
	results, err := c.link.Exec(ctx, statement).ReadAll()
	if err != nil || len(results) == 0 {
		return &pgconn.Result{}, err
	}
	return results[len(results)-1], nil
}

// withValues replaces $1, $2 and so on, but not within quotes. Statements are ours, and
// have no comments.
func withValues(statement string, values []string) string {
	var b strings.Builder
	for rest := statement; rest != ""; {
		at := strings.IndexAny(rest, `$'"`)
		if at < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:at])
		rest = rest[at:]
		if rest[0] != '$' {
			end := strings.IndexByte(rest[1:], rest[0]) + 2 // a quote that is doubled ends one text and begins the next
			b.WriteString(rest[:end])
			rest = rest[end:]
			continue
		}
		n, digits := 0, 1
		for ; digits < len(rest) && '0' <= rest[digits] && rest[digits] <= '9'; digits++ {
			n = 10*n + int(rest[digits]-'0')
		}
		b.WriteString(values[n-1])
		rest = rest[digits:]
	}
	return b.String()
}

// pgRows are the rows of a statement, all values as texts.
type pgRows struct {
	result *pgconn.Result
	next   int
}

// Columns are their names.
func (r *pgRows) Columns() []string {
	names := make([]string, len(r.result.FieldDescriptions))
	for i, field := range r.result.FieldDescriptions {
		names[i] = field.Name
	}
	return names
}

// Next reads a row.
func (r *pgRows) Next(into []driver.Value) error {
	if r.next == len(r.result.Rows) {
		return io.EOF
	}
	for i, value := range r.result.Rows[r.next] {
		if into[i] = nil; value != nil {
			into[i] = string(value)
		}
	}
	r.next++
	return nil
}

// Close has nothing to do: all rows are there.
func (r *pgRows) Close() error { return nil }

// quoteText is a text as SQL takes it, whatever the session says about backslashes.
func quoteText(text string) string {
	return "E'" + strings.NewReplacer(`\`, `\\`, "'", "''").Replace(text) + "'"
}
