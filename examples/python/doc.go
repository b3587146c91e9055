// Package python holds no Go, only tests of the Python examples beside it.
package python
