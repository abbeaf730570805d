# The two commands a newcomer needs: make demo, make test.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Relative, because make takes a space in a target's name for the end of it and a clone may lie below one.
BIN     := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo development)
GO      ?= go
RACE    ?= -race
LDFLAGS := -s -w -X main.version=$(VERSION)

help: ## show this help
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

demo: ## try it all: sandbox, uploads, gate, attacks (KEEP=1 leaves it running)
	@e2e/install.sh softhsm2-util openssl
	@$(MAKE) --no-print-directory build
	@$(BIN)/sandbox demo $(if $(KEEP),--keep)

test: ## install what is missing and run every test
	@e2e/install.sh softhsm2-util postgres openssl groovy node npm
	@$(MAKE) --no-print-directory build tools
	$(GO) test $(RACE) -timeout 25m ./...

build: ## build bin/hallmark and bin/sandbox
	@mkdir -p $(BIN)
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/hallmark ./cmd/sandbox

lint: $(BIN)/golangci-lint ## run golangci-lint, import rules included
	$(BIN)/golangci-lint run ./...

fuzz: ## run each fuzz target for FUZZTIME (30s)
	@e2e/fuzz.sh $(or $(FUZZTIME),30s)

bench: ## measure; figures go to docs/performance.md by hand
	@e2e/install.sh softhsm2-util postgres curl
	@$(MAKE) --no-print-directory build tools
	@e2e/bench.sh

generate: ## write the documents that are made from the code
	$(GO) test ./cmd/hallmark -run TestGenerated -update

tools: $(BIN)/cosign $(BIN)/helm $(BIN)/opa $(BIN)/judge $(BIN)/npm/installed $(BIN)/sigstore-js/installed ## get the programs that judge us

$(BIN)/cosign: e2e/tools/go.sum
	@mkdir -p $(BIN)
	cd e2e/tools && $(GO) build -trimpath -tags pkcs11key -o ../../$@ github.com/sigstore/cosign/v3/cmd/cosign

$(BIN)/judge: e2e/tools/go.sum e2e/tools/judge/main.go
	@mkdir -p $(BIN)
	cd e2e/tools && $(GO) build -trimpath -o ../../$@ ./judge

$(BIN)/helm: e2e/tools/helm/go.sum
	@mkdir -p $(BIN)
	cd e2e/tools/helm && $(GO) build -trimpath -o ../../../$@ helm.sh/helm/v4/cmd/helm

$(BIN)/opa: e2e/tools/opa/go.sum
	@mkdir -p $(BIN)
	cd e2e/tools/opa && $(GO) build -trimpath -o ../../../$@ github.com/open-policy-agent/opa

$(BIN)/golangci-lint: e2e/tools/go.sum
	@mkdir -p $(BIN)
	cd e2e/tools && $(GO) build -trimpath -o ../../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

$(BIN)/npm/installed: policies/gates/worker/package.json policies/gates/worker/package-lock.json
	@e2e/install.sh node npm
	@rm -rf $(BIN)/npm && mkdir -p $(BIN)/npm && cp $^ $(BIN)/npm
	cd $(BIN)/npm && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(BIN)/sigstore-js/installed: e2e/judges/js/package.json e2e/judges/js/package-lock.json
	@e2e/install.sh node npm
	@rm -rf $(BIN)/sigstore-js && mkdir -p $(BIN)/sigstore-js && cp $^ $(BIN)/sigstore-js
	cd $(BIN)/sigstore-js && npm ci --ignore-scripts --no-audit --no-fund
	@touch $@

clean: ## remove what was built
	rm -rf $(BIN)

.PHONY: help demo test build lint fuzz bench generate tools clean
