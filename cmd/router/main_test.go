package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets tests start this program as "router": the test binary plays it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"router": main})
}
