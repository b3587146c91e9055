// Package routesfile turns TOML files and the environment into a [router.Config], and
// says of every mistake in them where it is and how to mend it.
//
// A load has five steps, each in files of its own:
//
//  1. source.go finds and reads the files; position.go and parse.go turn each into
//     values that know their place; expand.go replaces ${VAR} in strings, after
//     parsing, so that no secret can change the structure around it.
//  2. layer.go lets koanf put defaults, files, environment and flags above one another.
//  3. decode.go fills the structs of raw.go, whose tags are the language: a new key is
//     a field there.
//  4. channels.go, handlers.go, routes.go, types.go and cycles.go check what takes more
//     than one key to see, and make the Config.
//  5. errors.go sorts and returns all mistakes at once.
//
// For who writes a configuration, keys.go describes the same structs: as a page by
// reference.go, and for editors as a JSON Schema by schema.go. What a type that decodes
// itself looks like in a file stands in shape.go.
//
// Beside that, the files effective*.go tell people what is in force, and secret.go what of it
// they may see.
package routesfile
