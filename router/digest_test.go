package router

import "testing"

func TestDigest(t *testing.T) {
	config := func(change func(*Config)) Config {
		cfg := onStream(accepting)
		cfg.Handlers[0].Kind = "k"
		cfg.Routes = append(cfg.Routes, Route{Name: "alone", Channel: "in", Types: []string{"b", "a"}, Handler: "h", Isolated: true})
		cfg.Channels = append(cfg.Channels, Channel{Name: "other", Transport: Stream})
		cfg.Routes = append(cfg.Routes, Route{Channel: "other", Types: []string{"*"}, Handler: "h"})
		change(&cfg)
		return cfg
	}
	ch := Channel{Name: "in", Topic: "topic", Group: "router"}
	before := config(func(*Config) {}).withService().Digest(ch)
	for name, tc := range map[string]struct {
		change func(*Config)
		same   bool
	}{
		"nothing":                   {func(*Config) {}, true},
		"another channel's routes":  {func(c *Config) { c.Routes[2].Types = []string{"x"} }, true},
		"an isolated route":         {func(c *Config) { c.Routes[1].Types = []string{"x"} }, true},
		"what a handler is made of": {func(c *Config) { c.Handlers[0].Revision = "2" }, true},
		"types":                     {func(c *Config) { c.Routes[0].Types = []string{"x"} }, false},
		"a condition":               {func(c *Config) { c.Routes[0].WhenText = "true" }, false},
		"a policy":                  {func(c *Config) { c.Routes[0].Policy.Retry.Attempts = 3 }, false},
		"a schema":                  {func(c *Config) { c.Channels[0].Schemas = map[string]Schema{"x": asks("y")} }, false},
		"another channel's schema":  {func(c *Config) { c.Channels[1].Schemas = map[string]Schema{"x": asks("y")} }, true},
		"a handler's kind":          {func(c *Config) { c.Handlers[0].Kind = "other" }, false},
		"a route more":              {func(c *Config) { c.Routes = append(c.Routes, Route{Name: "more", Channel: "in", Handler: "h"}) }, false},
	} {
		if after := config(tc.change).withService().Digest(ch); (after == before) != tc.same {
			t.Errorf("%s: %s became %s", name, before, after)
		}
	}
	alone := Channel{Name: "in", Topic: "topic", Group: "router.alone"}
	if config(func(*Config) {}).withService().Digest(alone) == before {
		t.Error("an isolated route is what the others are")
	}
}

func (c Config) withService() Config {
	c.Service = "router"
	return c
}
