package handlers

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileCheck(t *testing.T) {
	dir := t.TempDir()
	check := func(path string) (string, error) {
		options := defaultFileOptions()
		options.Path = path
		options.Locate(dir)
		return options.Check(t.Context())
	}
	if found, err := check("{date}.jsonl"); err != nil || found != "folder "+dir+" can be written to" {
		t.Errorf("%q, %v", found, err)
	}
	want := "folder " + filepath.Join(dir, "a/b") + " is made for the first event, in " + dir + ", which can be written to"
	if found, err := check("a/b/{channel}/x.jsonl"); err != nil || found != want {
		t.Errorf("%q, %v", found, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("the check left %v, %v", left, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := check("file/x.jsonl"); err == nil || !strings.HasSuffix(err.Error(), "cannot be written to: not a directory") {
		t.Errorf("%q, %v", found, err)
	}
	if os.Getuid() == 0 {
		return // who may everything
	}
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0o500); err != nil {
		t.Fatal(err)
	}
	if found, err := check("closed/x.jsonl"); err == nil || !strings.HasSuffix(err.Error(), "closed cannot be written to: permission denied") {
		t.Errorf("%q, %v", found, err)
	}
}

func TestExecCheck(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "bot")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ntouch ran\n"), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	options := defaultExecOptions()
	options.Command = []string{"./bot", "canary"}
	options.Locate(dir)
	if found, err := options.Check(t.Context()); err != nil || found != "program "+program+" may be executed; it was not started" {
		t.Errorf("%q, %v", found, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it was started")
	}
	options.Command[0] = "./nobody"
	if found, err := options.Check(t.Context()); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("%q, %v", found, err)
	}
	options.Command[0] = "sh"
	options.Locate(filepath.Join(dir, "gone"))
	if found, err := options.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "which is no folder") {
		t.Errorf("%q, %v", found, err)
	}
}
