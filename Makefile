# make run   builds everything and runs the main job on a deployment of its own
# make test  sets up what the tests need and runs all of them
# CONTRIBUTING.md explains the other targets.

SHELL   := /bin/bash
GO      ?= go
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X bonded/internal/node.Version=$(VERSION) -X main.version=$(VERSION)
GOFLAGS_BUILD := -trimpath -ldflags '$(LDFLAGS)'
PKG     ?= ./...
INPUT   ?=
ARGS    ?=
FUZZTIME ?= 10s

export CGO_ENABLED := 0
# Real public officeholders, for tests that import them; skipped when absent.
export BONDED_OFFICEHOLDERS ?= $(abspath $(wildcard ../shared/data/officeholders.csv))

.PHONY: build wasm run test generate lint bench bench-large bench-pages fuzz crash e2e cross clean tools

build: wasm
	@mkdir -p $(BIN)
	$(GO) build $(GOFLAGS_BUILD) -o $(BIN)/ ./cmd/...

# What pages compute with. The server looks for that of requesters beside
# itself, and bonded portal build for the verifier; wasm_exec.js is that of the
# compiler.
wasm:
	@mkdir -p $(BIN)
	@scripts/wasm $(BIN)
	GOOS=js GOARCH=wasm $(GO) build -trimpath -ldflags '-s -w' -o $(BIN)/officer.wasm ./cmd/bonded-officer-wasm
	gzip -9 -n -f $(BIN)/officer.wasm
	cp "$$($(GO) env GOROOT)/lib/wasm/wasm_exec.js" $(BIN)/officer-exec.js

# The main job, end to end, on the embedded default. INPUT= names a CSV of
# people; relative paths count from here. ARGS=--exit stops when it is done.
run: build
	$(BIN)/bonded demo $(if $(INPUT),--input '$(abspath $(INPUT))') $(ARGS)

test:
	@scripts/setup test
	$(GO) vet ./...
	$(GO) test -count=1 -timeout 28m $(PKG)

# Kill -9 in earnest: 20 rounds for every process.
crash:
	BONDED_CRASH_ROUNDS=20 $(GO) test -count=1 -timeout 30m -run 'Crash|Kill' -v ./...

# The end-to-end suite over real processes, sockets and browsers, in every
# language. SHOTS names the folder for pictures of every page.
SHOTS ?= docs/screenshots
e2e:
	@scripts/setup test
	BONDED_E2E=1 BONDED_SHOTS='$(abspath $(SHOTS))' $(GO) test -count=1 -timeout 20m -run 'E2E' -v ./bondedtest/...

# Writes the Go of pages from *.templ.
generate: tools
	$(TOOLS)/templ generate -path .
	@find . -name '*_templ.go' -not -path './.cache/*' -exec sed -i 's|^// templ: version.*|&\n|' {} + -exec $(TOOLS)/gofumpt -w {} +

lint: tools
	@out=$$($(TOOLS)/gofumpt -l . ); if [ -n "$$out" ]; then echo "gofumpt: $$out"; exit 1; fi
	$(GO) vet ./...
	$(GO) test -count=1 -run 'TestDependency|TestPackage|TestPublicAPI|TestDirect|TestDocs|TestStyle' .
	$(TOOLS)/golangci-lint run ./...

bench: build
	@scripts/setup bench
	$(GO) run ./bench -bin $(BIN) $(ARGS)

bench-large: build
	@scripts/setup bench
	$(GO) run ./bench -bin $(BIN) -large $(ARGS)

# The server's time and the size of every page of the console, with a million
# people and a hundred thousand cases. ARGS= names other flags of go test, and
# BONDED_PEOPLE= how many people. Filling the cell takes some minutes; TMPDIR
# wants 3 GB.
bench-pages:
	$(GO) test -run '^$$' -bench '^BenchmarkPages$$' -benchtime 31x -timeout 3h $(ARGS) ./internal/console

# Every fuzz target for FUZZTIME each.
fuzz:
	@scripts/fuzz $(FUZZTIME)

# Everything for linux, the tools of people for macOS and Windows.
cross:
	@scripts/cross

TOOLS := $(CURDIR)/.cache/tools
tools:
	@scripts/setup lint

clean:
	rm -rf $(BIN) dist .cache
