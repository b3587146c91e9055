//go:build race

package condition

import "time"

// patience is how long a hostile condition may take. The race detector makes it ten to
// twenty times slower.
const patience = 20 * time.Second
