package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"

	"signalbox/router"
)

// pgColumn is a column that is filled, and what it takes.
type pgColumn struct {
	column
	typ   string // as it was declared: numeric(12,2)
	plain string // without what limits it, and without a domain around it: numeric
	base  string // that, as the catalog calls it
	kind  string // category of the type, see pg_type.typcategory
	limit int    // characters of a text; 0: none
}

// isJSON reports whether values are taken as JSON.
func (c pgColumn) isJSON() bool { return c.base == "json" || c.base == "jsonb" }

// text is what an event has for the column, as text; ok is false for NULL.
func (c pgColumn) text(event *router.Event) (text string, ok bool) {
	value, ok := c.in(event)
	switch {
	case !ok:
		return "", false
	case c.isJSON():
		return c.sqlJSON(value), true
	default:
		return sqlText(value), true
	}
}

// value is an expression that makes a value of text, which is an expression itself. What
// limits the type is left to the assignment: a cast would cut off what is too long.
func (c pgColumn) value(text string) string {
	switch c.base {
	case "text":
		return text
	case "timestamp", "date": // a cast would ignore the zone
		return fmt.Sprintf("(%s::timestamptz AT TIME ZONE 'UTC')::%s", text, c.plain)
	case "bytea":
		return fmt.Sprintf("convert_to(%s, 'UTF8')", text)
	default:
		return text + "::" + c.plain
	}
}

// unfit says why the column cannot be filled, as far as its type tells.
func (c pgColumn) unfit() string {
	isTime := c.field.path == "time"
	switch {
	case strings.Contains("ACPR", c.kind): // array, composite, pseudo, range
		return fmt.Sprintf("column %q is %s, which no value of an event fits; make it jsonb", c.name, c.typ)
	case isTime && (strings.Contains("BENGI", c.kind) || c.base == "uuid" || c.base == "bytea"): // boolean, enum, number, geometry, network
		return fmt.Sprintf("column %q is %s, which a time does not fit; make it timestamptz", c.name, c.typ)
	default:
		return ""
	}
}

// pgStandard is the standard layout.
const pgStandard = `CREATE TABLE IF NOT EXISTS %s (
	id          text        NOT NULL,
	channel     text        NOT NULL,
	type        text        NOT NULL,
	source      text,
	time        timestamptz NOT NULL,
	received_at timestamptz NOT NULL DEFAULT now(),
	key         text,
	data        jsonb,
	PRIMARY KEY (channel, id)
)`

// prepare finds the table, or makes it, and checks that it can take events.
func (p *postgres) prepare(ctx context.Context) (warnings []string, err error) {
	table, has, err := p.find(ctx)
	if table == 0 && err == nil && p.create {
		if err := p.make(ctx); err != nil {
			return nil, err
		}
		table, has, err = p.find(ctx)
	}
	switch {
	case err != nil:
		return nil, err
	case table == 0:
		return nil, noTable(p.table, p.standard)
	}
	columns, err := p.match(has)
	if err != nil {
		return nil, err
	}
	keys, err := p.keys(ctx, table)
	if err != nil {
		return nil, err
	}
	p.statement.Store(newStatement(p.table, columns))
	return keyWarning(p.table, keys, p.filled), nil
}

// match finds the columns that are filled among those of the table.
func (p *postgres) match(has []foundColumn) ([]pgColumn, error) {
	described, byName := make([]tableColumn, len(has)), make(map[string]pgColumn, len(has))
	for i, c := range has {
		described[i] = tableColumn{c.name, c.required, c.generated}
		byName[c.name] = c.pgColumn
	}
	if err := fits(p.table, described, p.filled); err != nil {
		return nil, err
	}
	columns := make([]pgColumn, len(p.filled))
	var wrong []string
	for i, filled := range p.filled {
		columns[i] = byName[filled.name]
		columns[i].column = filled
		if why := columns[i].unfit(); why != "" {
			wrong = append(wrong, why)
		}
	}
	if len(wrong) > 0 {
		return nil, tableError{fmt.Sprintf("table %s does not fit: %s", p.table, strings.Join(wrong, "; "))}
	}
	return columns, nil
}

// make makes the table. One router does at a time: CREATE TABLE IF NOT EXISTS fails when
// two begin together. Statements without values that are sent together are one transaction.
func (p *postgres) make(ctx context.Context) error {
	lock := quoteText("signalbox " + p.table.String())
	_, err := p.pool.ExecContext(ctx, "SELECT pg_advisory_xact_lock(hashtextextended("+lock+", 0)); "+fmt.Sprintf(pgStandard, p.table))
	return err
}

// foundColumn is a column as the catalog describes it.
type foundColumn struct {
	pgColumn
	required, generated bool
}

// find looks the table up; table is 0 when there is none.
func (p *postgres) find(ctx context.Context) (table uint32, columns []foundColumn, err error) {
	if err := p.pool.QueryRowContext(ctx, "SELECT coalesce(to_regclass($1)::oid, 0)", p.table.String()).Scan(&table); err != nil || table == 0 {
		return 0, nil, err
	}
	rows, err := p.pool.QueryContext(ctx, `
		SELECT a.attname, format_type(a.atttypid, a.atttypmod), format_type(b.oid, -1), b.typname, b.typcategory::text,
			CASE WHEN b.typname IN ('varchar', 'bpchar') THEN greatest(a.atttypmod, t.typtypmod, 4) - 4 ELSE 0 END,
			(a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND a.attidentity = '',
			a.attgenerated <> '' OR a.attidentity = 'a'
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		JOIN pg_type b ON b.oid = CASE t.typbasetype WHEN 0 THEN t.oid ELSE t.typbasetype END
		WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, fmt.Sprint(table))
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c foundColumn
		if err := rows.Scan(&c.name, &c.typ, &c.plain, &c.base, &c.kind, &c.limit, &c.required, &c.generated); err != nil {
			return 0, nil, err
		}
		columns = append(columns, c)
	}
	return table, columns, rows.Err()
}

// keys are the columns of each unique key that ON CONFLICT looks at. One that is
// deferrable is an error: with it, any ON CONFLICT is one.
func (p *postgres) keys(ctx context.Context, table uint32) (keys [][]string, err error) {
	rows, err := p.pool.QueryContext(ctx, `
		SELECT c.relname, i.indimmediate,
			to_json(ARRAY(SELECT a.attname::text FROM unnest((i.indkey::int2[])[0:i.indnkeyatts - 1]) AS k JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k))
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE i.indrelid = $1 AND i.indisvalid AND (NOT i.indimmediate OR i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL)`, fmt.Sprint(table))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name, columns string
		var immediate bool
		if err := rows.Scan(&name, &immediate, &columns); err != nil {
			return nil, err
		}
		if !immediate {
			return nil, tableError{fmt.Sprintf("table %s does not fit: its key %q is deferrable, so that ON CONFLICT cannot be used; make it NOT DEFERRABLE", p.table, name)}
		}
		var key []string
		if err := json.Unmarshal([]byte(columns), &key); err != nil {
			return nil, fmt.Errorf("the columns of key %q: %w", name, err)
		}
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

// hasChanged reports whether the table is not any more as it was found.
func (p *postgres) hasChanged(ctx context.Context) bool {
	table, has, err := p.find(ctx)
	if err != nil || table == 0 {
		return true
	}
	columns, err := p.match(has)
	return err != nil || newStatement(p.table, columns).sql != p.statement.Load().sql
}
