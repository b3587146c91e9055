package daemon

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(victimEnv); file != "" {
		victim(file)
		return
	}
	goleak.VerifyTestMain(m)
}
