package routesfile

import (
	"cmp"
	"time"

	"signalbox/router"
)

// noTimeout is router.Policy's way to say that an attempt may last for ever.
const noTimeout = -1

// policyOf is a route's policy: what it says itself, else what [defaults] says. Keys
// of retry are inherited one by one.
func (e *expander) policyOf(raw *rawRoute) router.Policy {
	defaults := &e.raw.Defaults.rawPolicy
	own := &raw.rawPolicy
	policy := router.Policy{
		MaxAge:  value(cmp.Or(own.MaxAge, defaults.MaxAge)),
		Workers: value(cmp.Or(own.Workers, defaults.Workers)),
	}
	if timeout := cmp.Or(own.Timeout, defaults.Timeout); timeout != nil {
		if policy.Timeout = *timeout; *timeout == 0 {
			policy.Timeout = noTimeout
		}
	}
	for _, retry := range []*rawRetry{defaults.Retry, own.Retry} {
		if retry == nil {
			continue
		}
		policy.Retry.Attempts = cmp.Or(value(retry.Attempts), policy.Retry.Attempts)
		policy.Retry.Backoff = cmp.Or(value(retry.Backoff), policy.Retry.Backoff)
		policy.Retry.MaxBackoff = cmp.Or(value(retry.MaxBackoff), policy.Retry.MaxBackoff)
	}
	return policy
}

// checkRetry finds a pause that is longer than the longest, also where one of the two
// is inherited.
func (c *compiler) checkRetry(retry, inherited *rawRetry) {
	if retry == nil || retry.node == nil || retry.Backoff == nil && retry.MaxBackoff == nil {
		return
	}
	if inherited == nil {
		inherited = &rawRetry{}
	}
	backoff, longest := cmp.Or(retry.Backoff, inherited.Backoff), cmp.Or(retry.MaxBackoff, inherited.MaxBackoff)
	if backoff == nil || longest == nil || *longest >= *backoff {
		return
	}
	key, from := "max_backoff", [2]string{}
	switch {
	case retry.MaxBackoff == nil:
		key, from[0] = "backoff", " of [defaults]"
	case retry.Backoff == nil:
		from[1] = " of [defaults]"
	}
	c.report.errorf(retry.node.place(key), "%s: max_backoff %v%s is shorter than backoff %v%s; it is the longest pause",
		retry.node.label(), *longest, from[0], *backoff, from[1])
}

func value[T int | time.Duration](p *T) T {
	if p == nil {
		return 0
	}
	return *p
}
