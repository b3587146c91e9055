package handlers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"signalbox/handlers"
	"signalbox/router"
	"signalbox/router/routertest"
)

func ExampleWebhook() {
	slack := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Println(r.Method, r.Header.Get("Content-Type"), r.Header.Get("webhook-id"))
		fmt.Println(string(body))
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer slack.Close()

	box, err := routertest.New(router.Config{
		Channels: []router.Channel{{Name: "orders", Fields: router.Fields{Key: "data.order"}}},
		Handlers: []router.HandlerSpec{spec(handlers.Webhook(), handlers.WebhookOptions{
			URL:     slack.URL,
			Body:    map[string]any{"text": "{type}: order {key}, {data.note}", "unfurl_links": false},
			Headers: map[string]string{"Authorization": "Bearer 4711"},
		})},
		Routes: []router.Route{{Channel: "orders", Types: []string{"order.*"}, Handler: "webhook"}},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = box.Close() }()

	box.Send("orders", `{"id":"7","type":"order.paid","data":{"order":"A7","note":"\"express\", please"}}`)
	fmt.Println(box.Outcomes()[0].Result)
	// Output:
	// POST application/json 7
	// {"text":"order.paid: order A7, \"express\", please","unfurl_links":false}
	// handled
}
