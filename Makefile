# `make help` lists everything.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
FUZZTIME ?= 10s
ROUNDS   ?= 20
LARGE    ?= -large
RACE     ?= -race
PARALLEL ?= 8
ARGS     ?=

SCRIPTS := .ci/run $(wildcard scripts/*)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build the static binary bin/router
	scripts/build bin/router ./cmd/router $(VERSION)

.PHONY: demo
demo: ## run the demo (the first build is silent for one to three minutes)
	go run ./cmd/router demo $(ARGS)

.PHONY: check
check: tidy vet lint arrows scripts ## everything that can be said without running the program

.PHONY: test
test: ## all tests with the race detector; installs redis-server, postgresql, python3-redis, npm, prometheus and chromium where it may
	scripts/need redis-server postgresql python3-redis npm prometheus chromium
	go test -race -shuffle=on -timeout 10m $(ARGS) ./...

# Most of a round is waiting, so many run at a time.
.PHONY: chaos
chaos: ## break Redis, the network and routers for ROUNDS (20) rounds each, and count what is lost; LARGE= leaves out what takes minutes, RACE= the race detector
	scripts/need redis-server
	@mkdir -p bin
	go test -tags failpoints ./router/internal/failpoint
	go test $(RACE) -tags failpoints -count 1 -timeout 3h -parallel 10000 ./chaos -together $(PARALLEL) -rounds $(ROUNDS) $(LARGE) -table $(CURDIR)/bin/chaos.md $(ARGS)
	@cat bin/chaos.md

# In the race between contenders nobody else may run: see bench/doc.go.
.PHONY: bench
bench: ## compare Signalbox with hand-written loops: about seven minutes, or one and a half with QUICK=1; refuses a busy machine
	scripts/need redis-server postgresql python3-redis
	go run ./bench $(if $(QUICK),-quick) $(ARGS)

.PHONY: plots
plots: ## draw how the cost grows, into docs/performance/: some minutes, or one and a half with QUICK=1
	scripts/need redis-server
	go run ./bench -plots docs/performance $(if $(QUICK),-quick) $(ARGS)

.PHONY: profile
profile: ## write CPU and allocation profiles of the drain to bench/profiles/
	scripts/need redis-server
	go run ./bench -profile bench/profiles $(if $(QUICK),-quick) $(ARGS)

.PHONY: benchstat
benchstat: ## compare the benchmarks beside the code with those of BASE (HEAD), by benchstat
	scripts/benchstat $(or $(BASE),HEAD)

.PHONY: fuzz
fuzz: ## run each fuzz target for FUZZTIME (10s)
	scripts/fuzz $(FUZZTIME)

.PHONY: fmt
fmt: ## format the code: gofumpt and goimports
	scripts/golangci-lint fmt

.PHONY: generate
generate: ## write what is made from the code: the schemas of routes.toml, and docs/reference.md
	go test -count 1 -run 'TestGeneratedFiles|TestSchemaIsFresh' ./cmd/router ./examples/gobot -update

.PHONY: image
image: ## build the container image signalbox
	docker build --build-arg VERSION=$(VERSION) -t signalbox .

.PHONY: clean
clean: ## remove what make built, tools included
	rm -rf bin .bin

# The parts of check, for running one alone.
.PHONY: tidy vet lint arrows scripts
tidy:
	go mod tidy -diff
	scripts/dependencies

vet:
	go vet ./...
	go vet -tags failpoints ./...

lint:
	scripts/golangci-lint config verify
	scripts/golangci-lint fmt --diff
	scripts/golangci-lint run --allow-parallel-runners ./...

arrows:
	go test ./internal/arrows

scripts:
	scripts/need shellcheck
	@if command -v shellcheck >/dev/null; then set -x; shellcheck $(SCRIPTS); fi
