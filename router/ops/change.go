package ops

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"signalbox/router/internal/wording"
)

// maxLevel is the most that a request for another level may hold, in bytes.
const maxLevel = 1 << 10

// routeChanges says where the running program is changed. Write does not matter: that is
// about events, and who may connect, and knows the token, is who may operate the router.
func routeChanges(mux *http.ServeMux, p Program, g *guard) {
	mux.Handle("/-/reload", g.secret(methods{"POST": reload(p)}))
	mux.Handle("/-/log-level", g.secret(methods{"GET": showLevel(p), "POST": setLevel(p)}))
}

// reloaded is the configuration that a reload made the running one.
type reloaded struct {
	Hash     string    `json:"hash"`
	Since    time.Time `json:"since"`
	Files    []string  `json:"files"`
	Channels int       `json:"channels"`
	Routes   int       `json:"routes"`
}

// reload reads the configuration again. It answers when the new one runs, or with why the
// old one goes on: 422 for mistakes in it, 409 for what stands against it now.
func reload(p Program) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		// What is gone drains first, for as long as the configuration says: the times that
		// other answers have would end this one, and with it the reload.
		if !untimed(w, r) {
			return
		}
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Time{})
		err := p.Reload(r.Context())
		_ = control.SetWriteDeadline(time.Now().Add(writeTimeout))
		if err != nil {
			refuse(w, r, err)
			return
		}
		now := p.Running()
		is := reloaded{Hash: now.shortHash(), Since: now.Since, Files: now.Files, Channels: len(now.Config.Channels), Routes: len(now.Config.Routes)}
		if wantsText(r) {
			answerText(w, http.StatusOK, fmt.Sprintf("reloaded: %s, hash %s", wording.Count(is.Routes, "route"), is.Hash))
			return
		}
		answer(w, http.StatusOK, is)
	}
}

// refuse says why a configuration was refused. One with mistakes shows them as `router
// check` does.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusConflict, redact(err.Error())
	if mistakes, ok := errors.AsType[interface {
		error
		Show() string
	}](err); ok {
		status, text = http.StatusUnprocessableEntity, redact(mistakes.Show())
	}
	if wantsText(r) {
		answerText(w, status, text)
		return
	}
	fail(w, status, text)
}

// wantsText reports whether who asks would rather read than parse.
func wantsText(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/plain") && !strings.Contains(accept, "application/json")
}

func answerText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}

// logLevel is the least important level that is logged.
type logLevel struct {
	Level string `json:"level"`
}

func showLevel(p Program) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, logLevel{p.Level()})
	}
}

// setLevel changes the level, until the next reload or restart.
func setLevel(p Program) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLevel))
		if err != nil {
			status := http.StatusBadRequest
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				status = http.StatusRequestEntityTooLarge
			}
			fail(w, status, "read the level: "+err.Error())
			return
		}
		level, err := parseLevel(string(body))
		if err == nil {
			err = p.SetLevel(level)
		}
		if err != nil {
			fail(w, http.StatusBadRequest, err.Error())
			return
		}
		answer(w, http.StatusOK, logLevel{p.Level()})
	}
}

// parseLevel reads {"level":"debug"}, or the bare word, whatever type the request says that
// it is of: curl -d says that all it sends is a form.
func parseLevel(body string) (string, error) {
	text := strings.TrimSpace(body)
	if strings.HasPrefix(text, "{") {
		decoder := json.NewDecoder(strings.NewReader(text))
		decoder.DisallowUnknownFields()
		var sent logLevel
		if err := decoder.Decode(&sent); err != nil || decoder.More() {
			return "", errors.New(`the body is not {"level":"debug"}; send that, or the bare word`)
		}
		text = sent.Level
	}
	if text == "" {
		return "", errors.New(`there is no level in the body; send {"level":"debug"}, or the bare word`)
	}
	return strings.ToLower(text), nil
}
