#!/usr/bin/env bash
# Packs a built release into target/packages: an archive, a Debian package, and their checksums.
#
#   scripts/package.sh [BINARY [PART…]]   the binary, and its parts: archive, debian; without them target/release/tollgate and both
#
# VERSION replaces the version of Cargo.toml. SOURCE_DATE_EPOCH is the time of all files; without it, that of the last commit.
# Two runs with the same binary write the same bytes; scripts/reproducible.sh compares them, and the binaries.
set -euo pipefail
cd "$(dirname "$0")/.."
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
binary=$(realpath -m "${1:-$target/release/tollgate}")
version=${VERSION:-$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
# Lists are sorted alike in each language.
export SOURCE_DATE_EPOCH LC_ALL=C
architecture=$(dpkg --print-architecture)
out=$target/packages
# The oldest glibc on which the packages run: August 2021, as in Ubuntu 22.04, Debian 12 and RHEL 9.
readonly GLIBC=2.34

[ -x "$binary" ] || { echo "package: $binary is missing: run  cargo build --locked --release --package tollgate" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 022
mkdir -p "$out" "$work/man"

needed=$(objdump --dynamic-syms "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
if [ "$(printf '%s\nGLIBC_%s\n' "$needed" "$GLIBC" | sort -V | tail -n 1)" != "GLIBC_$GLIBC" ]; then
    echo "package: $binary needs $needed, and the packages promise glibc $GLIBC: build it on an older system" >&2
    exit 1
fi

"$binary" generate man "$work/man"
for shell in bash zsh fish; do "$binary" generate completions "$shell" >"$work/$shell"; done

# put MODE SOURCE TARGET
put() { install -D -m "$1" "$2" "$3"; }

# The size of a folder as Debian counts it: each file in whole KiB, and 1 KiB for anything else. That of `du` depends on the disk.
kilobytes() {
    find "$1" \( -type f -printf '%s\n' \) -o -printf '1\n' | awk '{sum += int(($1 + 1023) / 1024)} END {print sum}'
}

archive() {
    local name page
    name=tollgate-$version-linux-$(uname -m)
    local into=$work/$name
    put 755 "$binary" "$into/bin/tollgate"
    for page in "$work"/man/*.1; do put 644 "$page" "$into/share/man/man1/${page##*/}"; done
    put 644 "$work/bash" "$into/share/bash-completion/completions/tollgate"
    put 644 "$work/zsh" "$into/share/zsh/site-functions/_tollgate"
    put 644 "$work/fish" "$into/share/fish/vendor_completions.d/tollgate.fish"
    put 644 infrastructure/systemd/tollgate.service "$into/share/systemd/tollgate.service"
    for page in LICENSE README.md CHANGELOG.md; do put 644 "$page" "$into/$page"; done
    tar --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --directory "$work" "$name" |
        gzip --no-name --best >"$out/$name.tar.gz"
    echo "$name.tar.gz"
}

debian() {
    local root=$work/deb page script file=tollgate_${version}_$architecture.deb
    put 755 "$binary" "$root/usr/bin/tollgate"
    for page in "$work"/man/*.1; do
        put 644 "$page" "$root/usr/share/man/man1/${page##*/}"
        gzip --no-name --best "$root/usr/share/man/man1/${page##*/}"
    done
    put 644 "$work/bash" "$root/usr/share/bash-completion/completions/tollgate"
    put 644 "$work/zsh" "$root/usr/share/zsh/vendor-completions/_tollgate"
    put 644 "$work/fish" "$root/usr/share/fish/vendor_completions.d/tollgate.fish"
    put 644 infrastructure/systemd/tollgate.service "$root/usr/lib/systemd/system/tollgate.service"
    put 644 infrastructure/debian/tollgate.yaml "$root/etc/tollgate/tollgate.yaml"
    put 640 infrastructure/debian/environment "$root/etc/tollgate/environment"
    for page in README.md docs/configuration.md docs/runbook.md; do put 644 "$page" "$root/usr/share/doc/tollgate/${page##*/}"; done
    put 644 infrastructure/debian/copyright "$root/usr/share/doc/tollgate/copyright"
    put 644 CHANGELOG.md "$root/usr/share/doc/tollgate/CHANGELOG.md"
    printf 'tollgate (%s) unstable; urgency=medium\n\n  * Release %s: CHANGELOG.md.\n\n -- %s  %s\n' "$version" "$version" \
        "$(sed -n 's/^Maintainer: //p' infrastructure/debian/control.in)" "$(date --utc --date="@$SOURCE_DATE_EPOCH" -R)" \
        >"$root/usr/share/doc/tollgate/changelog"
    gzip --no-name --best "$root/usr/share/doc/tollgate/changelog"
    for script in postinst prerm postrm; do put 755 "infrastructure/debian/$script" "$root/DEBIAN/$script"; done
    printf '/etc/tollgate/tollgate.yaml\n/etc/tollgate/environment\n' >"$root/DEBIAN/conffiles"
    (cd "$root" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
    sed -e "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@GLIBC@/$GLIBC/" \
        -e "s/@SIZE@/$(kilobytes "$root")/" infrastructure/debian/control.in >"$root/DEBIAN/control"
    # The bytes that dpkg-deb writes with xz depend on the number of processors.
    dpkg-deb --build --root-owner-group -Zgzip -z9 "$root" "$out/$file" >/dev/null
    echo "$file"
}

shift || true
[ $# -gt 0 ] || set -- archive debian
files=()
for part in "$@"; do
    case $part in
    archive | debian) files+=("$($part)") ;;
    *)
        echo "usage: package.sh [BINARY [archive|debian…]]" >&2
        exit 2
        ;;
    esac
done
(cd "$out" && sha256sum "${files[@]}" >SHA256SUMS && wc -c "${files[@]}" | sed '/ total$/d')
