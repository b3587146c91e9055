package daemon

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// warnOfMounts warns of files that are mounted one by one: when an editor replaces such
// a file outside, the container goes on seeing the old one.
func (p *program) warnOfMounts() {
	mounts, err := os.ReadFile(cmp.Or(p.opts.mountinfo, "/proc/self/mountinfo"))
	if err != nil {
		return // only Linux tells
	}
	points := mountPoints(string(mounts))
	for _, file := range slices.Concat(p.loaded.Files, p.loaded.Schemas) {
		path, err := filepath.Abs(file)
		if err == nil && points[path] {
			p.log.Warn("the configuration is mounted as a single file, and is not seen to change when it is replaced outside; mount its folder", "config", file)
		}
	}
}

// mountPoints reads the format of /proc/self/mountinfo: the fifth field is the mount
// point, with spaces and the like as octal numbers.
func mountPoints(text string) map[string]bool {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	points := map[string]bool{}
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 4 {
			points[unescape.Replace(fields[4])] = true
		}
	}
	return points
}
