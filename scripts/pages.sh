#!/usr/bin/env bash
# Tests the dashboard's pages in Chromium, against the built binary. Tests that fail run once more, one at a time; those
# that pass then are listed as flaky (scripts/step --summary), with both outputs kept.
#
#   scripts/pages.sh [ARGUMENT…]   arguments of `playwright test`
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export TOLLGATE_BINARY=$target/debug/tollgate
kept=$target/tests/failed
mkdir -p "$kept"
cd dashboard

if npx playwright test "$@" | tee "$kept/pages-first.log"; then exit; fi
printf 'pages: running the failed tests again, one at a time\n'
npx playwright test --last-failed --workers=1 "$@" | tee "$kept/pages-second.log"
# A listed test begins with its project, as in: [pages] › keys.spec.ts:12:1 › a name
sed -n 's/^ *[0-9]*) *\(\[[a-z]*\] › [^─]*[^─ ]\).*/\1/p' "$kept/pages-first.log" | sort -u |
    while read -r test; do printf 'page %s\t%s\n' "$test" "$kept/pages-first.log, pages-second.log"; done >>"$target/tests/flaky.tsv"
