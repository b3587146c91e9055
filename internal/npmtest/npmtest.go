// Package npmtest lends npm packages to tests. Another one is a line in package.json, and
// `npm install --package-lock-only` in this folder.
package npmtest

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

//go:embed package.json
var manifest []byte

//go:embed package-lock.json
var lock []byte

// installTimeout is how long npm may take.
const installTimeout = 3 * time.Minute

// Modules returns the path of a node_modules folder that has the packages; their programs
// are in .bin below it. The first call installs them, into .bin/npm of the repository.
// Where that cannot be done the test is skipped, or fails when CI=true.
func Modules(tb testing.TB) string {
	tb.Helper()
	folder, err := installed()
	if err == nil {
		return filepath.Join(folder, "node_modules")
	}
	if os.Getenv("CI") == "true" {
		tb.Fatal(err)
	}
	tb.Skip(err)
	return ""
}

// installed is asked once per test binary. Other binaries install at the same time.
var installed = sync.OnceValues(install) //nolint:gochecknoglobals // of one process, as the folder is of the repository

// install makes a folder with the packages, unless it is there. Its name is made from the
// versions, so that it never holds others.
func install() (string, error) {
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%s is needed for packages of npm: apt-get install npm, or Node 18 or later: %w", program, err)
		}
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	version := sha256.Sum256(append(manifest, lock...))
	folder := filepath.Join(cache, fmt.Sprintf("%x", version[:6]))
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}
	fresh, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", fmt.Errorf("packages of npm: %w", err)
	}
	defer func() { _ = os.RemoveAll(fresh) }()
	if err := download(fresh); err != nil {
		return "", err
	}
	// Whole or not at all: who comes second finds what the first has made.
	if err := os.Rename(fresh, folder); err != nil {
		if _, there := os.Stat(folder); there != nil {
			return "", fmt.Errorf("packages of npm: %w", err)
		}
	}
	return folder, nil
}

func download(folder string) error {
	err := errors.Join(
		os.WriteFile(filepath.Join(folder, "package.json"), manifest, 0o600),
		os.WriteFile(filepath.Join(folder, "package-lock.json"), lock, 0o600),
	)
	if err != nil {
		return fmt.Errorf("packages of npm: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	return nil
}

// cacheFolder is .bin/npm beside go.mod: ignored, and removed by `make clean`.
func cacheFolder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for root := dir; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			cache := filepath.Join(root, ".bin", "npm")
			if err := os.MkdirAll(cache, 0o755); err != nil { //nolint:gosec // what is installed is public
				return "", fmt.Errorf("packages of npm: %w", err)
			}
			return cache, nil
		}
		if root == filepath.Dir(root) {
			return "", fmt.Errorf("find the repository: no go.mod in or above %s", dir)
		}
	}
}
