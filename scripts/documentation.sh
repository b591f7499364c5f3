#!/usr/bin/env bash
# Checks the documentation with rustdoc, which reads what the lints have compiled.
#
#   documentation.sh [ARGUMENT…]   arguments of `cargo doc`
#
# For that, the features, the compiler and its arguments must be those of `cargo clippy --all-targets -- -D warnings`; otherwise
# cargo would check the workspace and half of its dependencies a second time. Dependencies have the features of tests only if
# examples are documented too. Binaries beside a library of their name are not documented.
set -euo pipefail
cd "$(dirname "$0")/.."

clippy=$(rustup which cargo-clippy 2>/dev/null || command -v cargo-clippy)
RUSTC_WORKSPACE_WRAPPER=$(dirname "$(realpath "$clippy")")/clippy-driver
# As cargo-clippy writes its arguments.
CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__
export RUSTC_WORKSPACE_WRAPPER CLIPPY_ARGS
RUSTDOCFLAGS="-D warnings" cargo doc "$@" --workspace --no-deps --lib --bin xtask --bin bench --bin api --examples
