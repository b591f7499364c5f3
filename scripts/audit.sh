#!/usr/bin/env bash
# Checks dependencies for vulnerabilities, licences, bans and sources, as deny.toml defines. It also fails if a check cannot run.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo deny --version >/dev/null 2>&1; then
    echo "audit: cargo-deny is missing: cargo install --locked cargo-deny (it takes minutes)" >&2
    echo "audit: licences, bans and sources are also checked by: cargo run -p xtask -- tidy" >&2
    exit 1
fi
cargo deny check licenses bans sources
if ! cargo deny fetch db; then
    echo "audit: cannot fetch the advisory database: known vulnerabilities were not checked" >&2
    exit 1
fi
cargo deny check --disable-fetch advisories
