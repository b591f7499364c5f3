#!/usr/bin/env bash
# Tests the alerts: each of them fires, and all are silent on a quiet day (promtool test rules). Checks the queries of the
# dashboards.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly RULES=infrastructure/docker/prometheus/rules.yml SCRAPES=infrastructure/docker/prometheus/prometheus.yml
readonly TESTS=infrastructure/alerts/tests.yml KUBERNETES=docs/kubernetes.md
# The same PATH as in the Makefile.
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools
export PATH=$tools/bin:$PATH
command -v promtool >/dev/null || { echo "alerts: promtool is missing: run  scripts/setup.sh packages" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The tests name the rules by a path relative to their own folder.
cp "$RULES" "$TESTS" "$work"
# The jobs of the page are a part of the file of Prometheus. Debian's promtool does not know the discovery in Kubernetes.
awk '/^```yaml$/ {inside = 1; next} /^```$/ {inside = 0} inside && !/ kubernetes_sd_configs:/' "$KUBERNETES" >"$work/kubernetes.yml"
promtool check config --syntax-only "$SCRAPES" "$work/kubernetes.yml"
promtool check rules "$RULES"
promtool test rules "$work/tests.yml"

# The tests have the labels that Tollgate writes. Without this key, Prometheus renames `job`.
awk '
    function check() { if (jobs && !honors) lacking = lacking " " name }
    /^ *- job_name:/ { check(); jobs++; name = $3; honors = 0 }
    /^ *honor_labels: true/ { honors = 1 }
    END { check(); if (!jobs) lacking = " each"; if (lacking) print "alerts: jobs without honor_labels: true:" lacking; exit lacking != "" }
' "$SCRAPES" "$work/kubernetes.yml" >&2 || exit 1

# A test that expects nothing would pass too.
sed -n "s/^ *- alert: //p" "$RULES" | while read -r alert; do
    for part in 'exp_alerts: \[\]' 'exp_alerts:$'; do
        grep -A 2 "alertname: $alert\b" "$TESTS" | grep -q "$part" || {
            printf 'alerts: %s has no test in which it %s\n' "$alert" "$([ "$part" = 'exp_alerts:$' ] && echo fires || echo 'is silent')" >&2
            exit 1
        }
    done
done
# A dashboard's query as a rule, with values in place of Grafana's variables.
printf 'groups:\n- name: dashboards\n  rules:\n' >"$work/dashboards.yml"
grep -h '"expr"' infrastructure/docker/grafana/dashboards/*.json |
    sed -e 's/[$]__rate_interval/5m/g' -e 's/[$]__range/1h/g' -e 's/^ *"expr": \(.*\),$/  - {record: panel, expr: \1}/' >>"$work/dashboards.yml"
promtool check rules --lint=none "$work/dashboards.yml"

echo "alerts: $(grep -c ' - alert: ' "$RULES") alerts fire in a test and are silent on a quiet day"
