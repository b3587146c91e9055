package handlers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// keep closes idle files and, if fsync is a duration, tells the disk, until ctx ends.
func (s *fileSet) keep(ctx context.Context) {
	idle := time.NewTicker(idleAfter / 2)
	defer idle.Stop()
	var syncs <-chan time.Time
	if s.fsync.every > 0 {
		ticker := time.NewTicker(s.fsync.every)
		defer ticker.Stop()
		syncs = ticker.C
	}
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-idle.C:
			s.closeIdle(time.Now().Add(-idleAfter))
		case <-syncs:
			failing = s.syncAll(failing)
		}
	}
}

// syncAll tells the disk of all that was written. It reports, and logs once, that the
// disk fails.
func (s *fileSet) syncAll(failing bool) bool {
	var first error
	for _, a := range s.open() {
		if err := a.syncNow(); err != nil && first == nil {
			first = fmt.Errorf("%s: %w", s.path.full(a.name), cause(err))
		}
	}
	switch {
	case first != nil && !failing:
		s.log.Error("fsync fails: lines may be missing after a power cut", "err", first)
	case first == nil && failing:
		s.log.Info("fsync works again")
	}
	return first != nil
}

// rename makes a part of a file whose lock is held, and returns the part's name.
func (s *fileSet) rename(name string) (string, error) {
	root, err := s.rooted()
	if err != nil {
		return "", err
	}
	for at := s.now(); ; at = at.Add(time.Millisecond) {
		part := s.path.part(name, at)
		_, plain := root.Lstat(part)
		_, packed := root.Lstat(part + gzipEnd)
		switch {
		case errors.Is(plain, fs.ErrNotExist) && errors.Is(packed, fs.ErrNotExist):
			return part, root.Rename(name, part)
		case plain != nil && !errors.Is(plain, fs.ErrNotExist):
			return "", plain
		case packed != nil && !errors.Is(packed, fs.ErrNotExist):
			return "", packed
		}
	}
}
