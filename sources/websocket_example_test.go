package sources_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/coder/websocket"

	"signalbox/router"
	"signalbox/sources"
)

// printer is a sink that prints what it gets.
type printer struct{}

func (printer) Opened(string)       { fmt.Println("open") }
func (printer) Alive()              {}
func (printer) Emit(message []byte) { fmt.Println("message:", string(message)) }
func (printer) Trouble(err error)   { fmt.Println("trouble:", err) }

func ExampleWebSocket() {
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_, login, _ := conn.Read(ctx)
		fmt.Println("broker gets:", string(login))
		_ = conn.Write(ctx, websocket.MessageText, []byte(`{"event":"welcome"}`))
		_, subscribe, _ := conn.Read(ctx)
		fmt.Println("broker gets:", string(subscribe))
		_ = conn.Write(ctx, websocket.MessageText, []byte(`{"event":"subscribed"}`))
		_, ping, _ := conn.Read(ctx)
		fmt.Println("broker gets:", string(ping))
		_ = conn.Write(ctx, websocket.MessageText, []byte(`{"event":"pong"}`))
		_ = conn.Write(ctx, websocket.MessageText, []byte(`{"symbol":"BTC","price":97000.5}`))
		_ = conn.Close(4001, "token expired")
	}))
	defer broker.Close()

	source, err := sources.WebSocket().New(router.SourceEnv{Source: "broker"}, sources.WebSocketOptions{
		URL:       []string{"ws" + broker.URL[len("http"):]},
		Auth:      sources.WebSocketAuth{Message: map[string]any{"op": "auth", "key": "4711"}, Expect: map[string]any{"event": "welcome"}},
		Subscribe: []any{map[string]any{"op": "subscribe", "id": "{id}"}},
		Confirm:   sources.WebSocketConfirm{Expect: map[string]any{"event": "subscribed"}},
		Ping:      sources.WebSocketPing{Every: 1, Send: "ping", Expect: map[string]any{"event": "pong"}},
		Errors:    []sources.WebSocketError{{Code: 4001, Then: "reauth"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = source.Run(context.Background(), printer{})
	fmt.Println(err != nil, router.IsPermanent(err), router.IsStandDown(err))
	// Output:
	// broker gets: {"key":"4711","op":"auth"}
	// broker gets: {"id":1,"op":"subscribe"}
	// open
	// broker gets: ping
	// message: {"symbol":"BTC","price":97000.5}
	// true false false
}
