#!/usr/bin/env bash
# The compiler of the workspace in `.ci/run`: clippy, which compiles as rustc does, and then rustdoc for a library. Each warning is
# an error. One build then checks lints and documentation; otherwise cargo would check all dependencies before it compiles them.
#
#   RUSTC_WORKSPACE_WRAPPER=scripts/rustc-lints.sh CLIPPY_ARGS=… cargo build …
#
# Cargo calls it with the path of rustc, and rustc's arguments. clippy reads CLIPPY_ARGS, which has the form of cargo-clippy; cargo
# compiles again if it changes, so it must be the same for all builds.
set -euo pipefail

tools=$(dirname "$(rustup which clippy-driver 2>/dev/null || command -v clippy-driver)")
"$tools/clippy-driver" "$@"

# What is documented: libraries, and binaries without a library of their name.
case " $* " in
*" --test "*) exit ;;
*" --crate-type lib "*) private=() ;;
*" --crate-name xtask "* | *" --crate-name bench "* | *" --crate-name api "*) private=(--document-private-items) ;;
*) exit ;;
esac

# The arguments of rustc, without those that say how to compile and link.
shift
arguments=()
while [ $# -gt 0 ]; do
    case $1 in
    -C | -l | --out-dir) shift ;;
    --emit=* | -C*) ;;
    *) arguments+=("$1") ;;
    esac
    shift
done
pages=$(mktemp -d)
trap 'rm -rf "$pages"' EXIT
"$tools/rustdoc" "${arguments[@]}" "${private[@]}" -D warnings -o "$pages"
