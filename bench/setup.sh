#!/usr/bin/env bash
# Installs the programs that `make bench` needs besides Rust: nginx and wrk, from Debian, as root. Starts no service.
set -euo pipefail

missing=()
for tool in nginx wrk; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "$tool" >/dev/null || missing+=("$tool")
done
if [ "${#missing[@]}" -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "bench: missing ${missing[*]}; install the packages of these names (Debian: sudo apt-get install ${missing[*]})" >&2
    exit 1
fi
# RUNLEVEL=1 keeps packages from starting services, so nginx does not bind port 80.
export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
