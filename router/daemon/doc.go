// Package daemon is the whole program minus its flags: it loads the configuration,
// opens Redis, runs the routes and drains them, and does what the other commands do.
package daemon
