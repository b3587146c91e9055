package generate

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write writes a text to a file, or to out when no file is named. Who reads the file
// meanwhile sees the old one or the new one, whole. A .toml is refused: nothing here is one,
// and it may be somebody's routes.
func Write(out io.Writer, file string, text []byte) error {
	if file == "" {
		_, err := out.Write(text)
		return err
	}
	if filepath.Ext(file) == ".toml" {
		return fmt.Errorf("write %s: this would go over a TOML file with something else; name another file", file)
	}
	err := replace(file, text)
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err // it names a file that nobody knows of
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: there is no folder %s; make it first", file, filepath.Dir(file))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// replace keeps the mode of a file that is there, and follows a link.
func replace(file string, text []byte) (err error) {
	mode := fs.FileMode(0o644)
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	switch info, err := os.Stat(file); {
	case err == nil && !info.Mode().IsRegular():
		return errors.New("it is no regular file; name another one")
	case err == nil:
		mode = info.Mode().Perm()
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	fresh, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(fresh.Name())
		}
	}()
	_, err = fresh.Write(text)
	err = errors.Join(err, fresh.Chmod(mode), fresh.Close())
	if err != nil {
		return err
	}
	return os.Rename(fresh.Name(), file)
}
