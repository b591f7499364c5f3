#!/usr/bin/env bash
# Builds target/optimized/tollgate: a release that the compiler optimizes for a measured load, which is that of `make bench`
# (docs/decisions/0031-profile.md). It compiles Tollgate twice, which takes about 20 minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/profile
export PATH=$target/tools/bin:$PATH:$HOME/.cargo/bin

# The rows of `make bench` whose code differs. Code that runs in none of them is optimized for size.
readonly ROWS=plain,keyed,sdk,sdk-keyed,llm,targets,stream,16k,64k,jwt,grpc,websocket,hit,compress,http2,tls,handshakes,cold,resilient,transform,traces

# compile FOLDER FLAG: compiles a release with this flag of rustc, which names no folder of this machine.
compile() {
    env RUSTFLAGS="${RUSTFLAGS:-} $2" scripts/anywhere.sh cargo build --locked --release --package tollgate --target-dir "$work/$1"
}

# Runs the load on the instrumented binary, which writes what it counted when it ends.
train() {
    local binary=$work/instrumented/release
    rm -rf "$work/raw"
    cargo build --locked --package bench
    export LLVM_PROFILE_FILE=$work/raw/%m_%p.profraw
    "$target/debug/bench" --quick --only "$ROWS" --profile-dir "$binary"
    cargo run --quiet --locked --package xtask -- postgres \
        "$target/debug/bench" stores --pairs 2 --seconds 1 --profile-dir "$binary"
    unset LLVM_PROFILE_FILE
    llvm-profdata merge -o "$work/tollgate.profdata" "$work"/raw/*.profraw
}

case ${1:-all} in
all)
    scripts/setup.sh release
    bench/setup.sh
    scripts/step "instrumented build" scripts/release.sh instrumented
    if ! [ "$work/tollgate.profdata" -nt "$work/instrumented/release/tollgate" ]; then
        scripts/step "load for the profile" scripts/release.sh train
    fi
    scripts/step "optimized build" scripts/release.sh optimized
    echo "$target/optimized/tollgate is built"
    ;;
instrumented) compile instrumented "-Cprofile-generate=$work/raw" ;;
train) train ;;
optimized)
    compile optimized "-Cprofile-use=$work/tollgate.profdata"
    scripts/folders.sh "$work/optimized/release/tollgate"
    install -D -m 755 "$work/optimized/release/tollgate" "$target/optimized/tollgate"
    ;;
*)
    echo "usage: release.sh [all|instrumented|train|optimized]" >&2
    exit 2
    ;;
esac
