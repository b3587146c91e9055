package routesfile

import (
	"fmt"
	"slices"
	"strings"

	"signalbox/router/internal/nearest"
)

// synonym ends an error about a key that is called otherwise here; empty for any other.
func synonym(n *node, key string) string {
	if len(n.path) == 0 {
		return ""
	}
	key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
	meant := ""
	switch table := n.path[0]; {
	case table == "redis":
		switch key {
		case "host", "hostname", "port", "db", "database", "address", "addr", "server", "uri":
			return `; write url = "redis://host:6379/0"`
		case "user":
			meant = "username"
		case "pass", "passwd", "auth":
			meant = "password"
		}
	case table == "channels" && len(n.path) == 2:
		switch key {
		case "topic", "stream", "redis_name", "redis_key", "redis_channel":
			meant = "name"
		case "consumer_group":
			meant = "group"
		case "maxlen":
			meant = "max_len"
		}
	case table == "sources" && len(n.path) == 2:
		switch key {
		case "to", "topic", "target", "destination", "publish_to", "publishes_to", "sink", "stream":
			meant = "channel"
		case "type", "driver", "protocol":
			meant = "kind"
		case "leader", "lock", "singleton":
			meant = "lease"
		case "max_retries", "retry", "reconnect":
			meant = "backoff"
		case "sequence", "seq_field":
			meant = "seq"
		}
	case table == "defaults" && len(n.path) == 1, table == "routes" && len(n.path) == 2:
		switch key {
		case "retries", "max_retries", "attempts", "max_attempts", "backoff":
			return `; write retry = { attempts = 3, backoff = "1s" }`
		case "ttl":
			meant = "max_age"
		case "concurrency", "parallel", "threads":
			meant = "workers"
		}
		if meant == "" && table == "routes" {
			meant = routeSynonym(key)
		}
	}
	if meant == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", meant)
}

func routeSynonym(key string) string {
	switch key {
	case "if", "condition", "where", "filter", "only_if":
		return "when"
	case "topic", "stream", "from", "source":
		return "channel"
	case "event", "event_type", "message_type":
		return "type"
	case "action", "do", "target", "to", "sink", "destination":
		return "handler"
	}
	return ""
}

// mistypes reports whether a table has an unknown key that is probably meant to be key: it
// is told, so key need not be missing as well.
func (n *node) mistypes(key string, valid []string) bool {
	return slices.ContainsFunc(n.children(), func(child *node) bool {
		if slices.Contains(valid, child.name()) {
			return false
		}
		near, ok := nearest.Name(child.name(), valid)
		return ok && near == key || strings.Contains(synonym(n, child.name()), fmt.Sprintf("%q", key))
	})
}
