// Package queue has the queues in which messages wait: one with two ends, and one that is
// bounded and drops what it cannot hold.
package queue
