package ops

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// methods are what answers for a path. Who may GET may HEAD.
type methods map[string]http.Handler

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	if h, ok := m[method]; ok {
		h.ServeHTTP(w, r)
		return
	}
	names := slices.Sorted(maps.Keys(m))
	if names[0] == http.MethodGet {
		names = slices.Insert(names, 1, http.MethodHead)
	}
	allowed := strings.Join(names, ", ")
	w.Header().Set("Allow", allowed)
	fail(w, http.StatusMethodNotAllowed, r.URL.Path+" takes "+allowed)
}
