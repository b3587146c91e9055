package handlers

import (
	"database/sql/driver"
	"testing"
)

// What the driver could not send would be saved as NULL.
func TestPGArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		value any
		want  string
	}{
		{"text", ""},
		{pgTexts{}, ""},
		{int64(7), "sql: argument 2 is int64; want a text, or an array of them"},
		{nil, "sql: argument 2 is <nil>; want a text, or an array of them"},
	} {
		err := (&pgConn{}).CheckNamedValue(&driver.NamedValue{Ordinal: 2, Value: c.value})
		if got := errorText(err); got != c.want {
			t.Errorf("%v: %q, want %q", c.value, got, c.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestPGTexts(t *testing.T) {
	t.Parallel()
	texts := pgTexts{{"a", true}, {"", false}, {`"\,NULL{}`, true}, {"", true}}
	if got, want := texts.literal(), `{"a",NULL,"\"\\,NULL{}",""}`; got != want {
		t.Errorf("as text %s, want %s", got, want)
	}
	if got := (pgTexts{}).literal(); got != "{}" {
		t.Errorf("none, as text: %s", got)
	}
	want := "\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x19\x00\x00\x00\x04\x00\x00\x00\x01" +
		"\x00\x00\x00\x01a\xff\xff\xff\xff\x00\x00\x00\x09\"\\,NULL{}\x00\x00\x00\x00"
	if got := string(texts.binary()); got != want {
		t.Errorf("in binary %q\nwant      %q", got, want)
	}
}

func TestWithValues(t *testing.T) {
	t.Parallel()
	for statement, want := range map[string]string{
		`SELECT 1`:                     `SELECT 1`,
		`$1, $2, $1`:                   `<a>, <$1>, <a>`,
		`"c$1", 'x$2''$1', $2`:         `"c$1", 'x$2''$1', <$1>`,
		`INSERT INTO "a""$1" ($2)`:     `INSERT INTO "a""$1" (<$1>)`,
		`$1::text[]`:                   `<a>::text[]`,
		`"it's" = $1 AND '"' = $2`:     `"it's" = <a> AND '"' = <$1>`,
		`SELECT coalesce($2, '') = ''`: `SELECT coalesce(<$1>, '') = ''`,
	} {
		if got := withValues(statement, []string{"<a>", "<$1>"}); got != want {
			t.Errorf("%s: %s, want %s", statement, got, want)
		}
	}
}

func TestQuoteText(t *testing.T) {
	t.Parallel()
	if got, want := quoteText(`it's \`), `E'it''s \\'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
