#!/usr/bin/env bash
# Runs every command of docs/runbook.md on a node with PostgreSQL, Redis and TLS, and fails if one fails.
#
#   cargo run -p xtask -- postgres scripts/runbook.sh [BINARY]   the binary; target/debug/tollgate without it
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
binary=$(realpath -m "${1:-$target/debug/tollgate}")
server=${TOLLGATE_TEST_POSTGRES:?run this script with: cargo run -p xtask -- postgres}

[ -x "$binary" ] || { echo "runbook: $binary is missing: run  cargo build --locked --package tollgate" >&2; exit 1; }

page=$PWD/docs/runbook.md
work=$(mktemp -d)
end() {
    [ -z "${node:-}" ] || kill "$node" 2>/dev/null || true
    [ -z "${redis:-}" ] || kill "$redis" 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap end EXIT

# The database that the server creates; its URL is that of the tests with another name.
export DATABASE_URL=${server%/*}/runbook
psql --quiet "$server" --command 'CREATE DATABASE runbook'
export TOLLGATE_DATA=$work/data METRICS_TOKEN=runbook
# The first of these ports that is free.
for port in 26379 26380 26381 26382; do
    redis-server --bind 127.0.0.1 --port $port --save '' --appendonly no --dir "$work" >"$work/redis.log" &
    redis=$!
    until redis-cli -p $port ping >/dev/null 2>&1; do
        kill -0 $redis 2>/dev/null || continue 2
        sleep 0.1
    done
    kill -0 $redis 2>/dev/null && break
done
kill -0 "$redis" 2>/dev/null || { echo "runbook: Redis did not start: $(tail -n 1 "$work/redis.log")" >&2; exit 1; }
export REDIS_URL=redis://127.0.0.1:$port
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost \
    -keyout "$work/tls-key.pem" -out "$work/tls.pem" 2>/dev/null
chmod 600 "$work/tls-key.pem"

cat >"$work/tollgate.yaml" <<YAML
listen: [{address: "127.0.0.1:0", tls: {cert: $work/tls.pem, key: $work/tls-key.pem}}]
control: {listen: "127.0.0.1:0"}
metrics: {token: $METRICS_TOKEN}
auth: [{name: staff, type: jwt, issuer: "http://127.0.0.1:9", jwks: "http://127.0.0.1:9/keys", algorithms: [RS256]}]
upstreams:
  - {name: users, backends: [{url: "http://127.0.0.1:9"}], circuit_breaker: {failure_threshold: 1}, ejection: {failures: 1}}
routes:
  - {path: {prefix: /users}, auth: none, upstreams: users}
YAML
"$binary" check "$work/tollgate.yaml"
"$binary" serve --demo --config "$work/tollgate.yaml" --log json 2>"$work/log" &
node=$!

listening() { sed -n 's/.*"message":"listening",.*"'"$1"'":"\([^"]*\)".*/\1/p' "$work/log"; }
tries=0
until [ -n "$(listening control)" ]; do
    if ! kill -0 "$node" 2>/dev/null || ((++tries > 600)); then
        cat "$work/log" >&2
        exit 1
    fi
    sleep 0.1
done
CONTROL=http://$(listening control)
proxy=https://$(listening proxy)
for _ in 1 2 3; do curl -sk -o "$work/response" "$proxy/users/1"; done

# The commands in order, each block after its heading. The log of this node is a file.
awk '
    /^## / {printf "printf \"\\n== %%s\\n\" \"%s\"\n", substr($0, 4)}
    /^```sh$/ {inside = 1; next}
    /^```$/ {if (inside && !blocks++) print "logs() { grep -iE \"${1:-.}\" \"$LOG\" | tail -n 20; }"; inside = 0}
    inside
' "$page" >"$work/commands"
export CONTROL CONFIG=$work/tollgate.yaml LOG=$work/log
PATH=$(dirname "$binary"):$PATH bash -eu "$work/commands" | tee "$work/output"
# `metrics` of the page succeeds without a series too, so that of the requests above must be there.
if ! grep -q '^tollgate_requests_total{.*result="failed"} [1-9]' "$work/output"; then
    echo "runbook: the commands show none of the requests that failed" >&2
    exit 1
fi
printf '\nrunbook: the commands of %d sections succeeded\n' "$(grep -c '^## Tollgate' "$page")"
