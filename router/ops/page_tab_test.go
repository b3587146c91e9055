package ops

import "fmt"

// nodeSelector finds a node of the picture: the kind, its channel where it has one, its name.
func nodeSelector(kind, name string) string {
	channel := ""
	switch {
	case kind == "route" && (name == "enter" || name == "paper_bot"):
		channel = `"trade_commands",`
	case kind == "route" || kind == "type":
		channel = `"price_data",`
	}
	return fmt.Sprintf(`[data-node='["%s",%s"%s"]']`, kind, channel, name)
}
