package daemon

import (
	"context"
	"slices"
	"strings"

	"signalbox/router"
)

// warnOfLoss says once what a crash of Redis would lose: many believe that a stream
// is safe, and by default it is not. A Redis that doesn't tell is not asked again.
func (p *program) warnOfLoss(ctx context.Context, cfg router.Config) {
	hasStream := slices.ContainsFunc(cfg.Channels, func(ch router.Channel) bool { return ch.Transport == router.Stream })
	if !hasStream {
		return
	}
	info, err := p.redis.Client().Info(ctx, "persistence").Result()
	if err == nil && strings.Contains(info, "aof_enabled:0") {
		p.log.Warn("streams in this Redis do not survive its crash: it keeps no append-only file", "remedy", "appendonly yes in redis.conf")
	}
}
