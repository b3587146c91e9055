package routesfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile is the size of the largest routes file. A thousand routes are 100 KiB; what
// is larger was meant for something else.
const maxFile = 1 << 20

// Source is what a configuration is made from.
type Source struct {
	// Paths are files and folders. Of a folder all *.toml are read in the order of
	// their names, except *_test.toml. Without paths: $SIGNALBOX_CONFIG, else
	// config/routes.toml, else routes.toml.
	Paths []string
	// Environ is os.Environ(): what ${VAR} refers to, and overrides such as
	// SIGNALBOX_REDIS__URL.
	Environ []string
	// Set is what flags say, "redis.url" to its value. It wins over everything.
	Set map[string]string
	// Check reads the configuration as `router check` does: variables need not be
	// set and secrets not be readable; such values are skipped, with a note. And what
	// works but is hardly meant has a warning among the notes.
	Check bool
	// Tests reads and checks the tests, too: [[tests]] of the files, and of NAME_test.toml
	// beside each NAME.toml. Else there are none, and no mistake in them matters.
	Tests bool
	// Sealed reads the configuration as a test does: Environ overrides nothing, no secret's
	// file is read and no kind asked whether its options are right. What [redis], [log] and
	// handlers lack for that is left out.
	Sealed bool
}

// Found reports whether there is a configuration to load: one was named, or one is
// where Load looks when none is.
func (s Source) Found() bool {
	if len(s.Paths) > 0 {
		return true
	}
	_, err := s.standard()
	return err == nil
}

// Digest stands for the names and contents of the files, and of the schema files that
// Load found in them ([Result].Schemas), in 64 hex digits: it changes when they do. What
// cannot be read has a digest, too. Secrets that the files refer to are not in it.
func (s Source) Digest(schemas ...string) string {
	report := newReport()
	sum := digestOf(s.read(report), report)
	for _, path := range schemas {
		data, err := readAtMost(path, maxSchema)
		sum.add(path, data, err)
	}
	return sum.String()
}

// digest is a Digest in the making.
type digest struct{ hash.Hash }

// digestOf begins with files and the errors of reading them.
func digestOf(files []file, report *report) digest {
	sum := digest{sha256.New()}
	for _, f := range files {
		sum.add(f.path, f.data, nil)
	}
	for _, err := range report.errs {
		fmt.Fprintln(sum, err)
	}
	return sum
}

func (d digest) add(path string, data []byte, err error) {
	if err != nil {
		fmt.Fprintf(d, "%q %s\n", path, err)
		return
	}
	fmt.Fprintf(d, "%q %d\n", path, len(data))
	d.Write(data)
}

func (d digest) String() string { return hex.EncodeToString(d.Sum(nil)) }

// file is one file as it was read.
type file struct {
	path  string
	data  []byte
	tests bool // it holds only tests
}

// read finds and reads all files. What cannot be read is reported.
func (s Source) read(report *report) []file {
	var files []file
	for _, path := range s.find(report) {
		data, err := readAtMost(path, maxFile)
		if err != nil {
			report.errorf(place{file: path}, "cannot be read: %s", err)
			continue
		}
		files = append(files, file{path: path, data: data})
		report.texts[path] = data
	}
	if s.Tests {
		files = append(files, testFiles(files, s.named(), report)...)
	}
	return files
}

// find lists the files to read.
func (s Source) find(report *report) []string {
	paths := s.Paths
	if len(paths) == 0 {
		path, err := s.standard()
		if err != nil {
			report.errorf(place{file: path}, "%s", err)
			return nil
		}
		paths = []string{path}
	}
	var found []string
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case path == "":
			report.errorf(place{file: "-c"}, "names no file or folder; write -c config/routes.toml")
		case err != nil:
			report.errorf(place{file: path}, "%s", missing(err))
		case info.IsDir():
			found = append(found, folder(path, report)...)
		default:
			found = append(found, path)
		}
	}
	return unique(found)
}

// named are the paths as they are named, by the environment if need be.
func (s Source) named() []string {
	if path, err := s.standard(); len(s.Paths) == 0 && err == nil {
		return []string{path}
	}
	return s.Paths
}

// standard is the file to read when none is named.
func (s Source) standard() (string, error) {
	if path := environment(s.Environ)["SIGNALBOX_CONFIG"]; path != "" && !s.Sealed {
		return path, nil
	}
	candidates := []string{filepath.Join("config", "routes.toml"), "routes.toml"}
	for _, path := range candidates {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			return path, nil
		}
	}
	return candidates[0], errors.New("no configuration: neither config/routes.toml nor routes.toml is here, and SIGNALBOX_CONFIG is not set; " +
		"`router init` writes a first one, -c names another file or folder")
}

func missing(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no such file or folder; check the path after -c or in SIGNALBOX_CONFIG, or let `router init` write a first config/routes.toml"
	}
	return "cannot be read: " + plain(err).Error()
}

func folder(path string, report *report) []string {
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		report.errorf(place{file: path}, "cannot be read: %s", plain(err))
		return nil
	}
	var found []string
	for _, entry := range entries {
		name := entry.Name()
		hidden := strings.HasPrefix(name, ".") // editors' and Kubernetes' own
		if entry.IsDir() || hidden || filepath.Ext(name) != ".toml" || strings.HasSuffix(name, "_test.toml") {
			continue
		}
		found = append(found, filepath.Join(path, name))
	}
	if len(found) == 0 {
		report.errorf(place{file: path}, "this folder has no .toml file to load (*_test.toml are for `router test`); %s", instead(path))
	}
	return found
}

// instead is what to do about a folder without a file: `router init` makes another one in it.
func instead(path string) string {
	below := filepath.Join(path, "config")
	if _, err := os.Stat(filepath.Join(below, "routes.toml")); err == nil {
		return fmt.Sprintf("did you mean %s?", below)
	}
	return "put a routes.toml into it"
}

// unique drops files that are named twice, such as by a folder and by name.
func unique(paths []string) []string {
	seen := make(map[string]bool, len(paths))
	return slices.DeleteFunc(paths, func(path string) bool {
		key := path
		if full, err := filepath.Abs(path); err == nil {
			key = full
		}
		twice := seen[key]
		seen[key] = true
		return twice
	})
}

// beside is a path that a file names, from the folder of that file.
func beside(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// readAtMost reads a regular file that is no larger than limit bytes. It never
// blocks on a pipe or a terminal that somebody named by mistake.
func readAtMost(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil && strings.Contains("/"+filepath.ToSlash(path), "/~") {
		return nil, fmt.Errorf("%w; a ~ stands for no folder here, so write the whole path", plain(err))
	}
	if err != nil {
		return nil, plain(err)
	}
	if info.IsDir() {
		return nil, errors.New("it is a folder")
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	handle, err := os.Open(path)
	if err != nil {
		return nil, plain(err)
	}
	defer handle.Close()
	data, err := io.ReadAll(io.LimitReader(handle, limit+1))
	if err != nil {
		return nil, plain(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it is larger than %d KiB", limit>>10)
	}
	return data, nil
}
