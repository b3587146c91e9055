package handlers

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"signalbox/router"
)

// sqliteStandard is the standard layout.
const sqliteStandard = `CREATE TABLE IF NOT EXISTS %s (
	id          TEXT NOT NULL,
	channel     TEXT NOT NULL,
	type        TEXT NOT NULL,
	source      TEXT,
	time        TEXT NOT NULL,
	received_at TEXT NOT NULL DEFAULT (strftime('%%Y-%%m-%%dT%%H:%%M:%%fZ', 'now')),
	key         TEXT,
	data        JSON TEXT,
	PRIMARY KEY (channel, id)
)`

// sqliteColumn is a column that is filled, and what it takes.
type sqliteColumn struct {
	column
	typ      string // as it was declared
	required bool   // not null
}

// misfit says that an event does not fit a column.
type misfit struct{ text string }

func (m misfit) Error() string { return m.text }

// value is what an event has for the column. SQLite would keep a text in a column of
// integers; here it is refused, as in other databases.
func (c sqliteColumn) value(event *router.Event) (any, error) {
	value, ok := c.in(event)
	if !ok {
		return nil, nil //nolint:nilnil // NULL
	}
	declared := strings.ToUpper(c.typ)
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(declared, word) {
				return true
			}
		}
		return false
	}
	text := sqlText(value)
	switch { // in the order of https://www.sqlite.org/datatype3.html#determination_of_column_affinity
	case has("JSON"):
		return c.sqlJSON(value), nil
	case has("INT"):
		if n, ok := number(value, text).(int64); ok {
			return n, nil
		}
		return nil, c.misfit(text)
	case has("CHAR", "CLOB", "TEXT"):
		return text, nil
	case has("REAL", "FLOA", "DOUB"):
		if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(n, 0) && !math.IsNaN(n) {
			return n, nil
		}
		return nil, c.misfit(text)
	case value.Type == gjson.True || value.Type == gjson.False, value.Type == gjson.Number && (has("BLOB", "ANY") || declared == ""):
		return number(value, text), nil
	default:
		return text, nil
	}
}

func (c sqliteColumn) misfit(text string) error {
	return misfit{fmt.Sprintf("column %q (%s) does not take %s of %s", c.name, c.typ, excerpt(text), c.field.path)}
}

// number is a value as an integer or, where it is none, a float; the text where it is
// neither. SQLite has no other truth than 1 and 0.
func number(value gjson.Result, text string) any {
	switch value.Type {
	case gjson.True:
		return int64(1)
	case gjson.False:
		return int64(0)
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsInf(n, 0) {
		return n
	}
	return text
}

// prepare finds the table, or makes it, and checks that it can take events.
func (s *sqliteFile) prepare(ctx context.Context) (warnings []string, err error) {
	if err := s.folder(); err != nil {
		return nil, err
	}
	if s.create {
		if _, err := s.db.ExecContext(ctx, fmt.Sprintf(sqliteStandard, s.table)); err != nil {
			return nil, err
		}
	}
	has, keys, err := s.find(ctx)
	if err != nil {
		return nil, err
	}
	if len(has) == 0 {
		return nil, noTable(s.table, s.standard)
	}
	described, types := make([]tableColumn, len(has)), make(map[string]sqliteColumn, len(has))
	for i, c := range has {
		described[i] = c.tableColumn
		types[c.name] = sqliteColumn{typ: c.typ, required: c.notNull}
	}
	if err := fits(s.table, described, s.filled); err != nil {
		return nil, err
	}
	statement := &sqliteStatement{columns: make([]sqliteColumn, len(s.filled))}
	names, places := make([]string, len(s.filled)), make([]string, len(s.filled))
	for i, filled := range s.filled {
		statement.columns[i] = types[filled.name]
		statement.columns[i].column = filled
		names[i], places[i] = quote(filled.name), "?"
	}
	statement.sql = fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT DO NOTHING", s.table, strings.Join(names, ", "), strings.Join(places, ", "))
	s.statement.Store(statement)
	return keyWarning(s.table, keys, s.filled), nil
}

// sqliteFound is a column as the schema describes it.
type sqliteFound struct {
	tableColumn
	typ     string
	notNull bool
}

// find looks the table up; it has no columns when there is none.
func (s *sqliteFile) find(ctx context.Context) (columns []sqliteFound, keys [][]string, err error) {
	schema := any(nil) // wherever it is
	if s.table.schema != "" {
		schema = s.table.schema
	}
	rows, err := s.db.QueryContext(ctx, `SELECT name, type, "notnull", dflt_value IS NULL, pk, hidden FROM pragma_table_xinfo(?, ?)`, s.table.name, schema)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	var primary []string
	for rows.Next() {
		var c sqliteFound
		var noDefault bool
		var place, hidden int
		if err := rows.Scan(&c.name, &c.typ, &c.notNull, &noDefault, &place, &hidden); err != nil {
			return nil, nil, err
		}
		if place > 0 {
			primary = append(primary, c.name)
		}
		c.required, c.generated = c.notNull && noDefault, hidden > 0
		columns = append(columns, c)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	keys, err = s.keys(ctx, schema)
	return columns, append(keys, primary), err
}

// keys are the columns of each unique index.
func (s *sqliteFile) keys(ctx context.Context, schema any) (keys [][]string, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT l.name, coalesce(i.name, '') FROM pragma_index_list(?, ?) AS l, pragma_index_info(l.name, ?) AS i
		WHERE l."unique" AND NOT l.partial ORDER BY l.name`, s.table.name, schema, schema)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	index := ""
	for rows.Next() {
		var of, name string
		if err := rows.Scan(&of, &name); err != nil {
			return nil, err
		}
		if of != index || len(keys) == 0 {
			index, keys = of, append(keys, nil)
		}
		keys[len(keys)-1] = append(keys[len(keys)-1], name)
	}
	return keys, rows.Err()
}
