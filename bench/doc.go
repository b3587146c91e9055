// Command bench compares Signalbox with what a user would otherwise write by hand, in
// one run on one machine, and prints a table of ratios:
//
//	make bench          # everything, about seven minutes
//	make bench QUICK=1  # the same in one round, under a minute
//	make profile        # CPU and allocation profiles of the drain in bench/profiles/
//
// It starts a redis-server and a PostgreSQL of its own. Each contender is a process of its own, and does
// the same job on the same messages: it counts them, and looks at the symbol in each.
//
// In a drain the contender is stopped (SIGSTOP), messages are sent, no more than one
// queue of Signalbox holds, and the time runs from SIGCONT until it says that it has
// handled the last one. Nobody waits for the producer, and nobody may drop anything.
// Contenders take turns: one round is one process of each, with a drain that does not
// count and some that do. Ratios are taken within a round, and the median of the rounds
// is what the table shows.
//
// What is saved in PostgreSQL is counted in its table. Where PostgreSQL is not installed, that
// case is left out, and says so.
//
// Signalbox runs as users run it: from a TOML file, with default settings, and with a
// handler registered in Go.
package main
