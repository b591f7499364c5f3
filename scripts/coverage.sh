#!/usr/bin/env bash
# Measures line coverage per crate: runs all tests on both databases with instrumented programs (cargo-llvm-cov).
# Fails below 80% of the workspace or 70% of a crate. Lists the lines of some crates that no test ran, and fails if one has no
# reason in xtask/src/coverage/untested.tsv, or if a reason there is of a line that does not exist anymore. Takes about half an
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

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR=$target/coverage
export CARGO_INCREMENTAL=0
# Tests look for the clients that scripts/setup.sh installed beside the built programs.
mkdir -p "$CARGO_TARGET_DIR"
ln -sfn "$target/tools" "$CARGO_TARGET_DIR/tools"
# The output assigns the instrumentation flags and the files for the counts.
eval "$(cargo llvm-cov show-env --sh)"
# A file for each of the thousands of processes would fill the disk: those of a program share four.
export LLVM_PROFILE_FILE=$CARGO_TARGET_DIR/tollgate-%4m.profraw
cargo llvm-cov clean --workspace
cargo build --workspace --bins --tests
scripts/xtask.sh postgres --suite "$CARGO_TARGET_DIR/debug/xtask" test crates sqlite postgres crashes load
report=$CARGO_TARGET_DIR/coverage.json
# Tests kill programs that may be writing their counts.
cargo llvm-cov report --failure-mode all --json --summary-only --output-path "$report"
cargo llvm-cov report --failure-mode all --lcov --output-path "$CARGO_TARGET_DIR/coverage.lcov"
scripts/xtask.sh coverage "$report" "$CARGO_TARGET_DIR/coverage.lcov"
