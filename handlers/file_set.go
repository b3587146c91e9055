package handlers

import (
	"container/list"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"signalbox/router"
)

const (
	// idleAfter is how long a file stays open without a line.
	idleAfter = time.Minute
	fileMode  = 0o640
	dirMode   = 0o750
)

// errNoFile says that something else has the name of a file.
var errNoFile = errors.New("is not a file")

// fileSet is the files of one handler: the folder they are in, and those that are open.
type fileSet struct {
	path   *filePath
	rotate int64
	gzip   bool
	fsync  fsyncPolicy
	max    int
	log    *slog.Logger
	now    func() time.Time
	flush  func(*os.File) error                // fsync
	same   func(fs.FileInfo, fs.FileInfo) bool // the same file

	parts chan string // to compress; what finds no room there is found on the disk
	late  atomic.Bool // there may be files of past days

	mu      sync.Mutex
	root    *os.Root    // nil: not opened yet
	rootAs  fs.FileInfo // what it was then
	escapes error       // what root says of a name that leads out of it
	files   map[string]*appendFile
	recent  list.List // of *appendFile, the one used last in front
	closed  bool
}

func newFileSet(log *slog.Logger, options FileOptions) *fileSet {
	s := &fileSet{
		rotate: int64(options.Rotate), gzip: options.Gzip, max: options.OpenFiles, log: log, now: time.Now, flush: (*os.File).Sync, same: os.SameFile,
		parts: make(chan string, 64), files: map[string]*appendFile{},
	}
	s.path, _ = parseFilePath(options.dir, options.Path)
	s.fsync, _ = parseFsync(options.Fsync)
	return s
}

// acquire returns the file of that name, for one user more.
func (s *fileSet) acquire(name string) (*appendFile, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, os.ErrClosed
	}
	a := s.files[name]
	var surplus []*appendFile
	if a == nil {
		if s.gzip && s.path.dated() && s.path.day(name) < dayOf(s.now()) {
			s.late.Store(true)
		}
		a = &appendFile{set: s, name: name}
		a.place = s.recent.PushFront(a)
		s.files[name] = a
		surplus = s.evict(func() bool { return len(s.files) > s.max })
	}
	a.users++
	a.used = time.Now()
	s.recent.MoveToFront(a.place)
	s.mu.Unlock()
	s.closeAll(surplus)
	return a, nil
}

// release is the end of a use.
func (s *fileSet) release(a *appendFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.users--
	a.used = time.Now()
}

// evict takes out files that nobody uses, the longest unused first, while more says so.
func (s *fileSet) evict(more func() bool) []*appendFile {
	var out []*appendFile
	for at := s.recent.Back(); at != nil && at != s.recent.Front() && more(); {
		a := at.Value.(*appendFile)
		at = at.Prev()
		if a.users == 0 {
			s.recent.Remove(a.place)
			delete(s.files, a.name)
			out = append(out, a)
		}
	}
	return out
}

// closeIdle closes files that had no line for a while.
func (s *fileSet) closeIdle(before time.Time) {
	s.mu.Lock()
	var idle []*appendFile
	for _, a := range s.files {
		if a.users == 0 && a.used.Before(before) {
			s.recent.Remove(a.place)
			delete(s.files, a.name)
			idle = append(idle, a)
		}
	}
	s.mu.Unlock()
	s.closeAll(idle)
}

func (s *fileSet) closeAll(files []*appendFile) {
	for _, a := range files {
		s.closeFailed(a, a.close())
	}
}

// closeFailed says, if there is an error, what it means: the lines are done already.
func (s *fileSet) closeFailed(a *appendFile, err error) {
	if err != nil {
		s.log.Error("a file could not be closed: lines may be missing after a power cut", "file", s.path.full(a.name), "err", cause(err))
	}
}

// open returns the files that are open.
func (s *fileSet) open() []*appendFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*appendFile, 0, len(s.files))
	for _, a := range s.files {
		all = append(all, a)
	}
	return all
}

// close closes all files, and the folder. Nobody may use them any more.
func (s *fileSet) close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	var errs []error
	for _, a := range s.open() {
		errs = append(errs, s.failed(a.name, a.close()))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root != nil {
		errs = append(errs, s.root.Close())
		s.root = nil
	}
	return errors.Join(errs...)
}

// rooted opens the folder, which is made if it is missing. One that was renamed, or that a
// volume was mounted on since, is not the folder any more.
func (s *fileSet) rooted() (*os.Root, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root != nil {
		switch now, err := os.Stat(s.path.folder); {
		case err == nil && os.SameFile(now, s.rootAs), err != nil && !errors.Is(err, fs.ErrNotExist):
			return s.root, nil
		}
		_ = s.root.Close()
		s.root = nil
	}
	if s.closed {
		return nil, os.ErrClosed
	}
	if err := os.MkdirAll(s.path.folder, dirMode); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.path.folder)
	if err != nil {
		return nil, err
	}
	is, err := root.Stat(".")
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	_, outside := root.Lstat("..")
	s.root, s.rootAs, s.escapes = root, is, cause(outside)
	return root, nil
}

// forget closes a folder that has been deleted: the next use makes it again.
func (s *fileSet) forget(root *os.Root) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == root {
		_ = root.Close()
		s.root = nil
	}
}

// openFile opens a file to append to it. It makes the file and its folders if create says so.
func (s *fileSet) openFile(name string, create bool) (*os.File, error) {
	flags := os.O_RDWR | os.O_APPEND
	if create {
		flags |= os.O_CREATE
	}
	for try := 0; ; try++ {
		root, err := s.rooted()
		if err != nil {
			return nil, err
		}
		file, err := root.OpenFile(name, flags, fileMode)
		if create && errors.Is(err, fs.ErrNotExist) {
			if err = root.MkdirAll(path.Dir(name), dirMode); err == nil {
				file, err = root.OpenFile(name, flags, fileMode)
			}
		}
		if err == nil {
			return file, nil
		}
		switch {
		case try == 1:
			return nil, err
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
			s.closeIdle(time.Now().Add(time.Hour)) // all that nobody uses just now
		case create && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrClosed)):
			s.forget(root)
		default:
			return nil, err
		}
	}
}

// stat says what is at a name now.
func (s *fileSet) stat(name string) (fs.FileInfo, error) {
	root, err := s.rooted()
	if err != nil {
		return nil, err
	}
	return root.Stat(name)
}

// syncFolders makes the disk remember a new or another name.
func (s *fileSet) syncFolders(name string) error {
	if s.fsync.never() {
		return nil
	}
	root, err := s.rooted()
	if err != nil {
		return err
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		folder, err := root.Open(dir)
		if err != nil {
			return err
		}
		err = s.flush(folder)
		if err := errors.Join(err, folder.Close()); err != nil {
			return err
		}
		if dir == "." {
			return nil
		}
	}
}

// failed is the verdict on events that could not be appended.
func (s *fileSet) failed(name string, err error) error {
	if err == nil {
		return nil
	}
	at := s.path.full(name)
	s.mu.Lock()
	escapes := s.escapes
	s.mu.Unlock()
	return fileVerdict(at, err, escapes)
}

var _ router.BatchHandler = (*filer)(nil)
