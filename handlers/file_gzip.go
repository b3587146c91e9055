package handlers

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

const (
	gzipEnd = ".gz"
	// unfinishedEnd is of a file that is being compressed.
	unfinishedEnd = gzipEnd + ".tmp"
	// settle is how long nothing may have been written to the file of a past day before it
	// is finished: some events are late.
	settle = 10 * time.Minute
)

// finished hands a part over to be compressed.
func (s *fileSet) finished(part string) {
	if !s.gzip {
		return
	}
	select {
	case s.parts <- part:
	default:
		s.late.Store(true)
	}
}

// compress compresses parts until ctx ends, and finishes the files of days that are over.
// It looks for both on the disk at first, so that nothing waits for ever for a process
// that ended too early, and after that when there may be something.
func (s *fileSet) compress(ctx context.Context) {
	again := s.sweep(ctx)
	today := dayOf(s.now())
	tick := time.NewTicker(settle)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case part := <-s.parts:
			again = !s.compressed(ctx, part) || again
		case <-tick.C:
			day := dayOf(s.now())
			if late := s.late.Swap(false); again || late || day != today {
				again = s.sweep(ctx)
			}
			today = day
		}
	}
}

// sweep finishes the files of past days and compresses all parts. It reports whether
// something is left to be done later.
func (s *fileSet) sweep(ctx context.Context) (again bool) {
	root, err := s.rooted()
	if err != nil {
		return true // nothing can be written either, which is said elsewhere
	}
	today, depth := dayOf(s.now()), s.path.depth()
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			again = true
			return nil
		case entry.IsDir() && name != "." && strings.Count(name, "/") >= depth:
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		if s.path.isPart(name) {
			again = !s.compressed(ctx, name) || again
			return nil
		}
		if day := s.path.day(name); day == "" || day >= today {
			return nil
		}
		settled, err := s.finishDay(ctx, name, entry)
		if err != nil {
			s.log.Warn("the file of a past day could not be finished", "file", s.path.full(name), "err", cause(err))
		}
		again = again || !settled || err != nil
		return nil
	})
	return again || err != nil
}

// finishDay finishes the file of a past day, if it is settled.
func (s *fileSet) finishDay(ctx context.Context, name string, entry fs.DirEntry) (settled bool, err error) {
	info, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if s.now().Sub(info.ModTime()) < settle {
		return false, nil
	}
	a := &appendFile{set: s, name: name}
	if err := a.lock(ctx, false); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		return false, err
	}
	defer a.drop()
	if a.end == 0 {
		return true, nil
	}
	return true, a.finish()
}

// compressed compresses a part and removes it. It reports false when that has to be tried
// again.
func (s *fileSet) compressed(ctx context.Context, part string) bool {
	err := s.compressPart(ctx, part)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist): // somebody else did it
		return true
	case ctx.Err() == nil && !errors.Is(err, errLocked):
		s.log.Warn("a file could not be compressed; it stays as it is until the next try", "file", s.path.full(part), "err", cause(err))
	}
	return false
}

func (s *fileSet) compressPart(ctx context.Context, part string) error {
	root, err := s.rooted()
	if err != nil {
		return err
	}
	from, err := root.OpenFile(part, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	// With the lock, no other router compresses it too.
	if err := tryLock(from); err != nil {
		return err
	}
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if named, err := root.Stat(part); err != nil || !os.SameFile(info, named) {
		return errors.Join(err, fs.ErrNotExist)
	}
	if err := s.pack(ctx, root, from, part, info); err != nil {
		_ = root.Remove(part + unfinishedEnd)
		return err
	}
	if err := root.Rename(part+unfinishedEnd, part+gzipEnd); err != nil {
		return err
	}
	if err := s.syncFolders(part); err != nil {
		return err
	}
	// Only now: if we die before, it is compressed again.
	return root.Remove(part)
}

// pack writes the compressed text of a part.
func (s *fileSet) pack(ctx context.Context, root *os.Root, from io.Reader, part string, info fs.FileInfo) error {
	to, err := root.OpenFile(part+unfinishedEnd, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	packer := gzip.NewWriter(to)
	packer.Name, packer.ModTime = path.Base(part), info.ModTime()
	_, err = io.Copy(packer, untilDone{ctx, from})
	err = errors.Join(err, packer.Close())
	if err == nil && !s.fsync.never() {
		err = s.flush(to)
	}
	if err := errors.Join(err, to.Close()); err != nil {
		return fmt.Errorf("compress: %w", cause(err))
	}
	// Who deletes files by their age counts from the last event.
	return root.Chtimes(part+unfinishedEnd, time.Time{}, info.ModTime())
}

// untilDone reads until a context ends.
type untilDone struct {
	ctx context.Context //nolint:containedctx // it lives as long as one copy
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
