package router

import (
	"io"
	"sync"
)

// instance is a handler that was made. It outlives reloads that don't change its spec,
// and is closed when no attempt runs in it any more.
type instance struct {
	spec HandlerSpec
	Handler
	attempts sync.RWMutex // read-locked by each; locked for good by close
	once     sync.Once
}

// enter begins an attempt. It reports false when the handler is being closed.
func (i *instance) enter() bool { return i.attempts.TryRLock() }

// leave ends an attempt.
func (i *instance) leave() { i.attempts.RUnlock() }

// retire closes the handler after its last attempt.
func (i *instance) retire(failed func(*instance, error)) {
	i.attempts.Lock()
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
