#!/usr/bin/env bash
# Builds xtask with the features that its dependencies have in `cargo build --workspace --bins --tests`, so that they are compiled
# once for both, and runs it.
#
#   scripts/xtask.sh TASK…   the tasks of `cargo run -p xtask`; LOCKED=--locked, as CI sets it, refuses another Cargo.lock
#
# Only together with a test does cargo use the features of tests; that of xtask is the smallest.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet ${LOCKED:+"$LOCKED"} --workspace --bin xtask --test usage
exec "${CARGO_TARGET_DIR:-target}/debug/xtask" "$@"
