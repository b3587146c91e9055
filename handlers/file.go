package handlers

import (
	"errors"
	"fmt"
	"time"

	"signalbox/router"
)

// FileOptions are the options of the kind file. All but Path have a default.
type FileOptions struct {
	Path      string      `toml:"path" required:"true" doc:"the file to append to; {date}, {channel}, {key} and other fields of the event are filled in"`
	Line      string      `toml:"line" enum:"message,event" doc:"what a line is: the message as it came, or an object of all fields of the event"`
	Rotate    router.Size `toml:"rotate" doc:"a file that would grow beyond this is renamed and a new one begun; a size such as 100MB; 0: never"`
	Gzip      bool        `toml:"gzip" doc:"compress files that are finished: rotated ones, and those of a day that is over"`
	Fsync     string      `toml:"fsync" doc:"when lines must be on the disk: always (before the event is done), a duration (so long after, at most), or never (when the system likes)"`
	OpenFiles int         `toml:"open_files" min:"1" max:"10000" doc:"how many files are held open; of more, the one not used for longest is closed"`

	dir string // where a relative path starts
}

func defaultFileOptions() FileOptions {
	return FileOptions{Line: lineMessage, Fsync: "1s", OpenFiles: 100}
}

const (
	lineMessage = "message"
	lineEvent   = "event"
)

// minRotate keeps a mistyped size from making a file of each line.
const minRotate = 1 << 10

// Locate says where a relative path starts.
func (o *FileOptions) Locate(dir string) { o.dir = dir }

// Validate reports all that is wrong with the options.
func (o FileOptions) Validate() error {
	path, pathErr := parseFilePath(o.dir, o.Path)
	_, fsyncErr := parseFsync(o.Fsync)
	var lineErr, rotateErr, gzipErr, openErr error
	if o.Line != lineMessage && o.Line != lineEvent {
		lineErr = fmt.Errorf("line: %q is not one of %s, %s", o.Line, lineMessage, lineEvent)
	}
	if o.Rotate != 0 && o.Rotate < minRotate {
		rotateErr = fmt.Errorf("rotate: %dB would make a file of nearly each line; the least is 1KiB, and 0 is never", o.Rotate)
	}
	if o.Gzip && o.Rotate == 0 && pathErr == nil && !path.dated() {
		gzipErr = errors.New(`gzip: no file would ever be finished; set rotate, as in rotate = "100MB", or have {date} in path`)
	}
	if o.OpenFiles < 1 {
		openErr = fmt.Errorf("open_files: %d; at least 1 file has to be open", o.OpenFiles)
	}
	return errors.Join(pathErr, lineErr, rotateErr, gzipErr, fsyncErr, openErr)
}

// fsyncPolicy says when what was written is told to reach the disk.
type fsyncPolicy struct {
	always bool          // before an event is done
	every  time.Duration // so long after; 0: not by time
}

// never reports whether the time is left to the system.
func (p fsyncPolicy) never() bool { return !p.always && p.every == 0 }

// minFsync is the shortest interval: below it, always is the honest name.
const minFsync = 10 * time.Millisecond

func parseFsync(text string) (fsyncPolicy, error) {
	switch text {
	case "always":
		return fsyncPolicy{always: true}, nil
	case "never":
		return fsyncPolicy{}, nil
	}
	every, err := time.ParseDuration(text)
	if err != nil || every < minFsync {
		return fsyncPolicy{}, fmt.Errorf(`fsync: %q is not "always", "never" or a duration of at least %s, such as "1s"`, text, minFsync)
	}
	return fsyncPolicy{every: every}, nil
}

// File is the kind that appends events as lines of JSON to files.
//
// Lines are whole: what a full disk or a crash cut short is taken away again, and several
// routers may append to one file. An event that is delivered again is appended again.
//
// A folder that is not there, full, or may not be written to is [router.Unavailable]; a
// path at which there is something else than a file is [router.Permanent], and so is a
// message that is not JSON. No value of an event leads out of the folder, which is the
// part of the path before the first place.
func File() router.Kind[FileOptions] {
	return router.Kind[FileOptions]{
		Name:     "file",
		Doc:      "Appends events to files, a line of JSON for each.",
		Target:   true,
		Defaults: defaultFileOptions(),
		New: func(env router.Env, options FileOptions) (router.Handler, error) {
			if err := options.Validate(); err != nil {
				return nil, err
			}
			return newFiler(env.Log, options), nil
		},
	}
}
