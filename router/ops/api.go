package ops

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

const (
	maxBody        = 1 << 20
	maxLetters     = 200 // that are told, or replayed, at a time
	someLetters    = 50  // that are told when nobody says how many
	lettersTimeout = 10 * time.Second
)

// api answers what the page asks for when somebody clicks.
type api struct {
	program Program
	write   bool
	// replaying holds one while letters are replayed: two who replay the same letter at the
	// same time would both send it.
	replaying chan struct{}
	// looking holds one while letters are read: they may be large, and what many ask for at
	// the same time would keep Redis from all else.
	looking chan struct{}
}

func newAPI(p Program, write bool) *api {
	return &api{program: p, write: write, replaying: make(chan struct{}, 1), looking: make(chan struct{}, 1)}
}

// mount says what there is.
func (a *api) mount(mux *http.ServeMux, protect func(http.Handler) http.Handler) {
	mux.Handle("/api/dead", protect(methods{"GET": http.HandlerFunc(a.dead)}))
	mux.Handle("/api/replay", protect(methods{"POST": http.HandlerFunc(a.replay)}))
	mux.Handle("/api/publish", protect(methods{"POST": http.HandlerFunc(a.publish)}))
}

// dead tells the newest dead letters of a channel.
func (a *api) dead(w http.ResponseWriter, r *http.Request) {
	n, query := someLetters, r.URL.Query()
	if text := query.Get("n"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 || n > maxLetters {
			fail(w, http.StatusBadRequest, fmt.Sprintf("n=%q: want a number of dead letters from 1 to %d", start(text, maxNamed), maxLetters))
			return
		}
	}
	if query.Get("channel") == "" {
		fail(w, http.StatusBadRequest, "name the channel whose dead letters to tell: /api/dead?channel=NAME")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), lettersTimeout)
	defer cancel()
	letters, total, err := a.letters(ctx, query.Get("channel"), n)
	if err != nil {
		failed(w, err)
		return
	}
	answer(w, http.StatusOK, wireLetters{Letters: append([]Letter{}, letters...), Total: total})
}

// letters reads dead letters when its turn comes.
func (a *api) letters(ctx context.Context, channel string, n int) (letters []Letter, total int, err error) {
	select {
	case a.looking <- struct{}{}:
		defer func() { <-a.looking }()
		return a.program.Dead(ctx, channel, n)
	case <-ctx.Done():
		return nil, 0, errors.New("too many ask for dead letters at the same time; try again")
	}
}

// replay sends dead letters again.
func (a *api) replay(w http.ResponseWriter, r *http.Request) {
	var body wireReplay
	if !a.mayWrite(w, "replay dead letters") || !decode(w, r, &body, "channel and ids") {
		return
	}
	switch n := len(body.IDs); {
	case n == 0:
		fail(w, http.StatusBadRequest, "ids: name the dead letters to replay; GET /api/dead tells their ids")
		return
	case n > maxLetters:
		fail(w, http.StatusBadRequest, fmt.Sprintf("ids: %d are too many at a time; %d may be replayed here, and router dead replay does them all", n, maxLetters))
		return
	}
	select {
	case a.replaying <- struct{}{}:
		defer func() { <-a.replaying }()
	case <-r.Context().Done():
		return
	}
	result, err := a.program.Replay(r.Context(), body.Channel, body.IDs)
	finish(w, result, err)
}

// publish sends an event.
func (a *api) publish(w http.ResponseWriter, r *http.Request) {
	var body wirePublish
	if !a.mayWrite(w, "publish events") || !decode(w, r, &body, "channel, type and data") {
		return
	}
	result, err := a.program.Publish(r.Context(), body.Channel, body.Type, body.Data)
	finish(w, result, err)
}

// mayWrite refuses what changes something, unless the configuration permits it.
func (a *api) mayWrite(w http.ResponseWriter, what string) bool {
	if !a.write {
		fail(w, http.StatusForbidden, "nobody may "+what+" here; [http] write = true in the configuration permits it")
	}
	return a.write
}

func finish(w http.ResponseWriter, result string, err error) {
	if err != nil {
		failed(w, err)
		return
	}
	answer(w, http.StatusOK, wireResult{result})
}

// failed answers with an error of the program: of the request, else of Redis.
func failed(w http.ResponseWriter, err error) {
	status := http.StatusBadGateway
	if _, ok := errors.AsType[*RequestError](err); ok {
		status = http.StatusBadRequest
	}
	fail(w, status, start(err.Error(), maxError))
}

// decode reads a body that has the members of into, at most, each once; want names them.
func decode(w http.ResponseWriter, r *http.Request, into any, want string) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "the body has to be JSON, and say so: Content-Type: application/json")
		return false
	}
	err := json.UnmarshalRead(http.MaxBytesReader(w, r.Body, maxBody), into, json.RejectUnknownMembers(true))
	if err == nil {
		return true
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", maxBody))
		return false
	}
	fail(w, http.StatusBadRequest, "the body has to be a JSON object with "+want+": "+wrong(err))
	return false
}

// wrong says what is wrong with a body, without the names that Go has for things.
func wrong(err error) string {
	semantic, ok := errors.AsType[*json.SemanticError](err)
	if !ok {
		return strings.TrimPrefix(err.Error(), "jsontext: ")
	}
	where := start(string(semantic.JSONPointer), maxNamed)
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return where + " is none of these"
	case where == "":
		where = "it"
	}
	return where + " is " + article(semantic.JSONKind)
}

// article is a kind of JSON value in words.
func article(kind jsontext.Kind) string {
	switch kind {
	case jsontext.KindBeginArray:
		return "an array"
	case jsontext.KindBeginObject:
		return "an object"
	}
	return "a " + kind.String()
}
