package handlers

import (
	"net/netip"
	"strings"
	"testing"
)

func TestWebhookAddresses(t *testing.T) {
	t.Parallel()
	const fine, always = "", "is not the address of one machine"
	const linkLocal, metadata = "is a link-local address", "is the metadata service of a cloud"
	for text, want := range map[string]string{
		"127.0.0.1": fine, "::1": fine, "10.0.0.1": fine, "172.17.0.2": fine, "192.168.1.1": fine, "100.64.0.1": fine, "fd00::1": fine,
		"1.1.1.1": fine, "2606:4700::1111": fine, "::ffff:10.0.0.1": fine, "64:ff9b::1.1.1.1": fine, "2002:101:101::1": fine,
		"168.63.129.17": fine, "100.100.100.201": fine, "169.253.255.255": fine, "169.255.0.0": fine, "fec0::1": fine, "fd00:ec2::253": fine,

		"169.254.169.254": linkLocal, "169.254.0.0": linkLocal, "169.254.255.255": linkLocal, "169.254.170.2": linkLocal,
		"fe80::1": linkLocal, "fe80::1%eth0": linkLocal, "febf:ffff::1": linkLocal,
		"::ffff:169.254.169.254": linkLocal, "::ffff:a9fe:a9fe": linkLocal, "::169.254.169.254": linkLocal,
		"64:ff9b::169.254.169.254": linkLocal, "64:ff9b:1::a9fe:a9fe": linkLocal, "64:ff9b:1:2:3:4:a9fe:a9fe": linkLocal, "2002:a9fe:a9fe::1": linkLocal,

		"100.100.100.200": metadata, "168.63.129.16": metadata, "192.0.0.192": metadata, "fd00:ec2::254": metadata, "fd00:ec2::254%eth0": metadata, "fd20:ce::254": metadata,
		"fd00:c1::a9fe:a9fe": metadata, "fd00:42::42": metadata, "::ffff:100.100.100.200": metadata, "64:ff9b::6464:64c8": metadata, "2002:6464:64c8::": metadata,

		"0.0.0.0": always, "0.1.2.3": always, "::": always, "::ffff:0.0.0.0": always, "224.0.0.1": always, "239.255.255.255": always, "255.255.255.255": always,
		"ff02::1": always, "ff02::1%eth0": always, "::ffff:224.0.0.1": always, "64:ff9b::0.0.0.0": always, "2002:e000:1::": always,
	} {
		addr := netip.MustParseAddr(text)
		check := func(want string, allow bool) {
			err := checkAddress(addr, allow)
			if (err == nil) != (want == fine) || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s, allow_link_local = %t: %v, want %q", text, allow, err, want)
			}
		}
		check(want, false)
		if want != always {
			want = fine
		}
		check(want, true)
	}
}
