package router

import (
	"io"
	"math"
	"sync"
	"sync/atomic"
)

// retired is added to the attempts of an instance that is to be closed.
const retired = math.MinInt64

// instance is a handler that was made. It outlives reloads that don't change its spec,
// and is closed when no attempt runs in it any more.
type instance struct {
	spec HandlerSpec
	Handler
	attempts atomic.Int64  // under way; below 0: none may begin
	idle     chan struct{} // closed when it is retired and no attempt is left
	once     sync.Once
}

func newInstance(spec HandlerSpec, handler Handler) *instance {
	return &instance{spec: spec, Handler: handler, idle: make(chan struct{})}
}

// enter begins an attempt. It reports false when the handler is retired.
func (i *instance) enter() bool {
	for {
		n := i.attempts.Load()
		if n < 0 {
			return false
		}
		if i.attempts.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave ends an attempt.
func (i *instance) leave() {
	if i.attempts.Add(-1) == retired {
		close(i.idle)
	}
}

// retire closes the handler after its last attempt.
func (i *instance) retire(failed func(*instance, error)) {
	if i.attempts.Add(retired) == retired {
		close(i.idle)
	}
	<-i.idle
	i.close(failed)
}

// close closes the handler, unless it is closed.
func (i *instance) close(failed func(*instance, error)) {
	i.once.Do(func() {
		closer, ok := i.Handler.(io.Closer)
		if !ok {
			return
		}
		if err := closer.Close(); err != nil {
			failed(i, err)
		}
	})
}

// same reports whether the handler is what spec would make.
func (i *instance) same(spec HandlerSpec) bool {
	return spec.Revision != "" && i.spec.Name == spec.Name && i.spec.Kind == spec.Kind && i.spec.Revision == spec.Revision
}
