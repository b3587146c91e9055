package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"signalbox/router"
)

// The example of each policy does what its page says, as it stands there. In a script
// ">" sends to Redis, and the outcomes of that follow. A command fails or hangs as often
// as its data says, and takes until something has become of another.
func TestDocumentedPolicies(t *testing.T) {
	t.Parallel()
	for _, example := range []struct {
		name, page, heading, first string // where: the first line of the block
		around                     string // what the block does not declare
		script                     string
		also                       func(*documented)
	}{{
		name: "timeout, retry and max_age", page: "configuration.md", heading: "## Policies: `[defaults]` and routes", first: "[defaults]",
		around: `
			[channels.trade_commands]
			transport = "stream"`,
		script: `
			> XADD trade_commands * payload {"type":"enter","id":"c-1","data":{"hangs":1}}
			enter c-1 retried: no result within the timeout of 2s: context canceled
			enter c-1 handled at attempt 2
			> XADD trade_commands * payload {"type":"enter","id":"c-2","data":{"fails":9}}
			enter c-2 retried: refused
			enter c-2 failed at attempt 2: refused
			> XADD trade_commands * payload {"type":"enter","id":"c-3","time":"6s ago","data":{}}
			enter c-3 skipped
			> XADD trade_commands * payload {"type":"exit","id":"c-4","time":"6s ago","data":{"fails":2}}
			exit c-4 retried: refused
			exit c-4 retried: refused
			exit c-4 handled at attempt 3
			> XADD trade_commands * payload {"type":"exit","id":"c-5","data":{"fails":9}}
			exit c-5 retried: refused
			exit c-5 retried: refused
			exit c-5 failed at attempt 3: refused`,
		also: func(d *documented) {
			for _, o := range d.outcomes {
				mean := 200 * time.Millisecond << max(o.Attempt-1, 0)
				if o.Result == router.Retried && (o.Pause < mean/2 || o.Pause > mean*3/2) {
					d.t.Errorf("%v after attempt %d of %s, want about %v", o.Pause, o.Attempt, o.Event.ID, mean)
				}
			}
		},
	}, {
		name: "workers", page: "configuration.md", heading: "## Policies: `[defaults]` and routes", first: "[channels.trade_commands]",
		script: `
			> XADD trade_commands * payload {"type":"enter","id":"c-1","data":{"bot":"momentum-1","until":"trade c-5 handled"}}
			> XADD trade_commands * payload {"type":"exit","id":"c-2","data":{"bot":"momentum-1"}}
			> XADD trade_commands * payload {"type":"enter","id":"c-3","data":{"bot":"carry-1"}}
			> XADD trade_commands * payload {"type":"exit","id":"c-4","data":{"bot":"carry-1"}}
			> XADD trade_commands * payload {"type":"enter","id":"c-5","data":{"bot":"carry-1"}}
			trade c-3 handled
			trade c-4 handled
			trade c-5 handled
			trade c-1 handled
			trade c-2 handled`,
	}, {
		name: "when", page: "configuration.md", heading: "## `when`", first: "[[routes]]",
		around: `
			[service]
			name = "momentum-1"
			[channels.trade_commands]
			transport = "stream"`,
		script: `
			> XADD trade_commands * payload {"type":"enter","id":"c-1","data":{"bot":"momentum-1"}}
			log c-1 handled
			> XADD trade_commands * payload {"type":"enter","id":"c-2","data":{"bot":"carry-1"}}
			log c-2 filtered
			> XADD trade_commands * payload {"type":"enter","id":"c-3","data":{"symbol":"BTCUSDT"}}
			log c-3 filtered`,
	}, {
		name: "dedupe", page: "configuration.md", heading: "## `dedupe`", first: "[[routes]]",
		around: `
			[channels.trade_commands]
			transport = "stream"
			key_field = "data.position"`,
		script: `
			> XADD trade_commands * payload {"type":"enter","id":"c-1","data":{"position":"p-7"}}
			> XADD trade_commands * payload {"type":"enter","id":"c-1","data":{"position":"p-7"}}
			> XADD trade_commands * payload {"type":"enter","id":"c-2","data":{"position":"p-7"}}
			enter c-1 handled
			enter c-1 duplicate
			enter c-2 handled
			> XADD trade_commands * payload {"type":"exit","id":"c-3","data":{"position":"p-7"}}
			> XADD trade_commands * payload {"type":"exit","id":"c-4","data":{"position":"p-7"}}
			> XADD trade_commands * payload {"type":"exit","id":"c-5","data":{"position":"p-8"}}
			exit c-3 handled
			exit c-4 duplicate
			exit c-5 handled
			> XADD trade_commands * payload {"type":"enter","id":"c-6","data":{"position":"p-9","fails":1}}
			> XADD trade_commands * payload {"type":"enter","id":"c-6","data":{"position":"p-9","fails":1}}
			enter c-6 failed: refused
			enter c-6 handled
			> DEL signalbox:dedupe:router:router:trade_commands:enter:c-1
			> XADD trade_commands * payload {"type":"enter","id":"c-1","data":{"position":"p-7"}}
			enter c-1 handled`,
		also: func(d *documented) {
			for mark, window := range map[string]time.Duration{"enter:c-1": 10 * time.Minute, "exit:p-8": time.Hour} {
				left := d.redis.PTTL(d.t.Context(), "signalbox:dedupe:router:router:trade_commands:"+mark).Val()
				if left > window || left < window-time.Minute {
					d.t.Errorf("%s is remembered for another %v, want about %v", mark, left, window)
				}
			}
		},
	}, {
		name: "isolated", page: "configuration.md", heading: "### Isolated routes", first: "[[routes]]",
		around: `
			[channels.trade_commands]
			transport = "stream"
			in_flight = 1
			[[routes]]
			channel = "trade_commands"
			type    = "*"
			handler = "trade"`,
		script: `
			> XADD trade_commands * payload {"type":"enter","id":"c-1","data":{"until":"archive c-3 handled"}}
			> XADD trade_commands * payload {"type":"exit","id":"c-2","data":{}}
			> XADD trade_commands * payload {"type":"enter","id":"c-3","data":{}}
			archive c-1 handled
			archive c-2 handled
			archive c-3 handled
			trade c-1 handled
			trade c-2 handled
			trade c-3 handled`,
		also: func(d *documented) {
			var names []string
			for _, group := range d.redis.XInfoGroups(d.t.Context(), "trade_commands").Val() {
				names = append(names, group.Name)
			}
			if slices.Sort(names); !slices.Equal(names, []string{"router", "router.archive"}) {
				d.t.Errorf("groups %q", names)
			}
		},
	}, {
		name: "seq_field", page: "configuration.md", heading: "### Where messages keep their fields", first: "[channels.price_data]",
		around: `
			[handlers.alarm]
			kind = "log"
			[[routes]]
			channel = "price_data"
			type    = "tick"
			handler = "trade"`,
		script: `
			> PUBLISH price_data {"type":"tick","id":"t-1","data":{"symbol":"BTCUSDT","n":41}}
			> PUBLISH price_data {"type":"tick","id":"t-2","data":{"symbol":"ETHUSDT","n":7}}
			> PUBLISH price_data {"type":"tick","id":"t-3","data":{"symbol":"BTCUSDT","n":45}}
			> PUBLISH price_data {"type":"tick","id":"t-4","data":{"symbol":"ETHUSDT","n":8}}
			trade t-1 handled
			trade t-2 handled
			trade t-3 handled
			trade t-4 handled
			alarm signalbox.gap {"missing":3,"after":41,"key":"BTCUSDT"} handled`,
	}, {
		name: "own events", page: "messages.md", heading: "## Own events", first: "[[routes]]",
		around: `
			[channels.price_data]
			transport   = "pubsub"
			dead_letter = true
			[handlers.alarm]
			kind = "log"
			[[routes]]
			channel = "price_data"
			type    = "tick"
			handler = "trade"`,
		script: `
			> PUBLISH price_data {"type":"tick","id":"t-1","data":{"fails":1}}
			trade t-1 failed: refused
			alarm signalbox.dead {"route":"trade","handler":"trade","reason":"failed","error":"refused","id":"t-1","type":"tick","dead_letter":"price_data.dead"} handled
			> CLIENT KILL TYPE pubsub
			alarm signalbox.gap {"seconds":…} handled`,
	}, {
		name: "max_age after publish", page: "handlers.md", heading: "## publish", first: "[channels.stock]",
		around: `
			[channels.orders]
			transport = "stream"
			[[routes]]
			channel = "stock"
			type    = "*"
			handler = "log"
			max_age = "5s"`,
		script: `
			> XADD orders * payload {"type":"order.created","id":"o-1","time":"6s ago"}
			to_stock o-1 handled
			log o-1 skipped
			> XADD orders * payload {"type":"order.created","id":"o-2","time":"0s ago"}
			to_stock o-2 handled
			log o-2 handled`,
	}} {
		t.Run(example.name, func(t *testing.T) {
			t.Parallel()
			d := runDocumented(t, documentedBlock(t, example.page, example.heading, example.first), example.around)
			d.play(example.script)
			if example.also != nil {
				example.also(d)
			}
		})
	}
}

// The example of overflow: while a bot stands still with the 16 ticks that it has taken
// over, only the newest tick of each symbol waits.
func TestDocumentedNewestPerKey(t *testing.T) {
	t.Parallel()
	const route = "[[routes]]\nchannel = \"price_data\"\ntype = \"tick\"\nhandler = \"trade\"\nworkers = 16\n"
	d := runDocumented(t, documentedBlock(t, "configuration.md", "### How much of it waits", "[channels.price_data]"), route)
	var want []string
	for n := range 16 {
		d.do(fmt.Sprintf(`PUBLISH price_data {"type":"tick","id":"%[1]d","data":{"symbol":"%[1]d","until":"all are sent"}}`, n))
		want = append(want, fmt.Sprintf("trade %d handled", n))
	}
	eventually(t, "the bot stands still", func() bool { return d.begun() == 16 })

	symbols := []string{"BTCUSDT", "ETHUSDT", "SOLUSDT"}
	const ticks = 1000 // of each
	if _, err := d.redis.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for n := range ticks {
			for _, symbol := range symbols {
				p.Publish(t.Context(), "price_data", fmt.Sprintf(`{"type":"tick","id":"%[1]s-%[2]d","data":{"symbol":%[1]q}}`, symbol, n+1))
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	replaced := regexp.MustCompile(`events dropped for newer ones of their keys" .*events=(\d+)`)
	lost := (ticks - 1) * len(symbols)
	eventually(t, "the older ticks are gone", func() bool {
		told := 0
		for _, found := range replaced.FindAllStringSubmatch(d.logged(), -1) {
			n, _ := strconv.Atoi(found[1])
			told += n
		}
		return told == lost
	})
	d.tell("all are sent")
	for _, symbol := range symbols {
		want = append(want, fmt.Sprintf("trade %s-%d handled", symbol, ticks))
	}
	eventually(t, "all are done", func() bool { return len(d.words()) > len(want) })
	d.stop()
	got := slices.DeleteFunc(d.words(), func(what string) bool { return what == "all are sent" })
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("outcomes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if summary := fmt.Sprintf(" received=19 handled=19 failed=0 unmatched=0 rejected=0 lost=%d", lost); !strings.Contains(d.logged(), summary) {
		t.Errorf("the summary has no %q", summary)
	}
}
