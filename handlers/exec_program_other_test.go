//go:build !unix

package handlers_test

const playsProgram = "SIGNALBOX_TEST_PROGRAM"

func playProgram(string, []string) int { return 2 }
