#!/usr/bin/env bash
# Installs the programs that `make bench` needs besides Rust, from Debian, as root: nginx and HAProxy for comparison,
# wrk and h2load for load, and valgrind for counts of instructions. Starts no service.
set -euo pipefail

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
