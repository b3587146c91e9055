//go:build !race

package routesfile

import "time"

// patience is how long a hostile file may take, on a machine that does other things too.
const patience = 5 * time.Second
