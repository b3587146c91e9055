//go:build failpoints

package chaos

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	rounds = flag.Int("rounds", 3, "rounds of each fault")
	seed   = flag.Uint64("seed", 0, "seed of the first round of each fault, the next have the next; 0: by chance")
	// Not -parallel: that would let those that take ten minutes begin when it likes.
	together  = flag.Int("together", 8, "rounds at the same time, beside those that take minutes")
	large     = flag.Bool("large", false, "run what takes minutes too: long pauses, slow links, large numbers, the soak")
	schedules = flag.Int("schedules", 20, "random schedules of faults around a source")
	table     = flag.String("table", "", "file to write the table of results to, as Markdown")
)

// TestMain runs the tests, or is a router for one of them.
func TestMain(m *testing.M) {
	if effects := os.Getenv(effectsEnv); effects != "" {
		os.Exit(bot(effects))
	}
	if addr := os.Getenv(feedBotEnv); addr != "" {
		os.Exit(feedBot(addr))
	}
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano()) % 1_000_000_000 //nolint:gosec // any number will do
	}
	fmt.Println("seed", *seed)
	goleak.VerifyTestMain(m,
		// A link whose connection has ended forgets what one stage wanted to hand to the next.
		goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run"))
}
