package transport

import "testing"

// A consumer is dead when its mark is missed twice, a TTL apart, while ours was there.
func TestDeadConsumers(t *testing.T) {
	t.Parallel()
	r := &Redis{}
	r.alive = newAlive(r)
	r.alive.age(0)
	tend := &tender{streamSub: &streamSub{r: r}, missing: make(map[string]absence)}
	look := func(gone ...string) int { return len(tend.dead(gone)) }
	age := func() {
		for name, a := range tend.missing {
			a.since = a.since.Add(-aliveTTL)
			tend.missing[name] = a
		}
	}
	if look("a") != 0 {
		t.Fatal("dead at first sight")
	}
	age()
	if look("a", "b") != 1 {
		t.Fatal("not dead after a TTL")
	}
	age()
	if look("a") != 1 || look("b") != 0 {
		t.Fatal("a mark that was seen between does not count from anew")
	}
	age()
	r.alive.losses.Add(1)
	if look("b") != 0 {
		t.Fatal("dead though our own mark was lost meanwhile")
	}
	age()
	r.alive.age(2 * aliveTTL)
	if look("b") != 0 {
		t.Fatal("dead though our own mark is missing")
	}
}
