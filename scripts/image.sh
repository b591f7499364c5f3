#!/usr/bin/env bash
# Builds the last stage of the Dockerfile without a container engine, around a built binary, and starts it from its file system as its
# user, with its variables and its command. Its base is a minimal Debian with the libraries of the distroless image, because a
# registry may be out of reach. Prints the size. Needs root, for chroot.
#
#   scripts/image.sh [BINARY]   the binary, beside which `api` is; target/release/tollgate without it
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || exec sudo -n --preserve-env=CARGO_TARGET_DIR scripts/image.sh "$@"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
binary=$(realpath -m "${1:-$target/release/tollgate}")
base=$target/packages/image-base.tar
readonly NAME=localhost/tollgate:checked
work=$(mktemp -d)
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
storage=(--root "$work/storage" --runroot "$work/run")
container='' node=''
end() {
    [ -z "$node" ] || kill -KILL "$node" 2>/dev/null || true
    [ -z "$container" ] || buildah "${storage[@]}" umount "$container" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT
fail() {
    printf 'image: %s\n' "$*" >&2
    exit 1
}

for program in "$binary" "${binary%/*}/api"; do
    [ -x "$program" ] || fail "$program is missing: run  cargo build --locked --release --package tollgate --package api"
done

mkdir -p "$target/packages" "$work/context/target/release" "$work/context/empty"
[ -s "$base" ] || mmdebstrap --quiet --variant=extract --include=libc6,libgcc-s1,ca-certificates,tzdata,base-files bookworm "$base"
cp "$base" "$work/context/base.tar"
install -m 755 "$binary" "$work/context/target/release/tollgate"
install -m 755 "${binary%/*}/api" "$work/context/target/release/api"
# The last stage on the other base: what it copies from the stage `build` is in the context.
{
    printf 'FROM scratch\nADD base.tar /\n'
    sed '1,/^FROM .* AS runtime$/d' Dockerfile | sed -e 's|--from=build ||' -e 's|/src/target/release|target/release|g' -e 's|65532:65532 /empty|65532:65532 empty|'
} >"$work/context/Dockerfile"
buildah "${storage[@]}" build --quiet --tag "$NAME" "$work/context" >/dev/null
container=$(buildah "${storage[@]}" from "$NAME")
root=$(buildah "${storage[@]}" mount "$container")
config() { buildah "${storage[@]}" inspect --type image --format "$1" "$NAME"; }

user=$(config '{{.OCIv1.Config.User}}')
[ "$user" = 65532:65532 ] || fail "the image runs as $user"
[ "$(stat -c %u:%g "$root/var/lib/tollgate")" = "$user" ] || fail "the data folder belongs to another user"
mapfile -t variables < <(config '{{range .OCIv1.Config.Env}}{{println .}}{{end}}' | sed '/^$/d')
mapfile -t command < <(config '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}{{range .OCIv1.Config.Cmd}}{{println .}}{{end}}' | sed '/^$/d')
mknod -m 666 "$root/dev/null" c 1 3 2>/dev/null || true
mknod -m 666 "$root/dev/urandom" c 1 9 2>/dev/null || true
chroot --userspec="$user" "$root" /usr/local/bin/api --help >/dev/null || fail "the image has no \`api\` that starts"
touch "$work/log"
# The listeners of the image have fixed ports, which may be in use here.
(exec env -i "${variables[@]}" TOLLGATE_LISTEN=127.0.0.1:0 TOLLGATE_CONTROL__LISTEN=127.0.0.1:0 \
    chroot --userspec="$user" "$root" "${command[@]}" 2>"$work/log" >/dev/null) &
node=$! tries=0
until grep -q '"message":"listening"' "$work/log"; do
    if ! kill -0 "$node" 2>/dev/null || ((++tries > 600)); then
        fail "the image does not start: $(cat "$work/log")"
    fi
    sleep 0.1
done
control=http://$(sed -n 's/.*"message":"listening",.*"control":"\([^"]*\)".*/\1/p' "$work/log")
curl -fsS "$control/readyz" >/dev/null || fail "the image is not ready"
[ "$(awk '/^Uid:/ {print $2}' "/proc/$node/status")" = 65532 ] || fail "the image runs as another user"
kill -TERM "$node"
wait "$node" || fail "the image does not stop cleanly: $(tail -n 3 "$work/log")"
node=
printf 'image: started as %s and stopped; %s on disk, of which the binary %s\n' "$user" "$(du -sh "$root" | cut -f 1)" \
    "$(du -sh "$root/usr/local/bin/tollgate" | cut -f 1)"
