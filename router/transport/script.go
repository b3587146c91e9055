package transport

import (
	"context"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// allowOOM is the first line of scripts that a full Redis runs, too. A server that is
// older than Redis 7, and the embedded one, take none.
const allowOOM = "#!lua flags=allow-oom\n"

// scripts are those of leases and budgets.
type scripts struct {
	acquire, renew, release, publish, add *script
	spend                                 *script
}

func newScripts() *scripts {
	return &scripts{
		acquire: evenFull(acquireScript), renew: evenFull(renewScript), release: evenFull(releaseScript),
		publish: evenFull(publishScript), add: ordinary(addScript), spend: evenFull(spendScript),
	}
}

// script is a script that Redis runs by its digest.
type script struct {
	plain *redis.Script
	now   atomic.Pointer[redis.Script] // as this server takes it
}

// ordinary is a script whose first write a full Redis refuses.
func ordinary(text string) *script {
	s := &script{plain: redis.NewScript(text)}
	s.now.Store(s.plain)
	return s
}

// evenFull is a script that takes no more memory the more often it runs, so that a full
// Redis runs it, too, if it can tell.
func evenFull(text string) *script {
	s := ordinary(text)
	s.now.Store(redis.NewScript(allowOOM + text))
	return s
}

// run runs the script, which Redis may not know yet.
func (s *script) run(ctx context.Context, by redis.Scripter, key string, args ...any) *redis.Cmd {
	for {
		now := s.now.Load()
		cmd := now.EvalSha(ctx, by, []string{key}, args...)
		if !redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
			return cmd
		}
		switch err := now.Load(ctx, by).Err(); {
		case err == nil:
			return now.EvalSha(ctx, by, []string{key}, args...)
		case now == s.plain || !hasReply(err, "ERR Error compiling"):
			cmd.SetErr(err)
			return cmd
		}
		s.now.Store(s.plain)
	}
}
