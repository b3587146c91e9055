package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/internal/redistest"
)

// With the page open and everything asked for, the shipped Redis user needs no permission that
// it does not have; only a replay needs one more, and says so.
func TestThePageNeedsNoMorePermissions(t *testing.T) {
	t.Parallel()
	acl, err := filepath.Abs("../../deploy/redis.acl")
	if err != nil {
		t.Fatal(err)
	}
	server := redistest.Start(t, redistest.Args("--include", acl))
	for _, command := range [][]any{{"ACL", "SETUSER", "signalbox", ">secret"}, {"ACL", "LOG", "RESET"}} {
		if err := server.Client().Do(t.Context(), command...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	listen, routes := freeAddress(t), filepath.Join(t.TempDir(), "routes.toml")
	if err := os.WriteFile(routes, fmt.Appendf(nil, pageRoutes, listen, filepath.Join(t.TempDir(), "open")), 0o600); err != nil {
		t.Fatal(err)
	}
	r := startRouter(t, "redis://signalbox:secret@"+server.Addr(), "run", "-c", routes)
	r.awaitReady()
	const token = "a-token-for-the-test"
	ask := func(method, path, body string) string {
		return askRouter(t, method, "http://"+listen+path, token, body)
	}
	seen := watchPageAs(t, "http://"+listen, token)
	if got := ask("POST", "/api/publish", `{"channel":"orders","type":"enter","data":{}}`); !strings.HasPrefix(got, "200") {
		t.Errorf("publish: %s", got)
	}
	eventually(t, "a dead letter is counted", func() bool { return strings.Contains(seen(), `"dead":1`) })
	for _, path := range []string{"/readyz", "/metrics", "/api/dead?channel=orders"} {
		if got := ask("GET", path, ""); !strings.HasPrefix(got, "200") {
			t.Errorf("%s: %s", path, got)
		}
	}
	if denied, err := server.Client().ACLLog(t.Context(), 10).Result(); err != nil || len(denied) > 0 {
		t.Errorf("%v, denied %+v", err, denied)
	}
	letters, err := server.Client().XRange(t.Context(), "orders.dead", "-", "+").Result()
	if err != nil || len(letters) != 1 {
		t.Fatalf("%d letters, %v", len(letters), err)
	}
	replay := fmt.Sprintf(`{"channel":"orders","ids":[%q]}`, letters[0].ID)
	if got := ask("POST", "/api/replay", replay); !strings.Contains(got, "XDEL") && !strings.Contains(got, "xdel") {
		t.Errorf("a replay without the permission: %s", got)
	}
	if n := server.Client().XLen(t.Context(), "orders.dead").Val(); n != 1 {
		t.Errorf("%d letters are left, want 1", n)
	}
	// What redis.acl says to add.
	if err := server.Client().Do(t.Context(), "ACL", "SETUSER", "signalbox", "(~*.dead -@all +xdel)").Err(); err != nil {
		t.Fatal(err)
	}
	if got := ask("POST", "/api/replay", replay); !strings.HasPrefix(got, "200") {
		t.Errorf("a replay with it: %s", got)
	}
}
