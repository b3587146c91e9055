package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxTail is the longest beginning of a line that is cut off: longer than any message.
const maxTail = 256 << 20

// repair makes the file, of that size and whose lock is held, end with a whole line. Only
// a process that died or a power cut leaves another end: whoever writes has the lock.
//
// The beginning of an event is cut off: nobody was told that it is done, so a stream
// delivers it again. What is no such beginning is not ours, or misses only the end of the
// line: it gets that.
func (a *appendFile) repair(size int64) error {
	if size == a.end {
		return nil
	}
	begin, err := a.tail(size)
	if err != nil {
		return fmt.Errorf("look for its last whole line: %w", cause(err))
	}
	if begin == size {
		a.end = size
		return nil
	}
	torn, err := a.torn(begin, size)
	if err != nil {
		return fmt.Errorf("look at its last line: %w", cause(err))
	}
	at := a.set.path.full(a.name)
	if !torn {
		if _, err := a.file.WriteString("\n"); err != nil {
			return fmt.Errorf("end its last line: %w", cause(err))
		}
		a.end, a.dirty = size+1, true
		a.set.log.Warn("the end of the last line was missing; added", "file", at)
		return nil
	}
	if err := a.file.Truncate(begin); err != nil {
		return fmt.Errorf("cut off a line that was not written whole: %w", cause(err))
	}
	a.end, a.dirty = begin, true
	a.set.log.Warn("the last line was not written whole; cut off", "file", at, "bytes", size-begin)
	return nil
}

// tail is where the text behind the last end of a line begins.
func (a *appendFile) tail(size int64) (int64, error) {
	block := make([]byte, 1) // mostly, that is the last byte
	for end := size; end > 0; block = make([]byte, 64<<10) {
		begin := max(0, end-int64(len(block)))
		text := block[:end-begin]
		if _, err := a.file.ReadAt(text, begin); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		if at := bytes.LastIndexByte(text, '\n'); at >= 0 {
			return begin + int64(at) + 1, nil
		}
		end = begin
	}
	return 0, nil
}

// torn reports whether the text between begin and size is the beginning of an event:
// an object that doesn't end. After a power cut, zeros may stand for what was not yet on
// the disk.
func (a *appendFile) torn(begin, size int64) (bool, error) {
	if size-begin > maxTail {
		return false, nil
	}
	text := make([]byte, size-begin)
	if _, err := a.file.ReadAt(text, begin); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return (text[0] == '{' || text[0] == 0) && !json.Valid(text), nil
}
