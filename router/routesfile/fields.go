package routesfile

import (
	"reflect"
	"slices"
	"strings"
)

// fieldsOf lists the fields of a struct that a file may set; those of an embedded
// struct without a name of its own count as the struct's.
func fieldsOf(t reflect.Type) []reflect.StructField {
	var fields []reflect.StructField
	for field := range t.Fields() {
		name, tagged := field.Tag.Lookup("toml")
		switch {
		case name == "-":
		case field.Anonymous && !tagged && field.Type.Kind() == reflect.Struct:
			for _, inner := range fieldsOf(field.Type) {
				inner.Index = slices.Concat(field.Index, inner.Index)
				fields = append(fields, inner)
			}
		case field.IsExported():
			fields = append(fields, field)
		}
	}
	return fields
}

// tagName is how a file calls a field.
func tagName(field reflect.StructField) string {
	if name, _, _ := strings.Cut(field.Tag.Get("toml"), ","); name != "" {
		return name
	}
	return strings.ToLower(field.Name)
}

// topTables lists the tables of a file.
func topTables() []string {
	return keyNames(reflect.TypeFor[rawFile]())
}

// lists are the tables that a file may have many of without names, as [[routes]].
func lists() []string {
	var names []string
	for _, field := range fieldsOf(reflect.TypeFor[rawFile]()) {
		if field.Type.Kind() == reflect.Slice {
			names = append(names, tagName(field))
		}
	}
	return names
}

// namedTables are the tables of which a file has one for each name, as [channels.NAME].
func namedTables() []string {
	var names []string
	for _, field := range fieldsOf(reflect.TypeFor[rawFile]()) {
		if field.Type.Kind() == reflect.Map {
			names = append(names, tagName(field))
		}
	}
	return names
}

// singleTable reports whether a file has the table only once, as [service].
func singleTable(name string) bool {
	for _, field := range fieldsOf(reflect.TypeFor[rawFile]()) {
		if tagName(field) == name {
			return field.Type.Kind() == reflect.Struct
		}
	}
	return false
}
