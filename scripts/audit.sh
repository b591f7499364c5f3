#!/usr/bin/env bash
# Checks dependencies for bans, licences, sources and vulnerabilities, as deny.toml defines. Only the database of known
# vulnerabilities needs the network; without it, that check is skipped, and the last line reports it. With --local it is not
# made: a vulnerability that was published today must not reject a change of today.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny check --hide-inclusion-graph bans licenses sources
# The Python package has a lock file of its own. Not every licence of the gateway is one of its dependencies'.
cargo deny --config deny.toml --manifest-path python/Cargo.toml check --hide-inclusion-graph --allow license-not-encountered \
    bans licenses sources
if [ "${1:-}" = --local ]; then
    exit 0
fi
if ! output=$(cargo deny fetch db 2>&1); then
    printf 'audit: known vulnerabilities were not checked, because their database cannot be reached: %s\n' \
        "$(printf '%s' "$output" | grep -v '^$' | tail -n 1)" >&2
    exit 0
fi
cargo deny check --disable-fetch --hide-inclusion-graph advisories
cargo deny --config deny.toml --manifest-path python/Cargo.toml check --disable-fetch --hide-inclusion-graph advisories
