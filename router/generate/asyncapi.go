package generate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"signalbox/router"
)

// Server is the Redis that a document names.
type Server struct {
	Host string // host:port; empty: the document names none
	TLS  bool
}

// AsyncAPI describes the channels of a service, what it receives and sends on them, and the
// messages, as an AsyncAPI 3.0.0 document in JSON
// (https://www.asyncapi.com/docs/reference/specification/v3.0.0). The payload of a type is
// its schema, where the channel has one, else what every event of the channel has.
func AsyncAPI(cfg router.Config, files []string, server Server) ([]byte, error) {
	d := &document{channels: object{}, operations: object{}, messages: object{}, schemas: object{}, byType: map[string]map[string]string{}}
	for _, ch := range cfg.Channels {
		if err := d.addChannel(ch); err != nil {
			return nil, fmt.Errorf("channel %q: %w", ch.Name, err)
		}
	}
	d.addOperations(cfg)
	root := object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": cmp.Or(cfg.Service, "router"), "version": "1.0.0",
			"description": header("asyncapi") + " From " + origin(files) + ".",
		},
		"defaultContentType": "application/json",
		"channels":           d.channels,
		"operations":         d.operations,
		"components":         object{"messages": d.messages, "schemas": d.schemas},
	}
	if server.Host != "" {
		protocol := "redis"
		if server.TLS {
			protocol = "rediss"
		}
		root["servers"] = object{"redis": object{"host": server.Host, "protocol": protocol}}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("write the document: %w", err)
	}
	return out.Bytes(), nil
}

type object map[string]any

func reference(to, name string) object { return object{"$ref": to + name} }

// document is an AsyncAPI document as it grows.
type document struct {
	channels, operations, messages, schemas object

	byType map[string]map[string]string // the messages of each channel; type "" is any other
}

// anyType is the message of types that a channel does not declare.
const anyType = ""

func (d *document) addChannel(ch router.Channel) error {
	types := slices.Sorted(slices.Values(ch.Types))
	if len(types) == 0 {
		types = append(slices.Sorted(maps.Keys(ch.Schemas)), anyType)
	}
	candidates := make([]candidate, len(types))
	for i, typ := range types {
		candidates[i] = candidate{identifier(cmp.Or(typ, "any")), typ}
	}
	messages, byType := object{}, map[string]string{}
	for i, id := range distinct(candidates) {
		// Doubled dots keep channel a with type b.c apart from channel a.b with type c.
		name := strings.ReplaceAll(ch.Name, ".", "..") + "." + id
		message, err := d.message(ch, types[i], name)
		if err != nil {
			return fmt.Errorf("type %q: %w", types[i], err)
		}
		d.messages[name] = message
		messages[id], byType[types[i]] = reference("#/components/messages/", name), id
	}
	channel := object{"messages": messages, "x-signalbox-transport": string(ch.Transport)}
	if ch.Description != "" {
		channel["description"] = ch.Description
	}
	address(channel, ch)
	d.channels[ch.Name], d.byType[ch.Name] = channel, byType
	return nil
}

// address is the channel's name in Redis. A pattern whose only wildcard is one * is an
// address with a parameter; another one is nothing that AsyncAPI can write.
func address(channel object, ch router.Channel) {
	switch topic := cmp.Or(ch.Topic, ch.Name); {
	case !ch.Pattern && !strings.ContainsAny(topic, "{}"):
		channel["address"] = topic
	case ch.Pattern && strings.Count(topic, "*") == 1 && !strings.ContainsAny(topic, `?[]\{}`):
		channel["address"] = strings.Replace(topic, "*", "{name}", 1)
		channel["parameters"] = object{"name": object{"description": "what * stands for in " + topic}}
	default:
		channel["address"] = nil
		channel["x-signalbox-name"] = topic
	}
}

func (d *document) message(ch router.Channel, typ, name string) (object, error) {
	message := object{"title": cmp.Or(typ, "any other type"), "contentType": "application/json"}
	if typ != anyType {
		message["name"] = typ
	}
	schema := ch.Schemas[typ]
	if len(schema.Text) == 0 {
		message["payload"] = within(ch.Fields.Split, envelope(ch.Fields, typ))
		return message, nil
	}
	root, format, err := d.addSchema(name, schema)
	if err != nil {
		return nil, err
	}
	message["payload"] = object{"schemaFormat": format, "schema": within(ch.Fields.Split, reference("#/components/schemas/", root))}
	return message, nil
}

// envelope is the schema of what every event of a channel and type has.
func envelope(f router.Fields, typ string) object {
	textOrNumber := func(description string) object {
		return object{"type": []string{"string", "number"}, "description": description}
	}
	kind := object{"type": "string"}
	if typ != anyType {
		kind["const"] = typ
	}
	schema := object{}
	put(schema, cmp.Or(f.Type, "type"), kind, f.DefaultType == "" || typ != f.DefaultType)
	put(schema, cmp.Or(f.ID, "id"), textOrNumber("what tells this event from others"), false)
	put(schema, cmp.Or(f.Time, "time"), textOrNumber("RFC 3339, or a number since 1970 in s, ms, µs or ns"), false)
	if f.Key != "" {
		put(schema, f.Key, textOrNumber("events of one key stay in order"), false)
	}
	if f.Seq != "" {
		put(schema, f.Seq, object{"type": "integer", "description": "one more for each message of a key"}, false)
	}
	return schema
}

// put adds a member to an object's schema, at a dotted path.
func put(schema object, path string, member object, required bool) {
	first, rest, deeper := strings.Cut(path, ".")
	schema["type"] = "object"
	properties, ok := schema["properties"].(object)
	if !ok {
		properties = object{}
		schema["properties"] = properties
	}
	if names, _ := schema["required"].([]string); required && !slices.Contains(names, first) {
		schema["required"] = append(names, first)
	}
	if !deeper {
		properties[first] = member
		return
	}
	inner, ok := properties[first].(object)
	if !ok {
		inner = object{}
		properties[first] = inner
	}
	put(inner, rest, member, required)
}

// within is the schema of a message that holds events: one, or an array of them at a path.
func within(split string, event object) object {
	array := object{"type": "array", "items": event}
	switch split {
	case "":
		return event
	case ".":
		return array
	}
	outer := object{}
	put(outer, split, array, true)
	return outer
}

// addOperations tells what routes receive and what handlers send.
func (d *document) addOperations(cfg router.Config) {
	received := map[string][]string{}
	for _, r := range cfg.Routes {
		received[r.Channel] = append(received[r.Channel], d.taken(r)...)
	}
	for name, ids := range received {
		operation := object{"action": "receive", "channel": reference("#/channels/", name)}
		var messages []object
		for _, id := range slices.Compact(slices.Sorted(slices.Values(ids))) {
			messages = append(messages, reference("#/channels/"+name+"/messages/", id))
		}
		if len(messages) > 0 { // else it receives only Signalbox's own
			operation["messages"] = messages
			d.operations["receive."+name] = operation
		}
	}
	for _, h := range cfg.Handlers {
		for _, name := range h.PublishesTo {
			d.operations["send."+name] = object{"action": "send", "channel": reference("#/channels/", name)}
		}
	}
}

// taken are the messages of its channel that a route takes.
func (d *document) taken(r router.Route) []string {
	set, err := router.ParseTypes(r.Types...)
	if err != nil {
		return nil // not in a configuration that was checked
	}
	var ids []string
	for typ, id := range d.byType[r.Channel] {
		others := typ == anyType && slices.ContainsFunc(r.Types, func(pattern string) bool { return !strings.HasPrefix(pattern, router.OwnPrefix) })
		if others || typ != anyType && set.Match(typ) {
			ids = append(ids, id)
		}
	}
	return ids
}

// identifier is a text as a key of the document.
func identifier(text string) string {
	return cut(strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_-.", r)) {
			return r
		}
		return '_'
	}, text))
}
