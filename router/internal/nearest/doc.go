// Package nearest finds the valid name that a mistyped one was probably meant to be.
package nearest
