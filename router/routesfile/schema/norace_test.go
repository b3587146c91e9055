//go:build !race

package schema

import "time"

// patience is how long a hostile schema or message may take, on a machine that does other things too.
const patience = 5 * time.Second
