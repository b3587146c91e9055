package routesfile

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Settings are what the program needs beside the routes.
type Settings struct {
	// Drain is how long what is in hand may take to finish at the end; 8 s by default.
	Drain time.Duration
	Redis Redis
	Log   Log
	HTTP  HTTP
}

// Redis is how to reach the Redis that carries the channels.
type Redis struct {
	// URL is redis://, rediss:// (TLS) or unix://.
	URL string
	// Username and Password win over the URL's when they are not empty.
	Username, Password string
	// CAFile is the path of a PEM file, or empty for the system's authorities.
	CAFile string
}

// Log is what the router says of itself.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // auto, text or json
}

func compileSettings(raw *rawFile, src Source, report *report) Settings {
	n := raw.Service.node
	if value := n.sure("name"); value != nil && value.value == raw.Service.Name {
		report.checkShownName(n.place("name"), "[service] name", raw.Service.Name, n.get("name").quoted(raw.Service.Name))
	}
	checkRedisURL(&raw.Redis, report)
	return Settings{
		Drain: raw.Service.Drain,
		Redis: Redis{raw.Redis.URL, raw.Redis.Username, raw.Redis.Password, caFile(&raw.Redis, src, report)},
		Log:   Log{raw.Log.Level, raw.Log.Format},
		HTTP:  compileHTTP(&raw.HTTP, report),
	}
}

// checkRedisURL never shows the URL: it may hold a password.
func checkRedisURL(raw *rawRedis, report *report) {
	n := raw.node
	if value := n.sure("url"); value == nil || value.value != raw.URL {
		return
	}
	at := n.place("url")
	u, err := url.Parse(raw.URL)
	for _, scheme := range []string{"redis", "rediss", "unix"} {
		if strings.HasPrefix(raw.URL, scheme+":") && !strings.HasPrefix(raw.URL, scheme+"://") {
			report.errorf(at, "[redis] url: after %s: come two slashes; write redis://host:6379/0, or unix:///path/to/redis.sock", scheme)
			return
		}
	}
	if strings.TrimSpace(raw.URL) != raw.URL {
		report.errorf(at, "[redis] url begins or ends with a space or line end; remove it")
		return
	}
	if !strings.Contains(raw.URL, "://") {
		from := ""
		if value := n.get("url"); value.source != "" && !value.commas {
			from = ", as the ${…} in it is filled in," // what stands there looks right
		}
		report.errorf(at, "[redis] url%s has no scheme; write redis://host:6379/0, rediss:// for TLS, or unix:///path/to/redis.sock", from)
		return
	}
	if err != nil {
		report.errorf(at, "[redis] url is no URL; write redis://host:6379/0 (in a user name or password, %%-encode what is not a letter or digit, or use the keys username and password)")
		return
	}
	query := u.Query()
	for _, option := range slices.Sorted(maps.Keys(query)) {
		values := query[option]
		if option != "db" && option != "skip_verify" || len(values) != 1 {
			report.errorf(at, "[redis] url has the option %q, which means nothing here; the options are db and skip_verify", shorten(option))
		} else if _, err := strconv.ParseUint(values[0], 10, 31); option == "db" && err != nil {
			report.errorf(at, "[redis] url: db=%s is no database number", shorten(values[0]))
		} else if _, err := strconv.ParseBool(values[0]); option == "skip_verify" && err != nil {
			report.errorf(at, "[redis] url: skip_verify=%s; write true or false", shorten(values[0]))
		}
	}
	switch u.Scheme {
	case "redis", "rediss":
		checkRedisHost(u, at, report)
	case "unix":
		if u.Host != "" || u.Path == "" {
			report.errorf(at, "[redis] url names no socket; write unix:///path/to/redis.sock, with three slashes")
		}
	default:
		schemes := []string{"redis", "rediss", "unix"}
		report.errorf(at, "[redis] url: unknown scheme %q%s", shorten(u.Scheme), didYouMean(u.Scheme, "schemes", schemes))
	}
	if raw.CAFile != "" && u.Scheme == "redis" {
		report.errorf(n.place("ca_file"), "[redis] ca_file is for TLS; write rediss:// in url, or remove ca_file")
	}
}

func checkRedisHost(u *url.URL, at place, report *report) {
	if u.Hostname() == "" {
		report.errorf(at, "[redis] url names no host; write %s://host:6379/0", u.Scheme)
	}
	if port, err := strconv.Atoi(u.Port()); err == nil && (port < 1 || port > 65535) {
		report.errorf(at, "[redis] url: there is no port %d; ports go from 1 to 65535", port)
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if number, err := strconv.Atoi(db); err != nil || number < 0 {
			report.errorf(at, "[redis] url ends in %q, which is no database number; write %s://host:6379/0", shorten(db), u.Scheme)
		}
	}
}

// caFile is the path of the file, from the folder of the file that names it.
func caFile(raw *rawRedis, src Source, report *report) string {
	if raw.CAFile == "" || src.Sealed {
		return ""
	}
	n := raw.node.get("ca_file")
	file := beside(n.dir, raw.CAFile)
	if _, err := readAtMost(file, maxFile); err != nil {
		if src.Check {
			report.skip(n, file+" cannot be read: "+err.Error())
			return file
		}
		report.errorf(n.at, "[redis] ca_file: %s cannot be read: %s", file, err)
	}
	return file
}
