// Package schema compiles JSON Schema files to checks of messages.
//
// Drafts 4, 6, 7, 2019-09 and 2020-12 are known; a file that names none in $schema is of
// 2020-12. Formats ("date-time", "uuid") are asserted in every draft. A $ref may lead to
// another file, by its path from the file that it stands in; nothing is ever fetched from
// a network. All files are read when the schema is compiled, and none later.
//
// Numbers are compared as they are written, without rounding. An object that has a name
// twice satisfies no schema: programs disagree which of the two counts.
package schema
