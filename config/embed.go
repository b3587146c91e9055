// Package config holds the shipped routes: what `router demo` runs and `router init` writes.
package config

import _ "embed"

// Routes is routes.toml.
//
//go:embed routes.toml
var Routes []byte

// Tests is routes_test.toml: the tests of [Routes].
//
//go:embed routes_test.toml
var Tests []byte
