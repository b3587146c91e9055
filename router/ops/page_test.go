package ops

import (
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func TestPageIsServed(t *testing.T) {
	tests := []struct{ path, mediaType, has string }{
		{"/", "text/html; charset=utf-8", "<title>Signalbox</title>"},
		{"/assets/app.js", "text/javascript; charset=utf-8", "new Stream("},
		{"/assets/style.css", "text/css; charset=utf-8", "prefers-color-scheme"},
		{"/assets/favicon.svg", "image/svg+xml", "<svg"},
		{"/assets/uPlot.LICENSE", "text/plain; charset=utf-8", "Permission is hereby granted"},
	}
	handler := page()
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			got := askPage(t, handler, http.MethodGet, tt.path, "")
			if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), tt.has) {
				t.Fatalf("status %d, and %q is not in %.80q", got.Code, tt.has, got.Body)
			}
			for name, want := range map[string]string{"Content-Type": tt.mediaType, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"} {
				if got.Header().Get(name) != want {
					t.Errorf("%s is %q, want %q", name, got.Header().Get(name), want)
				}
			}
			etag := got.Header().Get("ETag")
			if again := askPage(t, handler, http.MethodGet, tt.path, etag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
				t.Errorf("with its ETag %s: status %d and %d bytes, want 304 and none", etag, again.Code, again.Body.Len())
			}
			if head := askPage(t, handler, http.MethodHead, tt.path, ""); head.Code != http.StatusOK || head.Body.Len() > 0 {
				t.Errorf("HEAD: status %d and %d bytes, want 200 and none", head.Code, head.Body.Len())
			}
		})
	}
}

func TestPageRefuses(t *testing.T) {
	tests := []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/index.html", http.StatusNotFound},
		{http.MethodGet, "/assets/", http.StatusNotFound},
		{http.MethodGet, "/assets/index.html", http.StatusNotFound},
		{http.MethodGet, "/assets/../page.go", http.StatusNotFound},
		{http.MethodPost, "/", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/assets/app.js", http.StatusMethodNotAllowed},
	}
	for _, tt := range tests {
		if got := askPage(t, page(), tt.method, tt.path, ""); got.Code != tt.status {
			t.Errorf("%s %s: status %d, want %d", tt.method, tt.path, got.Code, tt.status)
		}
	}
}

func askPage(t *testing.T, handler http.Handler, method, path, etag string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1/", nil)
	r.URL.Path = path
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// What would take a text for markup or a program, in files of ours, and what the CSP refuses.
var forbidden = regexp.MustCompile(`(?i)innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|createContextualFragment|DOMParser|srcdoc|setHTML|javascript:|setAttribute\('style|\sstyle=|\son[a-z]+=|<style|https?://`)

func TestPageMakesNoMarkupOfText(t *testing.T) {
	// The name of SVG, and the drawing that says it is one.
	known := []string{"http://www.w3.org/2000/svg"}
	eachPageFile(t, func(name, content string) {
		if strings.HasPrefix(name, "uPlot") {
			return
		}
		for _, k := range known {
			content = strings.ReplaceAll(content, k, "")
		}
		for i, line := range strings.Split(content, "\n") {
			if found := forbidden.FindString(line); found != "" {
				t.Errorf("%s:%d: %q: %s", name, i+1, found, line)
			}
		}
	})
}

// Whatever index.html and the modules ask for is there, and there is nothing that nobody asks for.
func TestPageIsWhole(t *testing.T) {
	reference := regexp.MustCompile(`/assets/([A-Za-z0-9.]+)|from '\./([a-z]+\.js)'`)
	asked := map[string]bool{"index.html": true, "uPlot.LICENSE": true}
	there := map[string]bool{}
	eachPageFile(t, func(name, content string) {
		there[name] = true
		for _, m := range reference.FindAllStringSubmatch(content, -1) {
			asked[m[1]+m[2]] = true
		}
	})
	for name := range asked {
		if !there[name] {
			t.Errorf("%s is asked for, and is not there", name)
		}
	}
	for name := range there {
		if !asked[name] {
			t.Errorf("%s is there, and nobody asks for it", name)
		}
	}
}

// The page is a part of the binary, and is loaded over slow lines.
func TestPageIsSmall(t *testing.T) {
	const most = 200_000
	total := 0
	eachPageFile(t, func(_, content string) { total += len(content) })
	if total > most {
		t.Errorf("the page has %d bytes, more than %d", total, most)
	}
	t.Logf("the page has %d bytes", total)
}

func eachPageFile(t *testing.T, look func(name, content string)) {
	t.Helper()
	err := fs.WalkDir(pageFiles, "page", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file, err := pageFiles.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }()
		content, err := io.ReadAll(file)
		look(entry.Name(), string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
