#!/usr/bin/env bash
# Lints the Dockerfile (hadolint), the workflows (actionlint, zizmor) and the scripts (shellcheck).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools/python-packages/bin
for tool in "$bin/hadolint" "$bin/actionlint" "$bin/zizmor" shellcheck; do
    command -v "$tool" >/dev/null || { echo "lint: ${tool##*/} is missing: run  scripts/setup.sh packages" >&2; exit 1; }
done

"$bin/hadolint" Dockerfile
"$bin/actionlint" .github/workflows/*.yml
# Offline: audits that ask GitHub do not run.
"$bin/zizmor" --offline --no-progress --quiet .github/workflows
shellcheck .ci/run scripts/*.sh scripts/step scripts/pre-commit bench/setup.sh
echo "lint: no finding"
