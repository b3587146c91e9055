package handlers

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// SQLOptions are the options of the kind sql.
type SQLOptions struct {
	DSN     string            `toml:"dsn" required:"true" doc:"the database: postgres://user:password@host:5432/database, or sqlite:FILE"`
	Table   string            `toml:"table" required:"true" secret:"false" doc:"table to insert into; may be schema.table"`
	Create  bool              `toml:"create" doc:"make the table, in the standard layout, if it isn't there"`
	Columns map[string]string `toml:"columns" secret:"false" doc:"event field of each column, as in { price = \"data.bid\" }; without it the table has the standard layout"`
}

// Locate makes the path of an SQLite file start at dir.
func (o *SQLOptions) Locate(dir string) {
	path, isSQLite := strings.CutPrefix(o.DSN, sqlitePrefix)
	if isSQLite && path != "" && !filepath.IsAbs(path) {
		o.DSN = sqlitePrefix + dir + string(filepath.Separator) + path
	}
}

// Validate reports all that is wrong with the options. It never tells the dsn, which
// holds a password.
func (o SQLOptions) Validate() error {
	_, tableErr := parseTable(o.Table)
	_, columnsErr := parseColumns(o.Columns)
	var createErr error
	if o.Create && len(o.Columns) > 0 {
		createErr = errors.New("create makes the standard layout, not a table of your columns; make that table yourself, with a unique key, and leave create out")
	}
	return errors.Join(checkDSN(o.DSN), tableErr, createErr, columnsErr)
}

const (
	sqlitePrefix = "sqlite:"
	dsnForms     = "write postgres://user:password@host:5432/database, or sqlite:FILE"
)

// isPostgres reports whether a dsn is one of PostgreSQL.
func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

func checkDSN(dsn string) error {
	switch path, isSQLite := strings.CutPrefix(dsn, sqlitePrefix); {
	case dsn == "":
		return errors.New("dsn is missing; " + dsnForms)
	case isPostgres(dsn):
		_, err := parsePostgres(dsn)
		return err
	case !isSQLite:
		scheme, _, found := strings.Cut(dsn, ":")
		if !found || strings.ContainsAny(scheme, "=/@ ") { // perhaps a password
			return errors.New("dsn names no kind of database; " + dsnForms)
		}
		return fmt.Errorf("dsn: %q is neither postgres nor sqlite; %s", scheme, dsnForms)
	case path == "" || strings.HasSuffix(path, "/"):
		return fmt.Errorf("dsn: %q names no file; write sqlite:FILE", dsn)
	case strings.Contains(path, "?"):
		return fmt.Errorf("dsn: %q: an SQLite file has no parameters here; leave out what begins at the ?", dsn)
	default:
		return nil
	}
}

// sqliteURI is the address of an SQLite file as its driver takes it: what a name may hold
// is no part of the address' syntax.
func sqliteURI(path string) string {
	parameters := url.Values{"_pragma": {"busy_timeout(4000)", "journal_mode(WAL)", "synchronous(FULL)"}}
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: parameters.Encode()}
	return file.String()
}

// tableName is the name of a table, and of its schema if that is given.
type tableName struct{ schema, name string }

// parseTable reads table or schema.table. A part that holds a dot stands in double quotes.
func parseTable(text string) (tableName, error) {
	if text == "" {
		return tableName{}, errors.New(`table is missing; name the table to insert into, as in table = "events"`)
	}
	var parts []string
	rest := text
	for more := true; more; {
		var part string
		var ok bool
		if part, rest, more, ok = cutIdentifier(rest); !ok || part == "" || strings.Contains(part, "\x00") {
			return tableName{}, fmt.Errorf(`table: %q is no table or schema.table; a name that holds a dot stands in double quotes, as in '"a.b"'`, text)
		}
		parts = append(parts, part)
	}
	switch len(parts) {
	case 1:
		return tableName{name: parts[0]}, nil
	case 2:
		return tableName{parts[0], parts[1]}, nil
	default:
		return tableName{}, fmt.Errorf("table: %q has %d parts; write table or schema.table", text, len(parts))
	}
}

// cutIdentifier reads the identifier that text begins with, and the dot behind it.
func cutIdentifier(text string) (name, rest string, more, ok bool) {
	if !strings.HasPrefix(text, `"`) {
		name, rest, more = strings.Cut(text, ".")
		return name, rest, more, !strings.Contains(name, `"`)
	}
	var b strings.Builder
	for rest = text[1:]; ; {
		before, after, closed := strings.Cut(rest, `"`)
		if !closed {
			return "", "", false, false
		}
		b.WriteString(before)
		if !strings.HasPrefix(after, `"`) {
			rest = after
			break
		}
		b.WriteByte('"')
		rest = after[1:]
	}
	if rest == "" {
		return b.String(), "", false, true
	}
	rest, more = strings.CutPrefix(rest, ".")
	return b.String(), rest, more, more
}

// quote is an identifier as SQL takes it, whatever it holds.
func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// String is the name as SQL takes it.
func (t tableName) String() string {
	if t.schema == "" {
		return quote(t.name)
	}
	return quote(t.schema) + "." + quote(t.name)
}

// column is a column that is filled, and with what.
type column struct {
	name  string
	field field
}

// parseColumns reads the columns, in the order of their names. Without any they are those
// of the standard layout.
func parseColumns(columns map[string]string) ([]column, error) {
	if len(columns) == 0 {
		return standardColumns(), nil
	}
	var parsed []column
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		f, err := parseField(columns[name])
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("columns: %s = %w", name, err))
		case name == "" || strings.Contains(name, "\x00"):
			errs = append(errs, fmt.Errorf("columns: %q is no name of a column", name))
		default:
			parsed = append(parsed, column{name, f})
		}
	}
	return parsed, errors.Join(errs...)
}
