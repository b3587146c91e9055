package routesfile

import (
	"signalbox/router"
	"signalbox/router/internal/nearest"
)

// overflowHelp explains the choice to who hoped for another one.
const overflowHelp = `
  overflow = "drop_oldest"      what has waited longest goes
  overflow = "newest_per_key"   what waits behind a newer event of its key goes: a slow handler sees the current price of each symbol`

// checkOverflow checks what n, a channel or one of its isolated routes, says of overflow.
func (c *compiler) checkOverflow(n *node, text string, one *channel) {
	value := n.get("overflow")
	if value == nil || value.skipped || value.value != text {
		return
	}
	subject := n.subject()
	switch router.Overflow(text) {
	case router.DropOldest:
	case router.NewestPerKey:
		switch {
		case one.Fields.Split != "":
			c.report.errorf(value.at, "%s: overflow = %q: a message that is split holds events of several keys; remove overflow or split", subject, text)
		case one.Fields.Key == "" && !one.Fields.KeyFromName && !one.raw.node.get("key_field").skips():
			c.report.errorf(value.at, "%s: overflow = %q needs to know the key of a message; write key_field, such as key_field = \"data.symbol\"", subject, text)
		}
	case "block":
		c.report.errorf(value.at, "%s: overflow = %q is not possible: Redis cuts the connection of who doesn't read, and then everything is lost\nThere are two:%s", subject, text, overflowHelp)
	default:
		hint := ""
		if near, ok := nearest.Name(text, []string{string(router.DropOldest), string(router.NewestPerKey)}); ok {
			hint = `; did you mean "` + near + `"?`
		}
		c.report.errorf(value.at, "%s: unknown overflow %s%s\nThere are two:%s", subject, value.quoted(text), hint, overflowHelp)
	}
}
