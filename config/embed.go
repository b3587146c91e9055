// Package config holds the shipped routes, which `router demo` runs and `router init`
// writes, and their tests.
package config

import _ "embed"

// Routes is routes.toml.
//
//go:embed routes.toml
var Routes []byte

// Tests is routes_test.toml.
//
//go:embed routes_test.toml
var Tests []byte
