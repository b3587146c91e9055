package ops

import (
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// maxUnread is how many bytes there may be in a body that means nothing.
const maxUnread = 1 << 10

// fail answers with an error for people, {"error": "…"}.
func fail(w http.ResponseWriter, status int, text string) {
	answer(w, status, struct {
		Error string `json:"error"`
	}{text})
}

// untimed lets a request take longer than others may, when it has been read: of a body that
// is announced and never sent, the server would await the rest, and then without an end.
func untimed(w http.ResponseWriter, r *http.Request) bool {
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxUnread)); err != nil {
		fail(w, http.StatusBadRequest, "this takes no body")
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return true
}

// answer answers with JSON.
func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil { // not reached: what we answer is made of texts and numbers
		status, text = http.StatusInternalServerError, []byte(`{"error":"the answer is no JSON"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
