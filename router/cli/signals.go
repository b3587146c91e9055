package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// sameSignal is how soon after the first a signal counts as the first one again:
// timeout(1) and some supervisors signal the process and then its whole group.
const sameSignal = 100 * time.Millisecond

// untilSignalled returns a context that ends at SIGINT or SIGTERM, so that the program
// drains; a second one ends the program now.
func untilSignalled(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	stopped := make(chan struct{})
	go func() {
		select {
		case <-signals:
		case <-stopped:
			return
		}
		cancel()
		first := time.Now()
		for {
			select {
			case <-signals:
				if time.Since(first) > sameSignal {
					os.Exit(exitFailed)
				}
			case <-stopped:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		cancel()
	}
}

// hangups returns a channel that is sent to at each SIGHUP, until stop is called. Those
// that come while one waits are that one.
func hangups() (asked <-chan struct{}, stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP)
	reload, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		for {
			select {
			case <-signals:
			case <-stopped:
				return
			}
			select {
			case reload <- struct{}{}:
			case <-stopped:
				return
			}
		}
	}()
	return reload, func() {
		signal.Stop(signals)
		close(stopped)
	}
}
