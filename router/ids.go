package router

import "github.com/google/uuid"

// newID returns a UUIDv7 (RFC 9562): unique, and sorted by the time it was made.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
