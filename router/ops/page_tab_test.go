package ops

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long the page may take for what it does at once.
const patience = 10 * time.Second

type browser struct{ ctx context.Context }

// startBrowser starts a Chromium, that ends with the test. Without one the test is skipped,
// or fails when CI=true.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		const remedy = "no browser: apt-get install chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(remedy)
		}
		t.Skip(remedy)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("no-proxy-server", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocated, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		cancel()
		stop()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return &browser{ctx}
}

// tab is a page in a browser that writes down what it should not do.
type tab struct {
	t     *testing.T
	ctx   context.Context
	close context.CancelFunc

	mu    sync.Mutex
	wrong []string // errors on the console, violations of the CSP, requests to others
}

func (b *browser) tab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	p := &tab{t: t, ctx: ctx, close: cancel}
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	call(p, log.Enable, cdp.Empty{})
	call(p, network.Enable, network.EnableParams{})
	return p
}

func (b *tab) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.wrong = append(b.wrong, "exception: "+thrown(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b.wrong = append(b.wrong, fmt.Sprintf("console: %s", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			b.wrong = append(b.wrong, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if to, err := url.Parse(e.Request.URL); err != nil || (to.Scheme != "data" && to.Hostname() != "127.0.0.1") {
			b.wrong = append(b.wrong, "request to "+e.Request.URL)
		}
	}
}

func thrown(details *runtime.ExceptionDetails) string {
	if details.Exception != nil {
		return details.Text + " " + details.Exception.Description
	}
	return details.Text
}

// complaints are what was wrong so far.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.wrong...)
}

func (b *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute+3*patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// get runs an action that returns something.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 3*patience)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// call sends a command of the DevTools protocol.
func call[P, R any](b *tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 3*patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what an expression is in the page, as text.
func (b *tab) eval(expression string) string {
	b.t.Helper()
	return get(b, chromedp.Evaluate[string]("String("+expression+")"))
}

// until waits until an expression is true in the page, and says how long that took.
func (b *tab) until(what, expression string) time.Duration {
	b.t.Helper()
	begin := time.Now()
	for time.Since(begin) < patience {
		if b.eval("Boolean("+expression+")") == "true" {
			return time.Since(begin)
		}
		time.Sleep(30 * time.Millisecond)
	}
	b.t.Fatalf("%s: not within %v: %s\nthe page says: %s\ncomplaints: %q", what, patience, expression,
		b.eval(`document.body.innerText.slice(0, 3000)`), b.complaints())
	return 0
}

// click clicks what a selector finds, as a person would.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.until(selector+" is there, and stands still", fmt.Sprintf(`(() => {
		const found = document.querySelector(%s);
		if (!found) return false;
		const { x, y } = found.getBoundingClientRect();
		const still = found.stood === x + " " + y;
		found.stood = x + " " + y;
		return still;
	})()`, jsText(selector)))
	b.run(chromedp.Click(chromedp.CSS(selector)))
}

// textOf is an expression for the text of what a selector finds.
func textOf(selector string) string {
	return fmt.Sprintf("(document.querySelector(%s) || { textContent: '' }).textContent", jsText(selector))
}

func jsText(text string) string { return "`" + strings.ReplaceAll(text, "\\", "\\\\") + "`" }

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
