// Package chaos breaks things around real router processes and counts what became of
// every event. It has nothing but tests, which need the build tag failpoints:
//
//	make chaos                  # 20 rounds of every fault, and the large scenarios
//	make chaos ROUNDS=3 LARGE=  # what CI runs
//	make chaos ROUNDS=1 ARGS='-run TestFaults/kill_in_handler -seed 42'
//
// A round has a redis-server of its own, a producer whose connection no fault touches,
// and routers: the test binary started again, as a program with every command of the
// router and a kind of handler, effect, that writes down the beginning and the end of
// all it does. A fault (faults_*_test.go) is a function that breaks something and mends
// it. Then the oracle (oracle_test.go) compares what the producer knows to be in Redis
// with what was written down, and says which invariant of docs/reliability.md does not
// hold.
//
// TestHarnessCatches shows that it would notice: it runs routers that make a mistake
// on purpose (package failpoint) and fails when nobody complains.
//
// Everything random comes from a seed. Each round prints its seed when it fails, and
// how to run it again.
package chaos
