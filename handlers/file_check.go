package handlers

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Check tries whether files can be made in the folder: it makes an empty one and removes it.
// A folder that is missing is not made; then the one above it that there is has to let it be.
func (o FileOptions) Check(context.Context) (found string, err error) {
	path, err := parseFilePath(o.dir, o.Path)
	if err != nil {
		return "", err
	}
	wanted, err := filepath.Abs(path.folder)
	if err != nil {
		return "", err
	}
	folder := wanted
	for {
		_, err := os.Stat(folder)
		if above := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && above != folder {
			folder = above
			continue
		}
		break
	}
	if err := writable(folder); err != nil {
		if folder != wanted {
			return "", fmt.Errorf("folder %s is missing, and cannot be made in %s: %w", wanted, folder, cause(err))
		}
		return "", fmt.Errorf("folder %s cannot be written to: %w", folder, cause(err))
	}
	if folder != wanted {
		return fmt.Sprintf("folder %s is made for the first event, in %s, which can be written to", wanted, folder), nil
	}
	return fmt.Sprintf("folder %s can be written to", folder), nil
}

// writable makes a file in a folder and removes it.
func writable(folder string) error {
	f, err := os.CreateTemp(folder, ".signalbox-check-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}
