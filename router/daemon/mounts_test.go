package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signalbox/internal/redistest"
	"signalbox/router"
	"signalbox/router/routesfile"
)

// Who watches a file that is itself a mount point is warned, once and of this file only.
func TestWatchWarnsOfAMountedFile(t *testing.T) {
	server := redistest.Start(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	mounted := write("my routes.toml", "[[routes]]\nchannel = \"in\"\ntype = \"*\"\nhandler = \"other\"\n")
	plain := write("channels.toml", fmt.Sprintf("[redis]\nurl = %q\n[channels.in]\ntransport = \"stream\"\n", server.URL()))
	const line = "41 22 8:1 / %s rw,relatime - ext4 /dev/sda1 rw\n"
	escaped := strings.ReplaceAll(mounted, " ", `\040`)
	files, folder := fmt.Sprintf(line+line, "/", escaped), fmt.Sprintf(line+line, "/", dir)

	for _, tc := range []struct {
		name, mountinfo string
		watch           bool
		want            int
	}{
		{"a file, watched", files, true, 1},
		{"a file, not watched", files, false, 0},
		{"a folder, watched", folder, true, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			log, reload := &journal{wrote: make(chan struct{})}, make(chan struct{})
			ctx, stop := context.WithCancel(context.Background())
			defer stop()
			ended := make(chan error, 1)
			opts := Options{
				Source: routesfile.Source{Paths: []string{mounted, plain}}, Kinds: router.NewRegistry((&counter{}).kind("other")),
				Stdout: t.Output(), Stderr: log, Reload: reload, Watch: tc.watch, mountinfo: write("mountinfo", tc.mountinfo),
			}
			go func() { ended <- Run(ctx, opts) }()
			log.await(t, "msg=ready", 1)
			reload <- struct{}{} // is taken after the warning
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			const warning = `level=WARN msg="the configuration is mounted as a single file, and is not seen to change when it is replaced outside; mount its folder" config=`
			if n := strings.Count(log.String(), warning+fmt.Sprintf("%q\n", mounted)); n != tc.want || strings.Count(log.String(), warning) != n {
				t.Errorf("%d warnings, want %d:\n%s", n, tc.want, log)
			}
		})
	}
}

func TestMountPoints(t *testing.T) {
	points := mountPoints("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" +
		"40 22 8:1 /home/me/routes.toml /etc/router/my\\040routes.toml rw,relatime - ext4 /dev/sda1 rw\nnonsense\n")
	if !points["/etc/router/my routes.toml"] || !points["/"] || len(points) != 2 {
		t.Errorf("%v", points)
	}
}

// A schema is a file of the configuration, too.
func TestWatchWarnsOfAMountedSchema(t *testing.T) {
	schema := filepath.Join(t.TempDir(), "enter.json")
	mountinfo := filepath.Join(t.TempDir(), "mountinfo")
	if err := os.WriteFile(mountinfo, fmt.Appendf(nil, "41 22 8:1 / %s rw,relatime - ext4 /dev/sda1 rw\n", schema), 0o600); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	p := &program{
		opts: Options{mountinfo: mountinfo}, loaded: &routesfile.Result{Files: []string{"routes.toml"}, Schemas: []string{schema}},
		log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	p.warnOfMounts()
	if strings.Count(log.String(), "mounted as a single file") != 1 || !strings.HasSuffix(log.String(), " config="+schema+"\n") {
		t.Errorf("log %s", &log)
	}
}
