package sources

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

var errWSTooLarge = errors.New("too large")

// The values of option decode.
const (
	wsGzip    = "gzip"
	wsDeflate = "deflate"
)

// wsDecoder unpacks binary messages, one after another.
type wsDecoder struct {
	how  string // "gzip" or "deflate"
	most int64  // bytes of what is unpacked
	gzip *gzip.Reader
	raw  io.ReadCloser
}

// unpack returns what a message contains. However small the message is, no more than the
// limit is unpacked.
func (d *wsDecoder) unpack(message []byte) ([]byte, error) {
	from, err := d.reader(bytes.NewReader(message))
	if err != nil {
		return nil, fmt.Errorf("a binary message is not %s: %w", d.how, err)
	}
	unpacked, err := io.ReadAll(io.LimitReader(from, d.most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("a binary message is not %s: %w", d.how, err)
	case int64(len(unpacked)) > d.most:
		return nil, errWSTooLarge
	}
	return unpacked, nil
}

func (d *wsDecoder) reader(packed io.Reader) (io.Reader, error) {
	switch {
	case d.how == wsGzip && d.gzip == nil:
		fresh, err := gzip.NewReader(packed)
		if err != nil {
			return nil, err
		}
		d.gzip = fresh
		return fresh, nil
	case d.how == wsGzip:
		return d.gzip, d.gzip.Reset(packed)
	case d.raw == nil:
		d.raw = flate.NewReader(packed)
		return d.raw, nil
	default:
		return d.raw, d.raw.(flate.Resetter).Reset(packed, nil) //nolint:forcetypeassert // flate promises it
	}
}
