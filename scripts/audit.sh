#!/usr/bin/env bash
# Checks dependencies for bans, licences, sources and vulnerabilities, as deny.toml defines, and the packages of the dashboard's pages
# for vulnerabilities. Only the databases of known vulnerabilities need the network; without it, these checks are skipped, and the last
# lines report it; with CI set, that is an error. With --local they are not made: a vulnerability that was published today must not
# reject a change of today.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo deny check --hide-inclusion-graph bans licenses sources
# The Python package has a lock file of its own. Not every licence of the gateway is one of its dependencies'.
cargo deny --config deny.toml --manifest-path python/Cargo.toml check --hide-inclusion-graph --allow license-not-encountered \
    bans licenses sources
if [ "${1:-}" = --local ]; then
    exit 0
fi

# skipped WHAT REASON: reports a check that could not be made. Nobody reads the output of a nightly run that succeeds.
skipped() {
    printf 'audit: known vulnerabilities of %s were not checked, because their database cannot be reached: %s\n' "$1" "$2" >&2
    [ -z "${CI:-}" ] || exit 1
}

if output=$(cargo deny fetch db 2>&1); then
    cargo deny check --disable-fetch --hide-inclusion-graph advisories
    cargo deny --config deny.toml --manifest-path python/Cargo.toml check --disable-fetch --hide-inclusion-graph advisories
else
    skipped crates "$(printf '%s' "$output" | grep -v '^$' | tail -n 1)"
fi

# The pages are part of the binary. Packages that only build and test them are not.
cd dashboard
advisories() { npm audit --package-lock-only --omit=dev "$@"; }
if ! report=$(advisories --json 2>/dev/null); then
    if [[ $report == *'"auditReportVersion"'* ]]; then
        advisories >&2 || exit 1
    fi
    skipped "the dashboard's packages" "$(printf '%s' "$report" | sed -n 's/^ *"message": "\(.*\)",$/\1/p')"
fi
