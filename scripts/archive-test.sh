#!/usr/bin/env bash
# Unpacks the archive as README.md does, starts its demo on free ports, and stops it.
#
#   scripts/archive-test.sh [ARCHIVE]   the archive; that of scripts/package.sh without it
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
archive=$(realpath -m "${1:-$target/packages/tollgate-$version-linux-$(uname -m).tar.gz}")
work=$(mktemp -d)
node=
end() {
    [ -z "$node" ] || kill -KILL "$node" 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT
fail() {
    printf 'archive: %s\n' "$*" >&2
    exit 1
}

[ -r "$archive" ] || fail "$archive is missing: run  scripts/package.sh target/release/tollgate archive"
cd "$work"
tar -xzf "$archive"
(exec env -i PATH=/usr/bin:/bin HOME="$work" TOLLGATE_LISTEN=127.0.0.1:0 TOLLGATE_CONTROL__LISTEN=127.0.0.1:0 TOLLGATE_LOG__FORMAT=json \
    tollgate-*/bin/tollgate serve --demo 2>log >/dev/null) &
node=$!
tries=0
until grep -q '"message":"listening"' log; do
    if ! kill -0 "$node" 2>/dev/null || ((++tries > 600)); then
        fail "the demo does not start: $(cat log)"
    fi
    sleep 0.1
done
control=http://$(sed -n 's/.*"message":"listening",.*"control":"\([^"]*\)".*/\1/p' log)
curl -fsS "$control/livez" >/dev/null || fail "the demo does not respond"
kill -TERM "$node"
wait "$node" || fail "the demo does not stop cleanly: $(tail -n 3 log)"
node=
printf 'archive: the demo of %s started and stopped\n' "${archive##*/}"
