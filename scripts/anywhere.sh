#!/usr/bin/env bash
# Runs a build whose result names no folder of this machine, so that builds of the same sources in two folders are the same bytes.
#
#   scripts/anywhere.sh COMMAND…
#
# Both compilers write /tollgate for the repository and /cargo for the folder of Cargo. CARGO_TARGET_DIR may be anywhere.
set -euo pipefail
root=$(realpath "$(dirname "$0")/..")
target=$(realpath -m "${CARGO_TARGET_DIR:-$root/target}")
registry=$(realpath -m "${CARGO_HOME:-$HOME/.cargo}")
rust=$(rustc --print sysroot)
commit=$(rustc -vV | sed -n 's/^commit-hash: //p')

# Of the prefixes that match, both compilers apply the last one.
renamed=("$root=/tollgate" "$target=/tollgate/target" "$registry=/cargo" "$rust/lib/rustlib/src/rust=/rustc/$commit")
read -ra flags <<<"${RUSTFLAGS:-}"
for prefix in "${renamed[@]}"; do
    flags+=("--remap-path-prefix=$prefix")
    CFLAGS="${CFLAGS:-} -ffile-prefix-map=$prefix"
done
CXXFLAGS="${CXXFLAGS:-} ${CFLAGS# }"
# Cargo separates the flags by this character.
CARGO_ENCODED_RUSTFLAGS=$(
    IFS=$'\x1f'
    printf '%s' "${flags[*]}"
)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
export CFLAGS CXXFLAGS CARGO_ENCODED_RUSTFLAGS SOURCE_DATE_EPOCH CARGO_INCREMENTAL=0
exec "$@"
