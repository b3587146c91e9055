package handlers

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// maxReplaced is how often an append looks for the file that has the name now.
const maxReplaced = 100

var errReplaced = errors.New("the file is replaced all the time, or this file system doesn't tell which file is which")

// chunk is lines for one file.
type chunk struct {
	text []byte
	ends []int // of the lines in text
}

// span is where the lines from to (not included) are in the text.
func (c *chunk) span(from, to int) (begin, end int) {
	if from > 0 {
		begin = c.ends[from-1]
	}
	return begin, c.ends[to-1]
}

// fit is how many lines, from the one given, have a place in so many bytes.
func (c *chunk) fit(from int, room int64) int {
	n := 0
	for from+n < len(c.ends) {
		if begin, end := c.span(from, from+n+1); int64(end-begin) > room {
			break
		}
		n++
	}
	return n
}

// appendFile is a file that lines are appended to, perhaps by several processes at once.
// Each append has the file's lock, so that what was written in part can be cut off again,
// and nobody writes to a file that has just been renamed.
type appendFile struct {
	set  *fileSet
	name string // below the set's folder

	// Guarded by the set.
	users int
	used  time.Time
	place *list.Element

	mu    sync.Mutex
	file  *os.File // nil: not open
	end   int64    // of the file, after our last look; what is before it is whole lines
	dirty bool     // written to since the last fsync
	fresh bool     // its name may not be on the disk yet
}

// append appends lines. It returns how many are done, from the first; the others are not
// in the file, as far as that is up to us.
func (a *appendFile) append(ctx context.Context, c *chunk) (done int, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for done < len(c.ends) {
		n, err := a.appendSome(ctx, c, done)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// appendSome appends the lines, from the one given, that the file has room for. When
// there is none it makes room.
func (a *appendFile) appendSome(ctx context.Context, c *chunk, from int) (done int, err error) {
	if err := a.lock(ctx, true); err != nil {
		return 0, err
	}
	defer a.unlock()
	n := len(c.ends) - from
	if a.set.rotate > 0 {
		n = c.fit(from, a.set.rotate-a.end)
		if n == 0 && a.end > 0 {
			return 0, a.finish()
		}
		n = max(n, 1) // a line that no file has room for has one of its own
	}
	return a.write(c, from, n)
}

// write writes lines, and takes back what it could not write whole.
func (a *appendFile) write(c *chunk, from, n int) (done int, err error) {
	begin, end := c.span(from, from+n)
	before := a.end
	wrote, err := a.file.Write(c.text[begin:end])
	for done < n && c.ends[from+done]-begin <= wrote {
		done++
	}
	if done > 0 {
		a.end = before + int64(c.ends[from+done-1]-begin)
		a.dirty = true
	}
	if err != nil && !a.cut(a.end) {
		return 0, err
	}
	if done > 0 && a.set.fsync.always {
		if syncErr := a.sync(); syncErr != nil {
			// Nobody knows what is on the disk. The lines come again.
			a.cut(before)
			return 0, syncErr
		}
	}
	return done, err
}

// cut takes the end of the file away. It reports false when it can't; then the next
// opening repairs the file.
func (a *appendFile) cut(end int64) bool {
	if a.file.Truncate(end) != nil {
		a.drop()
		return false
	}
	a.end = end
	return true
}

// lock opens the file if it isn't open and takes its lock. Another process may have
// written to it, renamed it or died in the middle of a line since: after lock it is the
// file that has the name now, and ends with a whole line.
func (a *appendFile) lock(ctx context.Context, create bool) error {
	replaced := 0
	for wait := 100 * time.Microsecond; ; {
		if err := a.open(create); err != nil {
			return err
		}
		locked := tryLock(a.file)
		if locked != nil && !errors.Is(locked, errLocked) {
			return fmt.Errorf("lock the file: %w", cause(locked))
		}
		info, current, err := a.current()
		switch {
		case err != nil:
			a.drop()
			return err
		case !current: // renamed or deleted: there is nothing to wait for
			a.set.closeFailed(a, a.shut())
			if replaced++; replaced > maxReplaced {
				return errReplaced
			}
		case locked == nil:
			if err := a.repair(info.Size()); err != nil {
				a.drop()
				return err
			}
			return nil
		default:
			select {
			case <-ctx.Done():
				return fmt.Errorf("wait for the file's lock: %w", ctx.Err())
			case <-time.After(wait):
			}
			wait = min(2*wait, 20*time.Millisecond)
		}
	}
}

// open opens the file, unless it is open.
func (a *appendFile) open(create bool) error {
	if a.file != nil {
		return nil
	}
	file, err := a.set.openFile(a.name, create)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		_ = file.Close()
		return err
	}
	a.file, a.end, a.fresh = file, -1, info.Size() == 0
	return nil
}

// current reports whether the open file still has its name.
func (a *appendFile) current() (fs.FileInfo, bool, error) {
	info, err := a.file.Stat()
	if err != nil {
		return nil, false, err
	}
	named, err := a.set.stat(a.name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrClosed) {
		return info, false, nil
	}
	return info, err == nil && a.set.same(info, named), err
}

func (a *appendFile) unlock() {
	if a.file != nil && unlock(a.file) != nil {
		a.drop()
	}
}

// drop closes the file as it is, and with that gives up its lock.
func (a *appendFile) drop() {
	if a.file != nil {
		_ = a.file.Close()
	}
	a.file, a.dirty = nil, false
}

// sync makes the disk remember all that was written.
func (a *appendFile) sync() error {
	if !a.dirty || a.set.fsync.never() {
		return nil
	}
	if err := a.set.flush(a.file); err != nil {
		return fmt.Errorf("fsync: %w", cause(err))
	}
	a.dirty = false
	if a.fresh {
		if err := a.set.syncFolders(a.name); err != nil {
			return fmt.Errorf("fsync of the folder: %w", cause(err))
		}
		a.fresh = false
	}
	return nil
}

// syncNow is sync for the keeper. Appends don't wait for it.
func (a *appendFile) syncNow() error {
	a.mu.Lock()
	if a.file == nil || !a.dirty {
		a.mu.Unlock()
		return nil
	}
	file, fresh := a.file, a.fresh
	a.dirty, a.fresh = false, false
	a.mu.Unlock()

	err := a.set.flush(file)
	if err == nil && fresh {
		err = a.set.syncFolders(a.name)
	}
	if errors.Is(err, fs.ErrClosed) {
		return nil // whoever closed it knew
	}
	if err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.file == file {
			a.dirty, a.fresh = true, fresh
		}
	}
	return err
}

// finish ends the file, whose lock is held: it is renamed to a part.
func (a *appendFile) finish() error {
	a.dirty = true // others may have written to it, too
	if err := a.sync(); err != nil {
		return err
	}
	part, err := a.set.rename(a.name)
	if err != nil {
		return err
	}
	a.drop()
	a.set.finished(part)
	if err := a.set.syncFolders(part); err != nil {
		return fmt.Errorf("fsync of the folder: %w", cause(err))
	}
	return nil
}

// close closes the file after a last fsync.
func (a *appendFile) close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.shut()
}

func (a *appendFile) shut() error {
	if a.file == nil {
		return nil
	}
	err := a.sync()
	file := a.file
	a.file, a.dirty = nil, false
	return errors.Join(err, file.Close())
}
