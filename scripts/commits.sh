#!/usr/bin/env bash
# Checks the form of each commit after the one that added this script, except merges: a subject of at most 72 characters, a
# body, and at most 1,500 added lines outside generated files, fixtures, snapshots and lock files. A larger commit needs a line
# `Large-change: REASON` in its body.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly SUBJECT_MAX=72 LINES_MAX=1500
readonly UNCOUNTED=(
    '*.lock' '*package-lock.json' '*.snap' '*.svg' '*/fixtures/*' '*/golden/*'
    .env.example docs/clients.md docs/configuration.md docs/demo.cast docs/openapi.json docs/tollgate.schema.json
    'infrastructure/docker/grafana/dashboards/*.json'
)
# Bash counts characters, not bytes.
export LC_ALL=C.UTF-8

# Of an unpacked archive, the repository around it is not the history.
if [ ! -e .git ] || ! added=$(git log -1 --diff-filter=A --format=%H -- scripts/commits.sh 2>/dev/null) || [ -z "$added" ]; then
    echo "commits: not checked, as the history is missing"
    exit
fi

# The lines that each commit adds. Without --full-history, git leaves out commits of branches that were merged.
declare -A lines=()
while read -r commit count; do lines[$commit]=$count; done < <(
    git log --no-merges --full-history --numstat --format='commit %H' "$added..HEAD" -- . "${UNCOUNTED[@]/#/:!}" |
        awk -F '\t' '/^commit / {commit = substr($0, 8)} NF == 3 {lines[commit] += $1} END {for (commit in lines) print commit, lines[commit]}'
)
wait $!

failed=
fail() {
    printf 'commits: %s: %s\n' "${commit:0:12}" "$*" >&2
    failed=yes
}

checked=0
reason=$'(^|\n)Large-change: [^ \n]'
while IFS=$'\t' read -r -d '' commit subject && read -r -d '' body; do
    checked=$((checked + 1))
    if [ "${#subject}" -gt "$SUBJECT_MAX" ]; then fail "the subject has ${#subject} characters, at most $SUBJECT_MAX are allowed"; fi
    if [ -z "$body" ]; then fail "the body is missing: say why, and how the change was checked"; fi
    if [ "${lines[$commit]:-0}" -gt "$LINES_MAX" ] && ! [[ $body =~ $reason ]]; then
        fail "adds ${lines[$commit]} lines, at most $LINES_MAX are allowed: split it, or add a line  Large-change: REASON"
    fi
done < <(git log --no-merges --format='%H%x09%s%x00%b%x00' "$added..HEAD" | sed -z 's/^\n//')
wait $!
[ -z "$failed" ] || exit 1
if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
    echo "commits: $checked checked; the history is shallow, so older commits are not checked"
else
    echo "commits: $checked checked"
fi
