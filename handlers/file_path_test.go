package handlers

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signalbox/router"
)

var fileDay = time.Date(2026, 11, 21, 23, 30, 0, 0, time.UTC)

func TestFileNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü/", 300)
	for _, test := range []struct {
		path, key, folder, name string
	}{
		{"/audit/{channel}-{date}.jsonl", "", "/audit", "orders-2026-11-21.jsonl"},
		{"/data/{date}/{key}.jsonl", "sensors:oven-3", "/data", "2026-11-21/sensors:oven-3.jsonl"},
		{"all.jsonl", "", "/etc/signalbox", "all.jsonl"},
		{"logs/x-{key}", "BRK.B", "/etc/signalbox/logs", "x-BRK.B"},
		{"../logs/{type}", "", "/etc/logs", "order.paid"},
		{"/{key}/{{x}}.jsonl", "a b", "/", "a%20b/{x}.jsonl"},
		{"/a/{data.s}.jsonl", "", "/a", "BTC%2FUSD.jsonl"},
		{"/a/{key}", "", "/a", "_"},
		{"/a/{key}", "_", "/a", "%5F"},
		{"/a/{key}", "__", "/a", "__"},
		{"/a/{key}", ".", "/a", "%2E"},
		{"/a/{key}", "..", "/a", "%2E."},
		{"/a/.{key}", ".", "/a", ".%2E"},
		{"/a/{key}", "../../etc/passwd", "/a", "%2E.%2F..%2Fetc%2Fpasswd"},
		{"/a/{key}", "/etc/passwd", "/a", "%2Fetc%2Fpasswd"},
		{"/a/{key}", "a\x00b\nc\r\\", "/a", "a%00b%0Ac%0D%5C"},
		{"/a/{key}", "x~20261121T000000.000Z", "/a", "x%7E20261121T000000.000Z"},
		{"/a/{key}", "100%25+", "/a", "100%2525%2B"},
		{"/a/{key}", "Öl", "/a", "%C3%96l"},
		{"/a/{key}.jsonl", long, "/a", strings.Repeat("%C3%BC%2F", 21) + "%C3%BC+152cdef153147d09.jsonl"},
	} {
		p, err := parseFilePath("/etc/signalbox", test.path)
		if err != nil {
			t.Errorf("%q: %v", test.path, err)
			continue
		}
		name := p.of(&router.Event{
			Channel: "orders", Type: "order.paid", Key: test.key, Data: []byte(`{"s":"BTC/USD"}`),
			Time: fileDay.In(time.FixedZone("", 3600)), // already the 22nd there
		})
		if p.folder != test.folder || name != test.name {
			t.Errorf("%q with key %.30q: %q in %q, want %q in %q", test.path, test.key, name, p.folder, test.name, test.folder)
		}
	}
}

func TestFileParts(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/a/{channel}-{date}.jsonl": "orders-2026-11-21~20261121T233000.000Z.jsonl",
		"/a/{date}/{key}":           "2026-11-21/BRK.B~20261121T233000.000Z",
		"/a/{key}.v1.jsonl":         "BRK.B.v1~20261121T233000.000Z.jsonl",
		"/a/x":                      "x~20261121T233000.000Z",
	} {
		p, err := parseFilePath("", path)
		if err != nil {
			t.Fatal(err)
		}
		name := p.of(&router.Event{Channel: "orders", Key: "BRK.B", Time: fileDay})
		part := p.part(name, fileDay)
		if part != want || !p.isPart(part) {
			t.Errorf("%q: %q, a part %t; want %q", path, part, p.isPart(part), want)
		}
		for _, no := range []string{name, part + gzipEnd, part + unfinishedEnd, strings.Replace(part, "T23", "x23", 1), "a/b/c/" + part} {
			if p.isPart(no) {
				t.Errorf("%q: %q counts as a part", path, no)
			}
		}
	}
}

// FuzzFileName looks for values that lead out of their place, or two that share a file.
func FuzzFileName(f *testing.F) {
	for _, key := range []string{
		"", "_", ".", "..", "../../etc/passwd", "a/b", "a\x00b", "\n", strings.Repeat("x", 300), strings.Repeat("é", 300),
		"x~20261121T000000.000Z", "+", "%2E", "CON", "\xff\xfe", "a\\..\\b", strings.Repeat("x", 197) + "+0123456789abcdef",
	} {
		f.Add(key, "y")
		f.Add(key, key+"x")
	}
	var paths []*filePath
	for _, text := range []string{"/audit/{key}", "/audit/{channel}-{key}-{date}.jsonl", "/a/{date}/.{key}/{type}{key}.x"} {
		p, err := parseFilePath("", text)
		if err != nil {
			f.Fatal(err)
		}
		paths = append(paths, p)
	}
	f.Fuzz(func(t *testing.T, key, other string) {
		for _, p := range paths {
			event := router.Event{Channel: "in", Type: "t", Key: key, Time: fileDay}
			name := p.of(&event)
			if !filepath.IsLocal(name) || !p.match.MatchString(name) || p.isPart(name) {
				t.Fatalf("key %q: the name %q", key, name)
			}
			names := strings.Split(name, "/")
			if len(names) != p.depth()+1 {
				t.Fatalf("key %q: %q is as deep as another path", key, name)
			}
			for _, one := range names {
				if one == "" || one == "." || one == ".." || len(one) > maxName || strings.ContainsFunc(one, func(r rune) bool { return r <= ' ' || r > '~' }) {
					t.Fatalf("key %q: %q has the name %q", key, name, one)
				}
			}
			event.Key = other
			if key != other && p.of(&event) == name {
				t.Fatalf("keys %q and %q share the file %q", key, other, name)
			}
		}
	})
}

func TestFileOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		change func(*FileOptions)
		want   string // "": valid
	}{
		{func(*FileOptions) {}, ""},
		{func(o *FileOptions) { o.Path = "" }, `path is missing; name the file, as in path = "/audit/{channel}-{date}.jsonl"`},
		{func(o *FileOptions) { o.Path = "/a/{symbol}" }, `path: "/a/{symbol}": "symbol": an event has no field "symbol"; it has id, type, source, time, key, channel, name, data, msg`},
		{func(o *FileOptions) { o.Path = "/a/" }, `path: "/a/": it names a folder; end it with the name of a file`},
		{func(o *FileOptions) { o.Path = "/a/{key}/../b" }, `path: "/a/{key}/../b": ".." is no name of a folder`},
		{func(o *FileOptions) { o.Path = "/a/{key}//b" }, `path: "/a/{key}//b": "" is no name of a folder`},
		{func(o *FileOptions) { o.Path = "~/a" }, `path: "~/a": ~ is not a folder here; write ${HOME} for it`},
		{func(o *FileOptions) { o.Path = "/a/b~{key}" }, `path: "/a/b~{key}": the name of the file has a ~, which marks rotated files; use another character`},
		{func(o *FileOptions) { o.Path = "/a/\x00" }, `path: "/a/\x00" has a control character`},
		{func(o *FileOptions) { o.Path = "/a/" + strings.Repeat("{key}", 7) }, `path: "/a/{key}{key}{key}{key}{key}{key}{key}": the name 1 of it may become longer than 220 bytes; shorten it`},
		{func(o *FileOptions) { o.Line = "csv" }, `line: "csv" is not one of message, event`},
		{func(o *FileOptions) { o.Rotate = 10 }, `rotate: 10B would make a file of nearly each line; the least is 1KiB, and 0 is never`},
		{func(o *FileOptions) { o.Rotate = -1 }, `rotate: -1B would make a file of nearly each line; the least is 1KiB, and 0 is never`},
		{func(o *FileOptions) { o.Gzip = true }, `gzip: no file would ever be finished; set rotate, as in rotate = "100MB", or have {date} in path`},
		{func(o *FileOptions) { o.Gzip, o.Rotate = true, 1<<20 }, ""},
		{func(o *FileOptions) { o.Gzip, o.Path = true, "/a/{date}" }, ""},
		{func(o *FileOptions) { o.Fsync = "always" }, ""},
		{func(o *FileOptions) { o.Fsync = "never" }, ""},
		{func(o *FileOptions) { o.Fsync = "sometimes" }, `fsync: "sometimes" is not "always", "never" or a duration of at least 10ms, such as "1s"`},
		{func(o *FileOptions) { o.Fsync = "0s" }, `fsync: "0s" is not "always", "never" or a duration of at least 10ms, such as "1s"`},
		{func(o *FileOptions) { o.OpenFiles = 0 }, `open_files: 0; at least 1 file has to be open`},
		{func(o *FileOptions) { o.Line, o.OpenFiles = "x", -1 }, "line: \"x\" is not one of message, event\nopen_files: -1; at least 1 file has to be open"},
	} {
		options := defaultFileOptions()
		options.Path = "/audit/all.jsonl"
		test.change(&options)
		got := ""
		if err := options.Validate(); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s\nwant %s", got, test.want)
		}
	}
}
