#!/usr/bin/env bash
# Runs the public suite for HTTP caches through a cached route: scripts/cache-tests.sh BINARY RESULTS.json
#
# CACHE_TESTS may be a git repository of the suite that has the commit; otherwise it is cloned.
set -euo pipefail

commit=b55b8bda3dbb8c927c04e85bd8d496a8caa3e4ba # 2026-07-20
binary=$(realpath "$1")
results=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
folder=$here/../target/cache-tests
port=${CACHE_TESTS_PORT:-18000}
rm -rf "$folder"
mkdir -p "$folder/suite"
cd "$folder"
suite=${CACHE_TESTS:-$folder/git}
[ -n "${CACHE_TESTS:-}" ] || git clone --quiet https://github.com/http-tests/cache-tests git
git --git-dir="$([ -d "$suite/.git" ] && echo "$suite/.git" || echo "$suite")" archive "$commit" test-engine tests | tar x -C suite
npm install --silent --no-save --no-audit --no-fund --prefix suite undici@7.30.2
cat > tollgate.yaml <<YAML
ai: {enabled: false}
listen: 127.0.0.1:$((port + 80))
control: {listen: 127.0.0.1:$((port + 87)), rate_limits: []}
rate_limits: []
upstreams: [{name: origin, backends: [{url: "http://127.0.0.1:$port"}]}]
routes: [{path: {prefix: /}, upstreams: origin, auth: {type: none}, cache: {}}]
YAML
stop() { kill "${origin:-}" "${gateway:-}" 2> /dev/null || true; }
trap stop EXIT
(cd suite && npm_config_protocol=http npm_config_port=$port npm_config_pidfile="$folder/pid" exec node --no-warnings test-engine/server/server.mjs) > origin.log 2>&1 &
origin=$!
"$binary" serve --config tollgate.yaml --data data > gateway.log 2>&1 &
gateway=$!
until curl --silent --output /dev/null "http://127.0.0.1:$((port + 80))/"; do sleep 0.2; done
cp "$here/cache-tests.mjs" suite/run.mjs
node --no-warnings suite/run.mjs "http://127.0.0.1:$((port + 80))" "$results"
