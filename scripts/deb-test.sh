#!/usr/bin/env bash
# Installs the Debian package in a minimal Debian of its own folder, starts Tollgate as the unit does, upgrades it with its data and
# changed configuration, removes and purges it. Needs root for chroot, or a sudo that needs no password.
#
#   scripts/deb-test.sh [BINARY]   the binary; target/release/tollgate without it
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" -eq 0 ] || exec sudo -n --preserve-env=CARGO_TARGET_DIR scripts/deb-test.sh "$@"
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
binary=$(realpath -m "${1:-$target/release/tollgate}")
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
base=$target/packages/debian.tar
root=$(mktemp -d)
node=
end() {
    [ -z "$node" ] || kill -KILL "$node" 2>/dev/null || true
    rm -rf "$root"
}
trap end EXIT

say() { printf 'deb: %s\n' "$*"; }
fail() {
    say "$@" >&2
    exit 1
}

scripts/package.sh "$binary" debian >/dev/null
VERSION=$version+next scripts/package.sh "$binary" debian >/dev/null
[ -s "$base" ] || mmdebstrap --quiet --variant=essential --include=adduser,init-system-helpers,curl bookworm "$base"
tar --extract --file "$base" --directory "$root" --exclude './dev/*'
# A device is a file of the machine, which the folder has only while it is mounted; these suffice.
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/urandom" c 1 9
cp "$target"/packages/tollgate_*.deb "$root/tmp"

# exec_inside COMMAND…: replaces this shell by the command, so that its process id is that of the command.
exec_inside() { exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive "$@"; }
inside() { (exec_inside "$@"); }
install_version() { inside dpkg --install "/tmp/tollgate_$1_$(dpkg --print-architecture).deb" >/dev/null; }

# As the unit: its user, its variables, its command. Ports are free ones.
start() {
    local unit=$root/usr/lib/systemd/system/tollgate.service variables command tries=0
    variables=$(sed -n 's/^Environment=//p' "$unit")
    command=$(sed -n 's/^ExecStart=//p' "$unit")
    : >"$root/tmp/log"
    # shellcheck disable=SC2086
    exec_inside setpriv --reuid tollgate --regid tollgate --init-groups --inh-caps=-all --no-new-privs \
        env $variables TOLLGATE_LISTEN=127.0.0.1:0 TOLLGATE_CONTROL__LISTEN=127.0.0.1:0 $command 2>"$root/tmp/log" >/dev/null &
    node=$!
    until grep -q '"message":"listening"' "$root/tmp/log"; do
        if ! kill -0 "$node" 2>/dev/null || ((++tries > 600)); then
            fail "the installed node does not start: $(cat "$root/tmp/log")"
        fi
        sleep 0.1
    done
    control=http://$(sed -n 's/.*"message":"listening",.*"control":"\([^"]*\)".*/\1/p' "$root/tmp/log")
    curl -fsS "$control/readyz" >/dev/null || fail "the installed node is not ready"
}
stop() {
    kill -TERM "$node"
    wait "$node" || fail "the node does not end cleanly: $(tail -n 3 "$root/tmp/log")"
    node=
}
as_service() { inside setpriv --reuid tollgate --regid tollgate --init-groups env TOLLGATE_DATA=/var/lib/tollgate "$@"; }

install_version "$version"
[ "$(stat -c %U:%a "$root/var/lib/tollgate")" = "$(stat -c %U "$root/var/lib/tollgate"):700" ] || fail "the data folder is open to others"
[ "$(inside stat -c %U:%G:%a /etc/tollgate/environment)" = root:tollgate:640 ] || fail "the file of secrets has other permissions"
[ -s "$root/usr/share/man/man1/tollgate-serve.1.gz" ] || fail "the manual pages are missing"
inside bash -c '. /usr/share/bash-completion/completions/tollgate && complete -p tollgate' >/dev/null
# As docs/installation.md has it, with a secret of the unit's file.
printf 'METRICS_TOKEN=secret-of-the-unit\n' >"$root/tmp/environment"
cp "$root/etc/tollgate/tollgate.yaml" "$root/tmp/check.yaml"
# shellcheck disable=SC2016
printf 'metrics: {token: "${METRICS_TOKEN}"}\n' >>"$root/tmp/check.yaml"
inside tollgate check /tmp/check.yaml --env-file /tmp/environment >/dev/null
grep -qx RestartPreventExitStatus=2 "$root/usr/lib/systemd/system/tollgate.service" || fail "a configuration that does not work is started again"
start
[ "$(awk '/^Uid:/ {print $2}' "/proc/$node/status")" = "$(inside id -u tollgate)" ] ||
    fail "the node does not run as its user"
say "$version is installed, and serves as its user"
# As docs/installation.md has it.
link=$(as_service tollgate setup-link --config /etc/tollgate/tollgate.yaml --env-file /etc/tollgate/environment)
[[ $link == *http://127.0.0.1:8787/link#* ]] || fail "tollgate setup-link prints no link of control: $link"
as_service tollgate users create --email ada@example.com --plan pro >/dev/null
stop

printf '\n# Changed by the administrator.\ndrain: {timeout: 20s}\n' >>"$root/etc/tollgate/tollgate.yaml"
rm "$root/etc/tollgate/environment"
install_version "$version+next"
[ ! -e "$root/etc/tollgate/environment" ] || fail "the upgrade brought back a deleted file"
grep -q 'Changed by the administrator' "$root/etc/tollgate/tollgate.yaml" || fail "the upgrade replaced the configuration"
start
as_service tollgate users list | grep -q ada@example.com || fail "the upgrade lost the data"
# In place as root, whose request the user of the node must be able to read.
inside cp /usr/bin/tollgate /opt/tollgate
inside env TOLLGATE_DATA=/var/lib/tollgate tollgate upgrade --config /etc/tollgate/tollgate.yaml --binary /opt/tollgate >/dev/null ||
    fail "root cannot upgrade the node in place: $(tail -n 3 "$root/tmp/log")"
wait "$node" || fail "the replaced node does not end cleanly: $(tail -n 3 "$root/tmp/log")"
read -r node _ <"$root/var/lib/tollgate/server"
[ "/proc/$node/exe" -ef "$root/opt/tollgate" ] || fail "the upgrade in place did not start the named binary"
# The new process is no child of this shell.
kill -TERM "$node"
tries=0
while grep -q '^State:[[:space:]]*[^Z]' "/proc/$node/status" 2>/dev/null; do
    ((++tries < 600)) || fail "the new node does not end: $(tail -n 3 "$root/tmp/log")"
    sleep 0.1
done
node=
say "the upgrade to $version+next kept the configuration and the data"

inside dpkg --remove tollgate >/dev/null
[ -d "$root/var/lib/tollgate" ] || fail "the removal deleted the data"
inside dpkg --purge tollgate >/dev/null 2>&1
for left in /var/lib/tollgate /etc/tollgate /usr/bin/tollgate /usr/lib/systemd/system/tollgate.service; do
    [ ! -e "$root$left" ] || fail "the purge left $left"
done
inside getent passwd tollgate >/dev/null && fail "the purge left the user"
say "the removal kept the data, and the purge left nothing"
rm -f "$target/packages/tollgate_$version+next"_*.deb
