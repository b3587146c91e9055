//go:build failpoints && race

package chaos

// raced: the race detector makes every process several times slower.
const raced = true
