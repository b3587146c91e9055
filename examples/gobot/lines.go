package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"time"

	"signalbox/router"
)

// linesOptions are the options of the kind lines.
type linesOptions struct {
	Address string `toml:"address" required:"true" doc:"host:port of who sends a line of JSON for each message"`
}

// lines is a kind of source, for feeds that are no WebSocket. A session is one connection:
// who runs it connects again, holds the lease, and publishes what is emitted.
func lines() router.SourceKind[linesOptions] {
	return router.SourceKind[linesOptions]{
		Name: "lines",
		Doc:  "Reads a line of JSON for each message from a TCP connection.",
		New: func(_ router.SourceEnv, options linesOptions) (router.Source, error) {
			return router.SourceFunc(func(ctx context.Context, to router.Sink) error {
				conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", options.Address)
				if err != nil {
					return err
				}
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends a read
				defer func() { _ = conn.Close() }()
				to.Opened(options.Address)
				reader := bufio.NewScanner(conn)
				for reader.Scan() {
					to.Emit(bytes.Clone(reader.Bytes())) // the scanner writes over its bytes
				}
				return errors.Join(errors.New("the feed ended"), reader.Err())
			}), nil
		},
	}
}
