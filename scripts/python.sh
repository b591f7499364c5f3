#!/usr/bin/env bash
# Builds the wheel of python/ into target/packages, and tests it in a fresh environment.
#
#   scripts/python.sh [BINARY KEPT]   the binary and a folder with export.zip and receipt.zip, which two tests of e2e keep
#                                     (TOLLGATE_TEST_KEPT); without them, the wheel is built and not tested
#
# LOCKED=--locked refuses a change of python/Cargo.lock. PYTHON_PROFILE=dev builds faster.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target/tools/python-wheel/bin
out=$target/packages
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A wheel of an earlier version would be installed in place of this one.
mkdir -p "$out"
rm -f "$out"/tollgate-*.whl
# shellcheck disable=SC2086 # LOCKED is empty or one word.
PATH=$tools:$PATH "$tools/maturin" build ${LOCKED:-} --profile "${PYTHON_PROFILE:-release}" --manifest-path python/Cargo.toml \
    --target-dir "$target/python" --out "$out" --interpreter "$tools/python"
[ $# -gt 0 ] || exit 0

TOLLGATE_BINARY=$(realpath "$1") TOLLGATE_TEST_KEPT=$(realpath "$2")
export TOLLGATE_BINARY TOLLGATE_TEST_KEPT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps "$out"/tollgate-*.whl
site=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')

# The tests import the installed package, not the folder python/tollgate.
cp -r python/tests python/examples "$work/"
cd "$work"
"$work/venv/bin/python" -W error -m unittest discover --start-directory tests
"$work/venv/bin/python" -W error examples/costs.py "$TOLLGATE_TEST_KEPT/receipt.zip" >/dev/null
"$tools/mypy" --strict --cache-dir "$work/cache" --python-executable "$work/venv/bin/python" tests examples
PYTHONPATH=$site "$tools/python" -m mypy.stubtest tollgate
echo "python: $(basename "$out"/tollgate-*.whl) is in $out"
