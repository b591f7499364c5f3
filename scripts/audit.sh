#!/usr/bin/env bash
# Known vulnerabilities, licences, bans and sources of dependencies, as deny.toml says. Fails also where it cannot tell.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo deny --version >/dev/null 2>&1; then
    echo "audit: cargo-deny is missing: cargo install --locked cargo-deny (it takes minutes)" >&2
    echo "audit: licences, bans and sources are checked without it by: cargo run -p xtask -- tidy" >&2
    exit 1
fi
cargo deny check licenses bans sources
if ! cargo deny fetch db; then
    echo "audit: the database of advisories cannot be reached, so known vulnerabilities are not checked" >&2
    exit 1
fi
cargo deny check --disable-fetch advisories
