#!/usr/bin/env bash
# Builds or checks the dashboard.
#
#   dashboard.sh build    exports the pages to dashboard/out, unless they are newer than their sources; one process at a time.
#                         With TYPES=checked it leaves the types to `check`
#   dashboard.sh check    lints and types
#   dashboard.sh test     unit tests
set -euo pipefail
cd "$(dirname "$0")/.."
export NEXT_TELEMETRY_DISABLED=1

readonly BUILT=dashboard/out/manifest.tsv
readonly EMBEDDING=crates/dashboard/build.rs

# Whether the pages are newer than all files from which they are built.
is_built() {
    [ -f "$BUILT" ] || return 1
    local newer
    newer=$(find docs/openapi.json dashboard \
        \( -path '*/node_modules' -o -path '*/.next' -o -path '*/out' -o -path '*/generated' -o -path '*/e2e' \
        -o -path '*/screenshots' -o -path '*/test-results' \) -prune \
        -o -type f -newer "$BUILT" ! -name '*.tsbuildinfo' ! -name 'next-env.d.ts' ! -name '*.md' ! -name '*.test.*' -print -quit)
    [ -z "$newer" ]
}

case ${1:-} in
build)
    mkdir -p "${CARGO_TARGET_DIR:-target}"
    exec 9>"${CARGO_TARGET_DIR:-target}/dashboard.lock"
    flock 9
    if is_built; then
        if [ "$BUILT" -nt "$EMBEDDING" ]; then touch "$EMBEDDING"; fi
        exit
    fi
    scripts/setup.sh dashboard
    cd dashboard
    npm run --silent build
    ;;
check)
    scripts/setup.sh dashboard
    cd dashboard
    npm run --silent generate >/dev/null
    npx next typegen >/dev/null
    npx tsc --noEmit
    npm run --silent lint
    ;;
test)
    scripts/setup.sh dashboard
    cd dashboard
    npm run --silent generate >/dev/null
    npm run --silent test
    ;;
*)
    echo "usage: dashboard.sh build|check|test" >&2
    exit 2
    ;;
esac
