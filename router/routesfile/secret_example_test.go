package routesfile_test

import (
	"fmt"

	"signalbox/router/routesfile"
)

func ExampleWithoutLogins() {
	fmt.Println(routesfile.WithoutLogins("dial redis://bot:hunter2@db:6379: connection refused"))
	// Output: dial redis://bot:***@db:6379: connection refused
}
