#!/usr/bin/env bash
# Runs the public suite for HTTP caches through a cached route: scripts/cache-tests.sh BINARY RESULTS.json
#
# Of the 157 required tests of shared caches, 149 pass (docs/cache-tests.json, 2026-11-26). These fail:
# - headers-store-Set-Cookie, 304-etag-update-response-Set-Cookie: a response with Set-Cookie is not stored, because a cookie
#   may belong to one client
# - headers-store-Transfer-Encoding: an unknown transfer coding is refused with 502 (RFC 9112, 6.1)
# - age-parse-prefix: `Age: 0,7200` is not one number, so the response needs the consent of the upstream
# - stale-close-must-revalidate, -proxy-revalidate, -no-cache, -s-maxage=2: the upstream closes the connection, and the client
#   gets 502; the tests expect a response of the upstream
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
