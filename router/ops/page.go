package ops

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed page
var pageFiles embed.FS

// asset is a file of the page, as it is served.
type asset struct {
	content   []byte
	mediaType string
	etag      string
}

// mediaType is what a file of the page is. The tables of the machine are not asked: on some
// they call a script text/plain, and a browser then runs nothing.
func mediaType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return "text/plain; charset=utf-8"
	}
}

// page serves the live page at / and what belongs to it under /assets/. Whoever mounts it
// adds the security headers that all answers have.
func page() http.Handler {
	assets := pageAssets()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, ok := assets[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page can only be read: GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		header := w.Header()
		header.Set("Content-Type", found.mediaType)
		header.Set("X-Content-Type-Options", "nosniff")
		// Kept, but asked for each time: after an upgrade the parts fit each other.
		header.Set("Cache-Control", "no-cache")
		header.Set("ETag", found.etag)
		// Not http.ServeContent, whose ranges and guesses nobody needs here: with it the binary is larger.
		if strings.Contains(r.Header.Get("If-None-Match"), found.etag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		header.Set("Content-Length", strconv.Itoa(len(found.content)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(found.content)
		}
	})
}

// pageAssets are the files of the page by the path they are served at.
func pageAssets() map[string]asset {
	assets := map[string]asset{}
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil {
		panic(err) // they are part of the program
	}
	for _, entry := range entries {
		content, err := pageFiles.ReadFile("page/" + entry.Name())
		if err != nil {
			panic(err)
		}
		at := "/assets/" + entry.Name()
		if strings.HasSuffix(at, "/index.html") {
			at = "/"
		}
		assets[at] = asset{
			content: content, mediaType: mediaType(entry.Name()),
			etag: fmt.Sprintf(`"%x"`, sha256.Sum256(content)),
		}
	}
	return assets
}
