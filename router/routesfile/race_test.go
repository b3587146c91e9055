//go:build race

package routesfile

import "time"

// patience is how long a hostile file may take. The race detector makes loops ten to
// twenty times slower.
const patience = 30 * time.Second
