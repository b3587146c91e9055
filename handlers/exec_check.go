package handlers

import (
	"context"
	"fmt"
	"os"
)

// Check finds the program and the folder that it runs in, and starts nothing.
func (o *ExecOptions) Check(context.Context) (found string, err error) {
	path, err := o.program()
	if err != nil {
		return "", err
	}
	if o.dir != "" {
		if info, err := os.Stat(o.dir); err != nil || !info.IsDir() {
			return "", fmt.Errorf("the program would run in %q, which is no folder", o.dir)
		}
	}
	return fmt.Sprintf("program %s may be executed; it was not started", path), nil
}
