package routesfile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// fingerprint stands for the value of options, secrets included, without telling it. It
// is empty when the options hold what cannot be compared, such as a function.
func fingerprint(options any) string {
	sum := sha256.New()
	if !describe(sum, reflect.ValueOf(options)) {
		return ""
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// describe writes a value so that no two values are written the same.
func describe(w io.Writer, v reflect.Value) (ok bool) {
	ok = true
	switch v.Kind() {
	case reflect.Invalid:
		fmt.Fprint(w, "nil;")
	case reflect.Pointer, reflect.Interface:
		return describe(w, v.Elem())
	case reflect.Struct:
		fmt.Fprintf(w, "%s{", v.Type())
		for _, field := range v.Fields() {
			ok = describe(w, field) && ok
		}
		fmt.Fprint(w, "}")
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(w, "%d[", v.Len())
		for i := range v.Len() {
			ok = describe(w, v.Index(i)) && ok
		}
		fmt.Fprint(w, "]")
	case reflect.Map:
		var entries []string
		for key, value := range v.Seq2() {
			var entry strings.Builder
			ok = describe(&entry, key) && describe(&entry, value) && ok
			entries = append(entries, entry.String())
		}
		slices.Sort(entries)
		fmt.Fprintf(w, "%d%q", len(entries), entries)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return v.IsNil()
	case reflect.String:
		fmt.Fprintf(w, "%q;", v.String())
	default: // numbers and booleans
		fmt.Fprintf(w, "%s %v;", v.Kind(), v)
	}
	return ok
}
