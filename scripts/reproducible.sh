#!/usr/bin/env bash
# Builds the last commit twice, in two new folders, and compares the bytes of the pages of the dashboard, the binary, the archive, the
# Debian package and, with cargo-cyclonedx, the SBOM. If they differ, target/reproducible keeps both results.
#
#   scripts/reproducible.sh [PROFILE]   the profile of Cargo: release (the packages; without it), or local (of `make install`)
#
# With cargo-auditable the builds are auditable. PAGES=FOLDER takes built pages (dashboard/out) in place of building them.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
profile=${1:-release}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$target/reproducible
# The same PATH as in the Makefile: both folders are built with the Node that setup.sh installs for this one.
export PATH=$target/tools/bin:$PATH:$HOME/.cargo/bin
unset CARGO_TARGET_DIR VERSION
commit=$(git rev-parse --short HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct "$commit")
export SOURCE_DATE_EPOCH
# The names differ in length too: some differences of paths would otherwise not show.
readonly NAMES=(first a-second-folder-with-a-longer-name)

auditable=() kind=''
if cargo auditable --version >/dev/null 2>&1; then auditable=(auditable) kind=', auditable'; fi
pages=${PAGES:+$(realpath "$PAGES")}

remove() {
    local name
    cd "$root"
    for name in "${NAMES[@]}"; do
        [ ! -d "$work/$name" ] || git worktree remove --force "$work/$name" || rm -rf "${work:?}/$name"
    done
}
trap remove EXIT

# build NAME: builds everything in the folder NAME, and moves the results to NAME.built.
build() {
    local folder=$work/$1 built=$work/$1.built
    git worktree add --quiet --force --detach "$folder" "$commit"
    cd "$folder"
    if [ -n "$pages" ]; then
        cp -r "$pages" dashboard/out
    else
        # Links are as good as copies: the build changes no package.
        cp -al "$root/dashboard/node_modules" dashboard/ 2>/dev/null ||
            cp -a "$root/dashboard/node_modules" dashboard/
        scripts/dashboard.sh build >/dev/null
    fi
    scripts/anywhere.sh cargo "${auditable[@]}" build --quiet --locked --profile "$profile" --package tollgate
    scripts/package.sh "target/$profile/tollgate" >/dev/null
    if cargo cyclonedx --version >/dev/null 2>&1; then scripts/sbom.sh >/dev/null; fi
    if grep -qaF "$folder" "target/$profile/tollgate"; then
        echo "reproducible: the binary contains the name of the folder in which it was built" >&2
        strings "target/$profile/tollgate" | grep -F "$folder" | sort -u | head -n 20 >&2
    fi
    mkdir -p "$built"
    mv "target/$profile/tollgate" dashboard/out "$built/"
    mv target/packages/tollgate* "$built/"
    cd "$root"
    git worktree remove --force "$folder"
}

remove
rm -rf "$work"
[ -n "$pages" ] || CARGO_TARGET_DIR=$target scripts/setup.sh dashboard
for name in "${NAMES[@]}"; do
    printf 'reproducible: %s, a build in %s\n' "$(date -u +%T)" "$name"
    build "$name"
done

sums() { (cd "$work/$1.built" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum); }
if ! diff <(sums "${NAMES[0]}") <(sums "${NAMES[1]}"); then
    echo "reproducible: these files differ; compare $work/*.built" >&2
    exit 1
fi
(cd "$work/${NAMES[0]}.built" && sha256sum tollgate*)
printf 'reproducible: two builds of %s with the profile %s%s are the same bytes\n' "$commit" "$profile" \
    "$kind"
rm -rf "$work"
