package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
)

// opsPublish is [ops.Program.Publish].
func (p *program) opsPublish(ctx context.Context, channel, typ string, data json.RawMessage) (string, error) {
	now := p.snapshot()
	ch, err := now.oneChannel(channel)
	if err != nil {
		return "", asked(err)
	}
	s := now.sender(ch, PublishOptions{Channel: channel, Type: typ})
	if err := s.send(ctx, string(data)); err != nil {
		if slow, ok := errors.AsType[net.Error](err); ok && slow.Timeout() || errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w; it may have arrived all the same: look before you send it again", err)
		}
		return "", asked(err)
	}
	p.log.Info("event published from the page", "channel", channel, "type", firstRunes(typ, wordWidth))
	var said strings.Builder
	if err := s.raw.report(ctx, &said); err != nil { // it was sent, and must not be sent again
		return asked(err).Error(), nil
	}
	return strings.TrimSpace(said.String()), nil
}
