#!/usr/bin/env bash
# Checks the systemd unit: it is valid, and its exposure is at most 2.0 (systemd-analyze security).
set -euo pipefail
cd "$(dirname "$0")/.."
readonly UNIT=infrastructure/systemd/tollgate.service EXPOSURE_MAX=2.0
command -v systemd-analyze >/dev/null || { echo "unit: systemd-analyze is missing: run  scripts/setup.sh packages" >&2; exit 1; }

# The command of the unit is not installed here, so it is replaced by one that is.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed 's|^ExecStart=/usr/bin/tollgate|ExecStart=/bin/true|; s|^Documentation=.*|Documentation=https://example.com|' "$UNIT" >"$work/tollgate.service"
systemd-analyze verify --man=no "$work/tollgate.service"
exposure=$(systemd-analyze security --offline=true --no-pager "$UNIT" | sed -n 's/.*Overall exposure level for tollgate.service: \([0-9.]*\).*/\1/p')
if [ -z "$exposure" ] || [ "$(printf '%s\n%s\n' "$exposure" "$EXPOSURE_MAX" | sort -g | tail -n 1)" != "$EXPOSURE_MAX" ]; then
    echo "unit: the exposure is ${exposure:-unknown}, at most $EXPOSURE_MAX is allowed" >&2
    exit 1
fi
echo "unit: exposure $exposure"
