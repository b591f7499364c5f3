#!/usr/bin/env bash
# Runs Debian's OpenSMTPD, which setup.sh unpacked, in the foreground. It needs root: the users and folders of the package exist only in
# a mount namespace of its own, so the machine is not changed.
#
#   serve.sh SMTPD FOLDER PORT NEXT_PORT   takes mails at 127.0.0.1:PORT, and passes them to 127.0.0.1:NEXT_PORT
set -euo pipefail
smtpd=$1 folder=$2 port=$3 next=$4

cp /etc/passwd /etc/group "$folder/"
for name in opensmtpd:64001 opensmtpq:64002; do
    user=${name%:*} id=${name#*:}
    printf '%s:x:%s:%s::/var/lib/opensmtpd/empty:/bin/false\n' "$user" "$id" "$id" >>"$folder/passwd"
    printf '%s:x:%s:\n' "$user" "$id" >>"$folder/group"
done
cat >"$folder/smtpd.conf" <<CONF
listen on 127.0.0.1 port $port hostname localhost
action "next" relay host "smtp://127.0.0.1:$next"
match from any for any action "next"
CONF
chmod 644 "$folder/smtpd.conf"
# The single quotes are meant: the inner shell expands its arguments.
# shellcheck disable=SC2016
exec unshare --mount --propagation private sh -euc '
    mount --bind "$2/passwd" /etc/passwd
    mount --bind "$2/group" /etc/group
    for folder in /var/spool /var/lib /run; do mount -t tmpfs none "$folder"; done
    mkdir -m 711 /var/spool/smtpd
    mkdir -p /var/lib/opensmtpd/empty
    exec "$1" -d -f "$2/smtpd.conf"' sh "$smtpd" "$folder"
