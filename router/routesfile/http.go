package routesfile

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// The shortest and the longest token, in bytes: a shorter one can be guessed, and a longer
// one does not fit into the head of a request, or the form of a login.
const (
	minToken = 16
	maxToken = 1 << 10
)

// HTTP is how the live page, metrics and health are served.
type HTTP struct {
	Listen   string // host:port; empty: they are not
	Token    string // empty: whoever can connect may ask
	Insecure bool   // that is meant, although others than this machine can connect
	Open     []string
	Hosts    []string
	Write    bool
}

// The values of Open.
const (
	OpenHealth  = "health"
	OpenMetrics = "metrics"
)

func compileHTTP(raw *rawHTTP, report *report) HTTP {
	set := HTTP{Listen: raw.Listen, Token: raw.Token, Insecure: raw.Insecure, Write: raw.Write}
	for _, one := range raw.Open.all {
		if open := []string{OpenHealth, OpenMetrics}; !slices.Contains(open, one.text) {
			report.errorf(one.node.at, "[http] open: there is no %s%s", one.node.quoted(one.text), didYouMean(one.text, "what may be open", open))
		}
		set.Open = append(set.Open, one.text)
	}
	for _, one := range raw.Hosts.all {
		if strings.Trim(one.text, ".") == "" || strings.ContainsFunc(one.text, neverInHost) {
			report.errorf(one.node.at, `[http] hosts: %s is no name of a machine; write it without scheme and port, such as "signalbox.internal"`, one.node.quoted(one.text))
		}
		set.Hosts = append(set.Hosts, strings.TrimSuffix(strings.ToLower(one.text), "."))
	}
	n := raw.node
	if value := n.sure("token"); value != nil && raw.Token != "" {
		switch {
		case strings.TrimSpace(raw.Token) != raw.Token:
			report.errorf(n.place("token"), "[http] token begins or ends with a space or line end; remove it")
		case strings.ContainsFunc(raw.Token, unicode.IsControl):
			report.errorf(n.place("token"), "[http] token has a line end or another control character, which no request can show; remove it")
		case len(raw.Token) > maxToken:
			report.errorf(n.place("token"), "[http] token has %d characters, more than a request can show; write %d at most, such as what openssl rand -hex 16 prints", len(raw.Token), maxToken)
		case len(raw.Token) < minToken:
			report.errorf(n.place("token"), "[http] token has %d characters, and could be guessed; write at least %d, such as what openssl rand -hex 16 prints", len(raw.Token), minToken)
		}
	}
	if n.sure("listen") != nil && raw.Listen != "" {
		checkListen(raw, report)
	}
	return set
}

// neverInHost reports whether a character is in no name that a browser asks for: what is
// not ASCII, it writes as xn--….
func neverInHost(c rune) bool {
	return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.", c)
}

// checkListen refuses an address where anybody who can connect could ask for everything.
func checkListen(raw *rawHTTP, report *report) {
	n := raw.node
	at, shown := n.place("listen"), n.get("listen").quoted(raw.Listen)
	host, port, err := net.SplitHostPort(raw.Listen)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		report.errorf(at, `[http] listen: %s is no host:port; write "127.0.0.1:8080", or ":8080" for all addresses of this machine`, shown)
		return
	}
	secured := raw.Token != "" || raw.Insecure || n.get("token").skips() || n.get("insecure").skips()
	if !secured && !loopback(host) {
		report.errorf(at, "[http] listen: others than this machine can connect to %s, and see all that is routed; write a token, or listen on 127.0.0.1, or say insecure = true where only those can connect who may", shown)
	}
}

// loopback reports whether only this machine can connect to a host.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}
