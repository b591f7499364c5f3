#!/usr/bin/env bash
# Installs the pre-commit hook of this repository. It does not replace another hook.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(git rev-parse --git-path hooks)
hook=$folder/pre-commit
if [ -e "$hook" ] && ! cmp -s scripts/pre-commit "$hook" && ! grep -q 'Tollgate pre-commit' "$hook"; then
    echo "hooks: $hook is another hook and was not replaced: call scripts/pre-commit from it" >&2
    exit 1
fi
mkdir -p "$folder"
install -m 755 scripts/pre-commit "$hook"
echo "hooks: $hook runs make quick before each commit (git commit --no-verify skips it)"
