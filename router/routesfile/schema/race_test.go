//go:build race

package schema

import "time"

// patience is how long a hostile schema or message may take. The race detector makes loops ten to
// twenty times slower.
const patience = 30 * time.Second
