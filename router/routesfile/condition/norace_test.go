//go:build !race

package condition

import "time"

// patience is how long a hostile condition may take, on a machine that does other things
// too.
const patience = 3 * time.Second
