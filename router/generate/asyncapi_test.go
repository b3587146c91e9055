package generate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"signalbox/internal/npmtest"
	"signalbox/router"
	"signalbox/router/generate"
)

// official is the schema of AsyncAPI's own.
func official(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(npmtest.Modules(t), "@asyncapi/specs/schemas/3.0.0.json"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("http://asyncapi.com/definitions/3.0.0/asyncapi.json", schema); err != nil {
		t.Fatal(err)
	}
	return c.MustCompile("http://asyncapi.com/definitions/3.0.0/asyncapi.json")
}

// What is generated is AsyncAPI, and each of its references leads to something.
func TestAsyncAPIIsValid(t *testing.T) {
	t.Parallel()
	schema := official(t)
	documents := map[string]router.Config{"made": described()}
	for name, file := range configurations {
		documents[name] = load(t, file)
	}
	for name, cfg := range documents {
		text, err := generate.AsyncAPI(cfg, nil, generate.Server{Host: "redis:6379", TLS: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, ref := range references(doc) {
			if _, found := at(doc, ref); !found {
				t.Errorf("%s: nothing is at %s", name, ref)
			}
		}
		// That the schema can refuse, too.
		broken, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.Replace(string(text), `"action"`, `"act"`, 1)))
		if err != nil || schema.Validate(broken) == nil {
			t.Errorf("%s: an operation without an action is valid (%v)", name, err)
		}
	}
}

// described is a configuration with all that a document tells.
func described() router.Config {
	const order = `{"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.org/order.json",
		"properties": {"default": {"$ref": "#/$defs/price"}, "a": {"const": {"$ref": "data"}}, "b": {"items": [{"$ref": "shared/side.json#/$defs/side"}]}},
		"maximum": 12345678901234567890.5, "$defs": {"price": {"type": "number"}}}`
	accepts := func([]byte) error { return nil }
	return router.Config{
		Service: "desk",
		Channels: []router.Channel{
			{Name: "orders", Transport: router.Stream, Types: []string{"order.paid", "order paid", "größe"}, Description: "a \"quote\"", Schemas: map[string]router.Schema{
				"order.paid": {Check: accepts, Text: []byte(order), Refs: map[string][]byte{
					"shared/side.json":  []byte(`{"$defs": {"side": {"$ref": "other.json"}}}`),
					"shared/other.json": []byte(`{"$ref": "side.json#"}`),
				}},
			}},
			{Name: "sensors", Transport: router.PubSub, Topic: "sensors:*", Pattern: true, Fields: router.Fields{Type: "meta.kind", Key: "meta.id", Seq: "n"}},
			{Name: "odd", Transport: router.PubSub, Topic: "a?b{c}*", Pattern: true},
			{Name: "orders.order", Transport: router.PubSub, Types: []string{"paid"}, Fields: router.Fields{Split: "data.trades"}},
			{Name: "batch", Transport: router.PubSub, Types: []string{"t"}, Fields: router.Fields{Split: ".", DefaultType: "t"}},
		},
		Handlers: []router.HandlerSpec{{Name: "forward", PublishesTo: []string{"batch"}}},
		Routes: []router.Route{
			{Channel: "orders", Types: []string{"order.*"}, Handler: "forward"},
			{Channel: "sensors", Types: []string{"*"}, Handler: "forward"},
			{Channel: "batch", Types: []string{"signalbox.gap"}, Handler: "forward"},
		},
	}
}

func TestAsyncAPI(t *testing.T) {
	t.Parallel()
	text, err := generate.AsyncAPI(described(), nil, generate.Server{})
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	const schema, messages = "#/components/schemas/orders.order.paid", "#/components/messages/"
	const trade = messages + "orders..order.paid/payload/properties/data/properties/trades/items"
	for pointer, want := range map[string]string{
		"#/info/title":                                            `"desk"`,
		"#/servers":                                               "",
		"#/channels/orders/address":                               `"orders"`,
		"#/channels/orders/description":                           `"a \"quote\""`,
		"#/channels/sensors/address":                              `"sensors:{name}"`,
		"#/channels/odd/address":                                  `null`,
		"#/channels/odd/x-signalbox-name":                         `"a?b{c}*"`,
		"#/operations/receive.orders/messages":                    `[{"$ref":"#/channels/orders/messages/order.paid"}]`,
		"#/operations/receive.sensors/messages":                   `[{"$ref":"#/channels/sensors/messages/any"}]`,
		"#/operations/receive.batch":                              "",
		"#/operations/send.batch/action":                          `"send"`,
		messages + "orders.order.paid/payload":                    `{"schema":{"$ref":"` + schema + `"},"schemaFormat":"application/schema+json;version=2020-12"}`,
		schema + "/properties/default":                            `{"$ref":"` + schema + `/$defs/price"}`,
		schema + "/properties/a/const":                            `{"$ref":"data"}`,
		schema + "/properties/b/items/0":                          `{"$ref":"` + schema + `.shared_side.json/$defs/side"}`,
		schema + "/maximum":                                       `12345678901234567890.5`,
		schema + "/$id":                                           "",
		schema + ".shared_side.json/$defs/side":                   `{"$ref":"` + schema + `.shared_other.json"}`,
		messages + "sensors.any/payload/properties/meta/required": `["kind"]`,
		trade + "/properties/type/const":                          `"paid"`,
		messages + "batch.t/payload/items/required":               "",
	} {
		got := ""
		if value, found := at(doc, pointer); found {
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			got = string(text)
		}
		if got != want {
			t.Errorf("at %s: %s, want %s", pointer, got, want)
		}
	}
}

func TestAsyncAPIRefusesAnchors(t *testing.T) {
	t.Parallel()
	cfg := described()
	cfg.Channels[0].Schemas["order.paid"] = router.Schema{Text: []byte(`{"$ref": "#price"}`)}
	_, err := generate.AsyncAPI(cfg, nil, generate.Server{})
	if err == nil || !strings.Contains(err.Error(), `channel "orders": type "order.paid": its schema has the reference "#price"`) {
		t.Errorf("got %v", err)
	}
}

func ExampleAsyncAPI() {
	text, err := generate.AsyncAPI(router.Config{Channels: []router.Channel{{Name: "prices", Transport: router.PubSub, Types: []string{"tick"}}}}, nil, generate.Server{})
	if err != nil {
		fmt.Println(err)
		return
	}
	var document struct {
		AsyncAPI string
		Channels map[string]struct{ Address string }
	}
	err = json.Unmarshal(text, &document)
	fmt.Println(document.AsyncAPI, document.Channels["prices"].Address, err)
	// Output: 3.0.0 prices <nil>
}

// references are all that a document refers to within itself.
func references(value any) (found []string) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			if ref, ok := inner.(string); ok && key == "$ref" && strings.HasPrefix(ref, "#") {
				found = append(found, ref)
			}
			found = append(found, references(inner)...)
		}
	case []any:
		for _, inner := range v {
			found = append(found, references(inner)...)
		}
	}
	return found
}

// at is the value at a JSON pointer.
func at(value any, pointer string) (any, bool) {
	for key := range strings.SplitSeq(strings.TrimPrefix(pointer, "#/"), "/") {
		key = strings.NewReplacer("~1", "/", "~0", "~").Replace(key)
		switch v := value.(type) {
		case map[string]any:
			inner, ok := v[key]
			if !ok {
				return nil, false
			}
			value = inner
		case []any:
			var i int
			if _, err := fmt.Sscan(key, &i); err != nil || i >= len(v) {
				return nil, false
			}
			value = v[i]
		default:
			return nil, false
		}
	}
	return value, true
}
