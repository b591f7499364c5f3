#!/usr/bin/env bash
# Runs the public suite for HTTP caches through a cached route: scripts/cache-tests.sh BINARY RESULTS.json
set -euo pipefail

binary=$(realpath "$1")
results=$(realpath -m "$2")
here=$(cd "$(dirname "$0")" && pwd)
folder=$here/../target/cache-tests
mkdir -p "$folder"
cd "$folder"
npm install --silent --no-save --no-audit --no-fund http-cache-tests@0.4.5
rm -rf data
cat > tollgate.yaml <<'YAML'
ai: {enabled: false}
listen: 127.0.0.1:18080
control: {listen: 127.0.0.1:18787, rate_limits: []}
rate_limits: []
upstreams: [{name: origin, backends: [{url: "http://127.0.0.1:18000"}]}]
routes: [{path: {prefix: /}, upstreams: origin, auth: {type: none}, cache: {}}]
YAML
stop() { kill "${origin:-}" "${gateway:-}" 2> /dev/null || true; }
trap stop EXIT
(cd node_modules/http-cache-tests && npm_config_protocol=http npm_config_port=18000 npm_config_pidfile="$folder/pid" exec node --no-warnings server/server.mjs) > origin.log 2>&1 &
origin=$!
"$binary" serve --config tollgate.yaml --data data > gateway.log 2>&1 &
gateway=$!
until curl --silent --output /dev/null --fail http://127.0.0.1:18080/; do sleep 0.2; done
cp "$here/cache-tests.mjs" run.mjs
node --no-warnings run.mjs http://127.0.0.1:18080 "$results"
