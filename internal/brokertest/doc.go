// Package brokertest has brokers for tests: WebSocket servers on a loopback port that ask of
// their clients what real ones do, and that know at every moment whose session goes on.
//
// [Start] runs one with a small protocol of its own, whose faults can be chosen. [StartBinance],
// [StartCoinbase], [StartKraken] and [StartAlpaca] speak as these brokers do, strictly: they end
// what breaks their rules.
package brokertest
