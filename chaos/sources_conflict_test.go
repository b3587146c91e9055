//go:build failpoints

package chaos

import (
	"fmt"
	"testing"
	"time"

	"github.com/coder/websocket"

	"signalbox/internal/brokertest"
)

// stranger is somebody else who logs in with the same account.
type stranger struct{ conn *websocket.Conn }

// login begins the stranger's session.
func (r *relay) login() stranger {
	r.Helper()
	conn, _, err := websocket.Dial(r.Context(), r.broker.URL()+"/?stranger", nil)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = conn.CloseNow() })
	s := stranger{conn}
	for _, send := range []string{`{"action":"auth","key":"k"}`, `{"action":"subscribe","symbols":["S0"]}`} {
		s.read(r)
		if err := conn.Write(r.Context(), websocket.MessageText, []byte(send)); err != nil {
			r.Fatal(err)
		}
	}
	s.read(r)
	go func() { // the stranger answers pings, as long as the session lasts
		for {
			if _, _, err := conn.Read(r.Context()); err != nil {
				return
			}
		}
	}()
	return s
}

func (s stranger) read(r *relay) {
	r.Helper()
	if _, _, err := s.conn.Read(r.Context()); err != nil {
		r.Fatal(err)
	}
}

// accepted counts the sessions that others than the stranger had since a moment.
func (r *relay) accepted(since time.Time) (n int) {
	for _, s := range r.broker.Sessions() {
		if s.Asked != "/?stranger" && s.Begin.After(since) {
			n++
		}
	}
	return n
}

// Whoever is evicted stands down, and so do the routers that stand by: if one of them logged
// in, it would evict the stranger, and so on for ever.
func TestEvicted(t *testing.T) {
	r := newRelay(t, *seed, brokertest.Evict, "")
	r.beginAll()
	r.flows(time.Now())
	s := r.holder()
	at := time.Now()
	r.login()
	eventually(t, "the holder says that it stands down", func() bool {
		return s.proc.logged("another session of the account has taken the place of ours; standing down instead of fighting for it")
	})
	time.Sleep(standDown * 8 / 10)
	if n := r.accepted(at); n > 0 {
		t.Errorf("routers logged in %d times, and so evicted the stranger", n)
	}
	r.flows(at.Add(standDown)) // then it tries again, as it was told
	r.judge()
}

// Whoever is refused waits until the stranger has left.
func TestRefused(t *testing.T) {
	r := newRelay(t, *seed, brokertest.Refuse, "")
	other := r.login()
	r.beginAll()
	eventually(t, "a router says that it is refused", func() bool {
		for _, s := range r.routers {
			if s.proc.logged("the other side refuses: another session of the account is open; trying again") {
				return true
			}
		}
		return false
	})
	at := time.Now()
	if n := r.accepted(time.Time{}); n > 0 {
		t.Errorf("%d sessions beside the stranger's", n)
	}
	if err := other.conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Error(err)
	}
	r.flows(at)
	r.judge()
}

// A broker that is connected and says nothing is left for a new session, and when it speaks
// again everybody hears it.
func TestMuteBroker(t *testing.T) {
	r := newRelay(t, *seed, brokertest.Both, "")
	r.beginAll()
	r.flows(time.Now())
	s := r.holder()
	at := time.Now()
	r.broker.Change(func(o *brokertest.Options) { o.Mute = true })
	eventually(t, "the silent session is ended", func() bool { return s.proc.logged("the session failed; connecting anew") && r.accepted(at) > 0 })
	r.broker.Change(func(o *brokertest.Options) { o.Mute = false })
	r.flows(time.Now())
	r.judge()
}

// A broker that closes each session at once gets no more attempts than the budget has,
// whoever holds the source.
func TestClosingBroker(t *testing.T) {
	const connects = 10 // in 10 s
	r := newRelay(t, *seed, brokertest.Both, "")
	r.env = []string{fmt.Sprint("CONNECTS=", connects)}
	r.broker.Change(func(o *brokertest.Options) { o.Life, o.Rate = 50*time.Millisecond, 1000 })
	r.beginAll()
	eventually(t, "the budget is used up", func() bool {
		for _, s := range r.routers {
			if s.proc.logged("the connect budget is used up; connecting later") {
				return true
			}
		}
		return false
	})
	r.holderByLog().proc.kill()
	time.Sleep(leaseFor + takeoverDelay)
	all := r.broker.Sessions()
	for i := range all {
		if i >= connects && all[i].Begin.Sub(all[i-connects].Begin) < 10*time.Second-100*time.Millisecond {
			t.Errorf("session %d began %s after the one %d before", i, all[i].Begin.Sub(all[i-connects].Begin), connects)
		}
	}
	if len(all) < connects {
		t.Errorf("%d sessions", len(all))
	}
	r.judge()
}

// holderByLog is the seat that says last that it holds the source.
func (r *relay) holderByLog() *seat {
	for _, s := range r.routers {
		if s.proc.logged("this router holds the source") {
			return s
		}
	}
	r.Fatal("nobody holds the source")
	return nil
}
