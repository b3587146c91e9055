package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// mostBusy is how much of one core others may use.
const mostBusy = 0.15

// alone returns an error when other processes keep the machine busy: a benchmark beside
// them measures them.
func alone(ctx context.Context) error {
	const look = time.Second
	before := ticks()
	select {
	case <-time.After(look):
	case <-ctx.Done():
		return ctx.Err()
	}
	var total, most uint64
	var name string
	for pid, after := range ticks() {
		used := after.used - min(before[pid].used, after.used)
		total += used
		if used > most {
			most, name = used, fmt.Sprintf("%s (pid %d)", after.name, pid)
		}
	}
	const perSecond = 100 // USER_HZ, the same on every Linux
	if share := float64(total) / perSecond / look.Seconds(); share > mostBusy {
		return fmt.Errorf("other processes use %.0f %% of a core, most of all %s: stop them first, or measure wrongly with -busy", share*100, name)
	}
	return nil
}

// used is the processor time of a process.
type used struct {
	name string
	used uint64
}

// ticks reads what every other process has used so far, see proc(5).
func ticks() map[int]used {
	all := map[int]used{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		before, after, _ := strings.Cut(string(text), ") ") // the name may hold anything
		pid, name, _ := strings.Cut(before, " (")
		fields := strings.Fields(after)
		id, _ := strconv.Atoi(pid)
		if len(fields) < 13 || id == os.Getpid() {
			continue
		}
		user, _ := strconv.ParseUint(fields[11], 10, 64)
		system, _ := strconv.ParseUint(fields[12], 10, 64)
		all[id] = used{name, user + system}
	}
	return all
}

// machine says what the numbers were measured on.
func machine() string {
	model := "processor unknown"
	text, err := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); err == nil && ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s/%s", model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// memory is what a process has in memory, in MB: all, and what is not read from files.
func memory(pid int) (resident, anonymous float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			continue
		}
		kB, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "Rss:":
			resident = kB * 1024 / 1e6
		case "Anonymous:":
			anonymous = kB * 1024 / 1e6
		}
	}
	if resident == 0 {
		return 0, 0, errors.New("smaps_rollup says nothing of Rss")
	}
	return resident, anonymous, nil
}
