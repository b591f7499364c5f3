# People, hooks and CI use the same targets. `make` lists them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run install release dashboard dashboard-tests dashboard-beside pages screenshots demo test test-pages test-suite test-documents docs-run unit soak soak-load clients consul check quick bench fuzz coverage audit packages python hooks fmt setup

# Flags for `tollgate serve` or the benchmark, as in: make run ARGS="--listen 127.0.0.1:9000"
ARGS ?=
# Duration of `make fuzz` without the build.
SECONDS ?= 60
# The folder in which `make install` installs the command.
BIN ?= $(HOME)/.local/bin
# Not empty: `make install` installs the binary of `make release`.
OPTIMIZED ?=
# CI sets --local: the nightly run checks known vulnerabilities.
AUDIT ?=
# CI sets --locked; developers may change dependencies.
LOCKED ?=
# Not empty: `.ci/run` runs `make dashboard-beside` beside `make check`.
DASHBOARD_BESIDE ?=

# One selection of packages for all commands: cargo unifies features over the selection, and a crate with other features
# would be compiled again. Therefore binaries and tests are built together, and scripts/xtask.sh builds xtask with their features.
TESTED := --workspace
# Scripts read it.
export LOCKED

TARGET := $(or $(CARGO_TARGET_DIR),target)

# Runs parts of the suite beside a temporary PostgreSQL. Tests that fail run once more, alone (xtask/src/suite.rs).
BESIDE_POSTGRES := scripts/xtask.sh postgres
SUITE := $(BESIDE_POSTGRES) --suite $(TARGET)/debug/xtask test
# The Node that scripts/setup.sh installed, if it had to; and cargo, if it is not yet in PATH.
export PATH := $(abspath $(TARGET))/tools/bin:$(PATH):$(HOME)/.cargo/bin

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## install missing tools, build, and serve the demo on loopback; V=1 shows the output of the build
	@QUIET=1 scripts/step "missing tools" scripts/setup.sh build
	@QUIET=1 scripts/step dashboard $(MAKE) --no-print-directory dashboard
	@QUIET=1 scripts/step build cargo build $(LOCKED) --package tollgate
	@exec $(TARGET)/debug/tollgate serve --demo $(ARGS)

install: ## build a release and install the `tollgate` command in ~/.local/bin, or in BIN (OPTIMIZED=1: that of make release)
	@scripts/setup.sh build
	@$(MAKE) --no-print-directory dashboard
	$(if $(OPTIMIZED),scripts/release.sh,scripts/anywhere.sh cargo build --locked --profile local --package tollgate)
	@scripts/folders.sh $(TARGET)/$(if $(OPTIMIZED),optimized,local)/tollgate
	install -D -s -m 755 $(TARGET)/$(if $(OPTIMIZED),optimized,local)/tollgate "$(BIN)/tollgate"
	@echo "$(BIN)/tollgate is installed"
	@case ":$$PATH:" in *":$(BIN):"*) ;; *) echo "$(BIN) is not in PATH: run  export PATH=\"$(BIN):\$$PATH\"" ;; esac

release: ## build target/optimized/tollgate, optimized with a profile of the load of `make bench` (20 minutes)
	@$(MAKE) --no-print-directory dashboard
	@scripts/release.sh

dashboard: ## build the dashboard, if its sources changed; the next cargo build embeds it
	@scripts/dashboard.sh build

dashboard-tests: ## check and test the dashboard without a browser
	@scripts/step "dashboard's lints and types" scripts/dashboard.sh check
	@scripts/step "tests of the dashboard" scripts/dashboard.sh test

# What .ci/run does beside `make check`, for which the export comes first.
dashboard-beside:
	@TYPES=checked scripts/step "export of the dashboard" scripts/dashboard.sh build
	@$(MAKE) --no-print-directory dashboard-tests

pages: ## test the dashboard's pages in Chromium, against the built binary
	@scripts/setup.sh pages
	@scripts/pages.sh $(ARGS)

screenshots: ## draw docs/screenshots again, with which `make pages` compares the pages
	@scripts/setup.sh pages
	@mkdir -p docs/screenshots
	@cd dashboard && TOLLGATE_BINARY=$(abspath $(TARGET))/debug/tollgate npx playwright test screenshots --grep compared --update-snapshots=all

demo: ## record docs/demo.cast and docs/demo.svg, the terminal demo of README.md
	@scripts/demo.py $(TARGET)/debug/tollgate

test: ## run all tests; on PostgreSQL those whose result may depend on the database; ONLY='build|pages' runs the steps whose names match
	@scripts/setup.sh test
	@$(if $(DASHBOARD_BESIDE),:,scripts/step "tests of the dashboard" scripts/dashboard.sh test)
	@scripts/step "dashboard" $(MAKE) --no-print-directory dashboard
	@scripts/step "build" cargo build $(LOCKED) $(TESTED) --bins --tests
# Each of them runs even if one before it failed, so one run shows all faults.
	@$(MAKE) --no-print-directory --keep-going test-pages test-suite test-documents
	@scripts/step --summary

test-pages:
	@scripts/step "pages in Chromium" scripts/pages.sh

# One pool for all tests: of two, the first waits for its slowest tests before the second starts. With ONLY, each machine of
# CI runs one half.
test-suite:
ifeq ($(ONLY),)
	@scripts/step "tests on SQLite and PostgreSQL, crashes and load" $(SUITE)
else
	@scripts/step "tests on SQLite" $(SUITE) crates sqlite
	@scripts/step "tests on PostgreSQL, crashes and load" $(SUITE) postgres crashes load
endif

test-documents:
	@scripts/step "shell blocks of the documents" scripts/docs-run.py $(TARGET)/debug/tollgate

docs-run: ## run the shell blocks of README.md and docs/ against the built binary, and list those that cannot run
	@scripts/setup.sh test
	@scripts/docs-run.py $(TARGET)/debug/tollgate

unit: ## run the tests that need neither a database server nor the built binary (under three minutes if little changed)
	@scripts/setup.sh build
	@scripts/step "unit tests" env TOLLGATE_TEST_STORE=sqlite cargo test $(LOCKED) $(TESTED) --lib -- --skip postgres

# Minutes of random load in `make soak`.
MINUTES ?= 10

soak: export CARGO_PROFILE_DEV_DEBUG_ASSERTIONS = true
soak: ## run every test on PostgreSQL, the crash, fault and outage tests at length, large stores, and make soak-load
	@scripts/setup.sh test
	@scripts/step "build" cargo build $(LOCKED) $(TESTED) --bins --tests
	@scripts/step "all tests on PostgreSQL" $(BESIDE_POSTGRES) env TOLLGATE_TEST_STORE=postgres \
		cargo test $(LOCKED) $(TESTED) --test e2e --test control --test control_met -- --skip storms::
	@scripts/step "20 upgrades under load, large messages, and minutes of changing, killed and hung backends" $(BESIDE_POSTGRES) \
		env TOLLGATE_TEST_LONG=1 cargo test $(LOCKED) $(TESTED) --test e2e -- --nocapture --test-threads=1 \
		upgrades:: discovery::changes:: killed_backends:: hung_backend:: the_large_messages_of_autobahn
	@scripts/step "simulated nodes" env TOLLGATE_TEST_LONG=1 cargo test $(LOCKED) $(TESTED) --test simulation
	@scripts/step "crashes and faults on SQLite" env TOLLGATE_TEST_LONG=1 \
		cargo test $(LOCKED) $(TESTED) --test e2e storms:: -- --skip storms::soak::
	@scripts/step "crashes, faults and outages on PostgreSQL" $(BESIDE_POSTGRES) \
		env TOLLGATE_TEST_STORE=postgres TOLLGATE_TEST_LONG=1 TOLLGATE_FLEET_SEEDS=20 \
		cargo test $(LOCKED) $(TESTED) --test e2e -- --nocapture --skip storms::soak:: storms:: outage::
	@scripts/step "optimized binary" scripts/anywhere.sh cargo build $(LOCKED) --profile local -p tollgate
	@scripts/step "10,000 traced requests a second, with failing receivers" env TOLLGATE_SOAK_RATE=10000 TOLLGATE_TEST_LONG=1 \
		TOLLGATE_BINARY=$(abspath $(TARGET))/local/tollgate \
		cargo test $(LOCKED) $(TESTED) --test e2e storms::soak::paced:: -- --nocapture
	@scripts/step "large stores, many live clients and large bodies" env TOLLGATE_TEST_LONG=1 TOLLGATE_BINARY=$(abspath $(TARGET))/local/tollgate \
		cargo test $(LOCKED) $(TESTED) --test e2e -- --nocapture --test-threads=1 volume:: insights::live:: hostile::spike:: hostile::built::
	@scripts/step "upgrade of a large store on PostgreSQL" $(BESIDE_POSTGRES) \
		env TOLLGATE_TEST_STORE=postgres TOLLGATE_TEST_LONG=1 TOLLGATE_BINARY=$(abspath $(TARGET))/local/tollgate \
		cargo test $(LOCKED) $(TESTED) --test e2e -- --nocapture --test-threads=1 volume::upgrade::
	@scripts/step "dashboard" $(MAKE) --no-print-directory dashboard
	@scripts/step "binary with the dashboard" cargo build $(LOCKED) $(TESTED) --bins --tests
	@scripts/step "every page in both themes and three widths" env SCREENSHOTS=360,1280,1920 \
		$(MAKE) --no-print-directory pages ARGS=screenshots
	@$(MAKE) --no-print-directory soak-load

soak-load: export CARGO_PROFILE_DEV_DEBUG_ASSERTIONS = true
soak-load: ## only the MINUTES of random load of make soak (1440: a day); writes its table to target/soak.md as it goes
	@scripts/setup.sh test
	@scripts/step "build" cargo build $(LOCKED) $(TESTED) --bins --tests
	@rm -f $(TARGET)/soak.md
	@scripts/step "$(MINUTES) minutes of random load" env TOLLGATE_SOAK_SECONDS=$$(($(MINUTES) * 60)) \
		TOLLGATE_SOAK_CONNECTIONS=1000 TOLLGATE_TEST_LONG=1 TOLLGATE_SOAK_TABLE=$(abspath $(TARGET))/soak.md \
		cargo test $(LOCKED) $(TESTED) --test e2e storms::soak::random_load -- --nocapture --test-threads=1
	@cat $(TARGET)/soak.md

clients: ## run the official clients, and generate docs/clients.md from their results
	@scripts/setup.sh test
	cargo build $(LOCKED) $(TESTED) --bins --tests
	UPDATE_CLIENTS=1 cargo test $(LOCKED) $(TESTED) --test e2e clients::

# The URL of `make consul`, such as http://127.0.0.1:8500; CONSUL_TOKEN is its token.
URL ?=
consul: ## follow registrations in the Consul at URL, as a test does in a small one
	@test -n "$(URL)" || { echo "set URL: make consul URL=http://127.0.0.1:8500"; exit 1; }
	@scripts/setup.sh test
	cargo build $(LOCKED) $(TESTED) --bins --tests
	TOLLGATE_TEST_CONSUL=$(URL) cargo test $(LOCKED) $(TESTED) --test e2e registrations_of_a_client_of_consul

check: quick ## check formatting, lints, house rules, the dashboard and documentation
	@$(if $(DASHBOARD_BESIDE),:,scripts/step "dashboard's lints and types" scripts/dashboard.sh check)
	@$(if $(RUSTC_WORKSPACE_WRAPPER),:,scripts/step "documentation" scripts/documentation.sh $(LOCKED))

# .ci/run compiles everything once, with scripts/rustc-lints.sh. The binary embeds the pages, so they are exported first.
quick: ## check formatting, lints and house rules (the pre-commit hook; under two minutes if nothing else changed)
	@scripts/setup.sh check
	@scripts/step "formatting" cargo fmt --all --check
	@scripts/step "house rules" scripts/xtask.sh tidy
	@scripts/step "commits" scripts/commits.sh
ifdef RUSTC_WORKSPACE_WRAPPER
	@scripts/step "rest of the dashboard's export" scripts/dashboard.sh build
	@scripts/step "lints, documentation and build" cargo build $(LOCKED) $(TESTED) --all-targets
else
	@scripts/step "lints" cargo clippy $(LOCKED) $(TESTED) --all-targets -- -D warnings
endif

bench: ## measure the cost of a request beside nginx, HAProxy, Envoy and Traefik (builds the optimized release; 90 minutes; ARGS=--help)
	@scripts/release.sh
	cargo run $(LOCKED) --release --package bench -- $(ARGS) --profile-dir $(TARGET)/optimized

fuzz: ## fuzz every parser, for SECONDS in total (fuzz/src/lib.rs)
	@scripts/setup.sh build
	cargo run --quiet $(LOCKED) --profile fuzz --package fuzz -- run all --seconds $(SECONDS) $(ARGS)

coverage: ## measure the line coverage of each crate (cargo-llvm-cov; takes about half an hour)
	@scripts/setup.sh test
	@scripts/coverage.sh

audit: ## check dependencies for bans, licences, sources and, with the network, known vulnerabilities (cargo-deny)
	@scripts/setup.sh audit
	@scripts/step "dependencies" scripts/audit.sh $(AUDIT)

packages: ## build archive and deb, check them, the unit, chart, manifests, alerts, runbook, Dockerfile and workflows
	@scripts/setup.sh packages
	@scripts/step "alerts" scripts/alerts.sh
	@scripts/step "linters" scripts/lint.sh
	@scripts/step "dashboard" $(MAKE) --no-print-directory dashboard
	@scripts/step "release build" scripts/anywhere.sh cargo build --locked --release --package tollgate --package api
	@scripts/step "folders in the binaries" scripts/folders.sh $(TARGET)/release/tollgate $(TARGET)/release/api
	@scripts/step "unit" scripts/unit.sh
	@scripts/step "archive and Debian package" scripts/package.sh $(TARGET)/release/tollgate
	@scripts/step "demo of the archive" scripts/archive-test.sh
	@scripts/step "Debian package in a chroot" scripts/deb-test.sh $(TARGET)/release/tollgate
	@scripts/step "SBOM" scripts/sbom.sh
	@scripts/step "image" scripts/image.sh $(TARGET)/release/tollgate
	@scripts/step "chart and manifests" $(TARGET)/tools/python-packages/bin/python scripts/chart.py --binary $(TARGET)/release/tollgate
	@scripts/step "runbook" $(BESIDE_POSTGRES) scripts/runbook.sh $(TARGET)/release/tollgate

python: ## build the wheel of the Python package into target/packages, and test it in a fresh environment
	@scripts/setup.sh python
	@scripts/step "build" cargo build $(LOCKED) $(TESTED) --bins --tests
	@rm -rf $(TARGET)/kept && mkdir -p $(TARGET)/kept
	@scripts/step "an export and a receipt" env TOLLGATE_TEST_KEPT=$(abspath $(TARGET))/kept \
		cargo test $(LOCKED) $(TESTED) --test e2e is_verified_without_a_server
	@scripts/step "wheel" env LOCKED=$(LOCKED) scripts/python.sh $(TARGET)/debug/tollgate $(TARGET)/kept

hooks: ## install a pre-commit hook that runs make quick
	@scripts/hooks.sh

fmt: ## format all sources
	cargo fmt --all

setup: ## install missing tools for all targets
	@scripts/setup.sh all
