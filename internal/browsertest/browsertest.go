// Package browsertest runs pages in a real browser, Chromium, for tests.
package browsertest

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
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long a page may take for what it does at once.
const Patience = 10 * time.Second

// Browser is a Chromium that ends with the test.
type Browser struct {
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in it
}

// Start starts a Chromium, that ends with the test. Without one the test is skipped,
// or fails when CI=true.
func Start(t *testing.T) *Browser {
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
	return &Browser{ctx}
}

// Tab is a page in a browser that writes down what it should not do.
type Tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps the page in it
	// Close closes the page; the end of the test does, too.
	Close context.CancelFunc

	mu    sync.Mutex
	wrong []string // errors on the console, violations of the CSP, requests to others
}

// Tab opens an empty page.
func (b *Browser) Tab(t *testing.T) *Tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	p := &Tab{t: t, ctx: ctx, Close: cancel}
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatal(err)
	}
	Call(p, log.Enable, cdp.Empty{})
	Call(p, network.Enable, network.EnableParams{})
	return p
}

func (b *Tab) listen(event any) {
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

// Complaints are what was wrong so far.
func (b *Tab) Complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.wrong...)
}

// Run does something in the page.
func (b *Tab) Run(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute+3*Patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// Get runs an action that returns something.
func Get[T any](b *Tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 3*Patience)
	defer cancel()
	got, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// Call sends a command of the DevTools protocol.
func Call[P, R any](b *Tab, command cdp.Command[P, R], params P) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 3*Patience)
	defer cancel()
	if _, err := chromedp.Call(ctx, command, params); err != nil {
		b.t.Fatal(err)
	}
}

// Eval returns what an expression is in the page, as text.
func (b *Tab) Eval(expression string) string {
	b.t.Helper()
	return Get(b, chromedp.Evaluate[string]("String("+expression+")"))
}

// Until waits until an expression is true in the page, and says how long that took.
func (b *Tab) Until(what, expression string) time.Duration {
	b.t.Helper()
	begin := time.Now()
	for time.Since(begin) < Patience {
		if b.Eval("Boolean("+expression+")") == "true" {
			return time.Since(begin)
		}
		time.Sleep(30 * time.Millisecond)
	}
	b.t.Fatalf("%s: not within %v: %s\nthe page says: %s\ncomplaints: %q", what, Patience, expression,
		b.Eval(`document.body.innerText.slice(0, 3000)`), b.Complaints())
	return 0
}

// Click clicks what a selector finds, as a person would.
func (b *Tab) Click(selector string) {
	b.t.Helper()
	b.Until(selector+" is there, and stands still", fmt.Sprintf(`(() => {
		const found = document.querySelector(%s);
		if (!found) return false;
		const { x, y } = found.getBoundingClientRect();
		const still = found.stood === x + " " + y;
		found.stood = x + " " + y;
		return still;
	})()`, Quote(selector)))
	b.Run(chromedp.Click(chromedp.CSS(selector)))
}

// TextOf is an expression for the text of what a selector finds.
func TextOf(selector string) string {
	return fmt.Sprintf("(document.querySelector(%s) || { textContent: '' }).textContent", Quote(selector))
}

// Quote writes a text as JavaScript does.
func Quote(text string) string { return "`" + strings.ReplaceAll(text, "\\", "\\\\") + "`" }

// Colours makes the page think that its user likes "dark" or "light".
func (b *Tab) Colours(scheme string) {
	b.t.Helper()
	Call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// Shoot writes what is seen to a PNG file.
func (b *Tab) Shoot(file string) {
	b.t.Helper()
	if err := os.WriteFile(file, Get(b, chromedp.CaptureScreenshot()), 0o600); err != nil {
		b.t.Fatal(err)
	}
}
