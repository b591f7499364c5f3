#!/usr/bin/env bash
# Measures line coverage per crate: runs all tests on both databases with instrumented programs (cargo-llvm-cov).
# Fails below 80% of the workspace or 70% of a crate, and lists the lines of some crates that no test ran. Takes about half an
# hour on two cores. The reports are in target/coverage.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo llvm-cov --version >/dev/null 2>&1; then
    echo "coverage: cargo-llvm-cov is missing: cargo install --locked cargo-llvm-cov (it takes minutes)" >&2
    exit 1
fi
if [ -z "${LLVM_COV:-}" ] && ! ls "$(rustc --print sysroot)"/lib/rustlib/*/bin/llvm-cov >/dev/null 2>&1; then
    rustup component add llvm-tools || {
        echo "coverage: llvm-cov of $(rustc -vV | sed -n 's/^LLVM version: //p') is missing: rustup component add llvm-tools," >&2
        echo "coverage: or set LLVM_COV and LLVM_PROFDATA to another installation of that version" >&2
        exit 1
    }
fi

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}/coverage
export CARGO_INCREMENTAL=0
# The output assigns the instrumentation flags and the files for the counts.
eval "$(cargo llvm-cov show-env --sh)"
cargo llvm-cov clean --workspace
tested=(--workspace --exclude xtask)
cargo build "${tested[@]}" --bins --tests
beside_postgres=(cargo run --quiet --package xtask -- postgres)
"${beside_postgres[@]}" cargo test "${tested[@]}"
"${beside_postgres[@]}" env TOLLGATE_TEST_STORE=postgres cargo test "${tested[@]}" --test e2e
cargo test --package xtask
report=$CARGO_TARGET_DIR/coverage.json
cargo llvm-cov report --json --summary-only --output-path "$report"
cargo llvm-cov report --lcov --output-path "$CARGO_TARGET_DIR/coverage.lcov"
cargo run --quiet --package xtask -- coverage "$report" "$CARGO_TARGET_DIR/coverage.lcov"
