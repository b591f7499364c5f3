#!/usr/bin/env bash
# Fails if a binary contains the name of a folder of the machine that built it: the repository, the target folder, the home
# folder, or those of Cargo, its registry and the toolchain. scripts/anywhere.sh replaces them.
#
#   scripts/folders.sh BINARY…
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "usage: folders.sh BINARY…" >&2; exit 2; }
cargo=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")
folders=("$PWD" "$(realpath -m "${CARGO_TARGET_DIR:-target}")" "$cargo" "$(rustc --print sysroot)" "$HOME/.cargo" "$HOME/.rustup")
# The home folder of root is a usual word of documents, which the binary contains.
case $HOME in / | /root) ;; *) folders+=("$HOME/") ;; esac

found=0
for binary in "$@"; do
    [ -s "$binary" ] || { echo "folders: $binary does not exist" >&2; exit 1; }
    for folder in "${folders[@]}"; do
        if grep -qaF "$folder" "$binary"; then
            echo "folders: $binary contains $folder:" >&2
            grep -aoE "[[:print:]]{0,40}$(printf '%s' "$folder" | sed 's/[^[:alnum:]/_-]/\\&/g')[[:print:]]{0,60}" "$binary" | sort -u | head -n 5 >&2 || true
            found=1
        fi
    done
done
exit $found
