#!/usr/bin/env bash
# Tests the alerts: each of them fires, and all are silent on a quiet day (promtool test rules).
set -euo pipefail
cd "$(dirname "$0")/.."
readonly RULES=infrastructure/docker/prometheus/rules.yml TESTS=infrastructure/alerts/tests.yml

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The tests name the rules by a path relative to their own folder.
cp "$RULES" "$TESTS" "$work"
promtool check rules "$RULES"
promtool test rules "$work/tests.yml"

# A test that expects nothing would pass too.
sed -n "s/^ *- alert: //p" "$RULES" | while read -r alert; do
    for part in 'exp_alerts: \[\]' 'exp_alerts:$'; do
        grep -A 2 "alertname: $alert\b" "$TESTS" | grep -q "$part" || {
            printf 'alerts: %s has no test in which it %s\n' "$alert" "$([ "$part" = 'exp_alerts:$' ] && echo fires || echo 'is silent')" >&2
            exit 1
        }
    done
done
echo "alerts: $(grep -c ' - alert: ' "$RULES") alerts fire in a test and are silent on a quiet day"
