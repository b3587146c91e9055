package handlers

import (
	"fmt"
	"net/netip"
	"slices"
)

// checkAddress refuses addresses that no receiver has, and those that only a mistake or an
// attack leads to: link-local ones, and the services where clouds tell machines their
// credentials. Private networks are fine: that is where most receivers are.
func checkAddress(addr netip.Addr, allowLinkLocal bool) error {
	to := carried(addr)
	switch {
	case to.IsUnspecified(), to.IsMulticast(), to.Is4() && (to.As4()[0] == 0 || to == netip.AddrFrom4([4]byte{255, 255, 255, 255})):
		return fmt.Errorf("%s is not the address of one machine", addr)
	case !allowLinkLocal && to.IsLinkLocalUnicast():
		return fmt.Errorf("%s is a link-local address, where clouds keep credentials; if it is meant, write allow_link_local = true", addr)
	case !allowLinkLocal && slices.Contains(metadataAddresses(), to):
		return fmt.Errorf("%s is the metadata service of a cloud, which keeps credentials; if it is meant, write allow_link_local = true", addr)
	}
	return nil
}

// metadataAddresses are the services that are not at a link-local address.
func metadataAddresses() []netip.Addr {
	return []netip.Addr{
		netip.AddrFrom4([4]byte{100, 100, 100, 200}), // Alibaba
		netip.AddrFrom4([4]byte{168, 63, 129, 16}),   // Azure
		netip.AddrFrom4([4]byte{192, 0, 0, 192}),     // Oracle
		netip.MustParseAddr("fd00:ec2::254"),         // AWS
		netip.MustParseAddr("fd20:ce::254"),          // Google
		netip.MustParseAddr("fd00:c1::a9fe:a9fe"),    // Oracle
		netip.MustParseAddr("fd00:42::42"),           // Scaleway
	}
}

// carried is the IPv4 address that an IPv6 address stands for, else the address itself,
// without its zone.
func carried(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr
	}
	b := addr.As16()
	switch {
	case slices.Equal(b[:2], []byte{0x20, 0x02}): // 6to4: 2002:V4ADDR::/48
		return netip.AddrFrom4([4]byte(b[2:6]))
	case slices.Equal(b[:6], []byte{0, 0x64, 0xff, 0x9b, 0, 0}), // NAT64: 64:ff9b::/96
		slices.Equal(b[:6], []byte{0, 0x64, 0xff, 0x9b, 0, 1}), // and 64:ff9b:1::/48, of an operator's own
		slices.Equal(b[:12], make([]byte, 12)) && b[12] != 0:   // IPv4-compatible: ::/96, but not :: and ::1
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}
