package routesfile

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// testsSuffix ends the name of a file that holds only tests.
const testsSuffix = "_test.toml"

// testFiles reads the files of tests that belong to files: NAME_test.toml beside each
// NAME.toml, and of a folder every one.
func testFiles(files []file, paths []string, report *report) []file {
	var found []string
	for _, path := range paths {
		entries, err := os.ReadDir(path)
		if err != nil {
			continue // a file, or reported
		}
		for _, entry := range entries {
			if name := entry.Name(); !entry.IsDir() && !strings.HasPrefix(name, ".") && strings.HasSuffix(name, testsSuffix) {
				found = append(found, filepath.Join(path, name))
			}
		}
	}
	known := make([]string, len(files))
	for i, f := range files {
		known[i] = f.path
		if name, ok := strings.CutSuffix(f.path, ".toml"); ok {
			if _, err := os.Stat(name + testsSuffix); err == nil {
				found = append(found, name+testsSuffix)
			}
		}
	}
	slices.Sort(found)
	var read []file
	for _, path := range unique(slices.Concat(known, found))[len(known):] {
		data, err := readAtMost(path, maxFile)
		if err != nil {
			report.errorf(place{file: path}, "cannot be read: %s", err)
			continue
		}
		read = append(read, file{path, data, true})
		report.texts[path] = data
	}
	return read
}

// onlyTests reports whether a file of tests holds nothing else.
func onlyTests(path string, root *spot, report *report) bool {
	before := report.failures()
	for _, key := range slices.Sorted(maps.Keys(root.keys)) {
		if key != "tests" {
			report.errorf(root.keys[key].key, "%q does not belong here: %s holds only [[tests]]; move it to %s", key, filepath.Base(path), strings.TrimSuffix(filepath.Base(path), testsSuffix)+".toml")
		}
	}
	return report.failures() == before
}
