package npmtest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"signalbox/internal/npmtest"
)

// What is lent is what package.json says, in these versions exactly.
func TestModules(t *testing.T) {
	t.Parallel()
	modules := npmtest.Modules(t)
	var wanted struct{ DevDependencies map[string]string }
	read(t, "package.json", &wanted)
	if len(wanted.DevDependencies) == 0 {
		t.Fatal("package.json names no packages")
	}
	for name, version := range wanted.DevDependencies {
		var got struct{ Version string }
		read(t, filepath.Join(modules, name, "package.json"), &got)
		if got.Version != version {
			t.Errorf("%s is installed in version %q, want exactly %q", name, got.Version, version)
		}
	}
	if again := npmtest.Modules(t); again != modules {
		t.Errorf("a second call returns %s, the first %s", again, modules)
	}
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
