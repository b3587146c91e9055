package router_test

import (
	"fmt"
	"time"

	"signalbox/router"
)

func ExampleHours() {
	var hours router.Hours
	if err := hours.UnmarshalText([]byte("Mon-Fri 09:30-16:00 America/New_York")); err != nil {
		fmt.Println(err)
		return
	}
	for _, at := range []time.Time{
		time.Date(2026, 3, 6, 15, 0, 0, 0, time.UTC), // a Friday
		time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC), // in the night from the 7th on, clocks are put forward
	} {
		since, open := hours.Open(at)
		if next := hours.Next(at).UTC(); open {
			fmt.Println("open since", since.UTC(), "until", next)
		} else {
			fmt.Println("closed until", next)
		}
	}
	// Output:
	// open since 2026-03-06 14:30:00 +0000 UTC until 2026-03-06 21:00:00 +0000 UTC
	// closed until 2026-03-09 13:30:00 +0000 UTC
}
