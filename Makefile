# The only entrance: people, hooks and CI call the same targets. `make` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run install test soak clients check bench fuzz coverage audit hooks fmt setup

# Flags for `tollgate serve` or the benchmark, as in: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=
# How long `make fuzz` takes, without what it builds.
SECONDS ?= 60
# Where `make install` puts the command.
BIN ?= $(HOME)/.local/bin
# CI says --locked; a developer may be changing dependencies.
LOCKED ?=

# xtask apart, and the binary together with the tests: features unite over what is built at once, and what differs in
# them would be compiled twice.
TESTED := --workspace --exclude xtask

# A PostgreSQL of its own for one command.
BESIDE_POSTGRES := cargo run --quiet $(LOCKED) --package xtask -- postgres

TARGET := $(or $(CARGO_TARGET_DIR),target)
# A Node of our own, where scripts/setup.sh had to bring one; and cargo, where the shell has not been told yet.
export PATH := $(abspath $(TARGET))/tools/bin:$(PATH):$(HOME)/.cargo/bin

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## set up what is missing, build, and serve the demo on loopback
	@scripts/setup.sh build
	cargo build $(LOCKED) --package tollgate
	@exec $(TARGET)/debug/tollgate serve --demo $(ARGS)

install: ## build a release and put the `tollgate` command into ~/.local/bin, or into BIN
	@scripts/setup.sh build
	cargo build --locked --release --package tollgate
	install -D -m 755 $(TARGET)/release/tollgate "$(BIN)/tollgate"
	@echo "$(BIN)/tollgate is installed"
	@case ":$$PATH:" in *":$(BIN):"*) ;; *) echo "$(BIN) is not on your PATH: run  export PATH=\"$(BIN):\$$PATH\"" ;; esac

test: ## run all tests; those on the built binary, official clients included, and on the control API on SQLite and on PostgreSQL
	@scripts/setup.sh test
	cargo test $(LOCKED) --package xtask
	cargo build $(LOCKED) $(TESTED) --bins --tests
	$(BESIDE_POSTGRES) cargo test $(LOCKED) $(TESTED) -- --skip storms::
	cargo test $(LOCKED) $(TESTED) --test e2e storms::
	$(BESIDE_POSTGRES) env TOLLGATE_TEST_STORE=postgres cargo test $(LOCKED) $(TESTED) --test e2e --test control --test control_met \
		-- --skip storms::
	$(BESIDE_POSTGRES) env TOLLGATE_TEST_STORE=postgres cargo test $(LOCKED) $(TESTED) --test e2e storms::

soak: ## the crashes, faults and outages of `make test` at length: 20 seeds, every n (takes about half an hour)
	@scripts/setup.sh test
	cargo build $(LOCKED) $(TESTED) --bins --tests
	TOLLGATE_TEST_LONG=1 cargo test $(LOCKED) $(TESTED) --test e2e storms::nth::
	$(BESIDE_POSTGRES) env TOLLGATE_TEST_STORE=postgres TOLLGATE_TEST_LONG=1 TOLLGATE_FLEET_SEEDS=20 \
		cargo test $(LOCKED) $(TESTED) --test e2e -- --nocapture storms:: outage::

clients: ## run the official clients, and write docs/clients.md from what they did
	@scripts/setup.sh test
	cargo build $(LOCKED) $(TESTED) --bins --tests
	UPDATE_CLIENTS=1 cargo test $(LOCKED) $(TESTED) --test e2e clients::

check: ## formatting, lints, documentation, house rules
	@scripts/setup.sh check
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(LOCKED) --workspace --no-deps
	cargo run --quiet $(LOCKED) --package xtask -- tidy

bench: ## what a request costs, beside nginx (release build; takes minutes)
	@scripts/setup.sh build
	@bench/setup.sh
	cargo build $(LOCKED) --release --package tollgate
	cargo run $(LOCKED) --release --package bench -- run $(ARGS)

fuzz: ## hostile bytes for every parser, for SECONDS over all of them (docs/fuzzing.md)
	@scripts/setup.sh build
	cargo run --quiet $(LOCKED) --profile fuzz --package fuzz -- run all --seconds $(SECONDS) $(ARGS)

coverage: ## which lines the tests run, by crate (cargo-llvm-cov; takes about half an hour)
	@scripts/setup.sh test
	@scripts/coverage.sh

audit: ## known vulnerabilities, licences, bans and sources of dependencies (cargo-deny)
	@scripts/audit.sh

hooks: ## install a pre-commit hook: fmt, clippy, test
	@scripts/hooks.sh

fmt: ## format all sources
	cargo fmt --all

setup: ## set up what is missing for all of these
	@scripts/setup.sh all
