package router

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
)

// Digest says in a word what is done with the events that a channel's subscription
// brings; ch is as Options.Subscriber gets it. Routers that share a consumer group
// compare theirs. What handlers are made with does not count: it may well differ from
// host to host.
func (c Config) Digest(ch Channel) string {
	kinds, channels := make(map[string]string, len(c.Handlers)), make(map[string]Channel, len(c.Channels))
	for _, h := range c.Handlers {
		kinds[h.Name] = h.Kind
	}
	for _, of := range c.Channels {
		of.Topic, of.Group = or(of.Topic, of.Name), or(of.Group, c.Service)
		channels[of.Name] = of
	}
	var lines []string
	for _, r := range c.Routes {
		if of := r.own(channels[r.Channel]); of.Topic != ch.Topic || of.Group != ch.Group {
			continue
		}
		line := fmt.Appendf(nil, "%q %q %q %q %q %+v", r.Name, slices.Sorted(slices.Values(r.Types)), r.WhenText, r.Handler, kinds[r.Handler], r.Policy)
		for _, typ := range slices.Sorted(maps.Keys(channels[r.Channel].Schemas)) {
			schema := channels[r.Channel].Schemas[typ]
			line = fmt.Appendf(line, " %q %q %q", typ, schema.Text, schema.Refs)
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	sum := sha256.Sum256(fmt.Append(nil, lines))
	return hex.EncodeToString(sum[:6])
}
