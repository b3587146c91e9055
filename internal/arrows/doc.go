// Package arrows keeps the packages of this module importing each other in the one
// direction that docs/design.md §3 draws.
package arrows
