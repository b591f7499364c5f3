#!/usr/bin/env bash
# Fails if the disk has no room for a run of all checks and tests, and says what to delete.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly NEEDED_MB=15000
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
used=$(du -sm "$target" | cut -f 1)
free=$(df --output=avail -m "$target" | tail -n 1)
left=$((NEEDED_MB - used))
# What is built already needs room only for what changed.
needed=$((left > 3000 ? left : 3000))
if [ "$free" -lt "$needed" ]; then
    printf 'disk: %s has %d MB free, and the run needs %d MB. Remove %s (%d MB; it is built again), or files in %s\n' \
        "$(realpath "$target")" "$free" "$needed" "$(realpath "$target")" "$used" "${TMPDIR:-/tmp}" >&2
    exit 1
fi
printf 'disk: %d MB free, %d MB in %s\n' "$free" "$used" "$(realpath "$target")"
