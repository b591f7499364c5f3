#!/usr/bin/env bash
# Prints the section of a version in CHANGELOG.md. Fails if the version is not that of Cargo.toml or has no section.
#
#   scripts/changelog.sh VERSION
set -euo pipefail
cd "$(dirname "$0")/.."
version=${1:?usage: changelog.sh VERSION}

built=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
if [ "$built" != "$version" ]; then
    echo "changelog: the version of Cargo.toml is $built, not $version" >&2
    exit 1
fi
section=$(awk -v heading="## [$version]" 'index($0, heading) == 1 {inside = 1; next} /^## / {inside = 0} inside' CHANGELOG.md)
if [ -z "${section//[[:space:]]/}" ]; then
    echo "changelog: CHANGELOG.md has no section ## [$version]" >&2
    exit 1
fi
printf '%s\n' "$section"
