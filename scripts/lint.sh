#!/usr/bin/env bash
# Lints the Dockerfile (hadolint), the workflows (actionlint, zizmor) and the scripts (shellcheck).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools/python-packages/bin

"$bin/hadolint" Dockerfile
"$bin/actionlint" .github/workflows/*.yml
# Offline: audits that ask GitHub do not run.
"$bin/zizmor" --offline --no-progress --quiet .github/workflows
shellcheck .ci/run scripts/*.sh scripts/step scripts/pre-commit bench/setup.sh
echo "lint: no finding"
