#!/bin/sh
# Configures a coding agent on this machine to use a gateway. The script contains no secret: it asks for your key, or reads
# the variable that `variable` names below.
#
#   curl -fsSL 'CONTROL/install.sh?agent=AGENT' | sh                  installs; running it again changes nothing
#   curl -fsSL 'CONTROL/install.sh?agent=AGENT' | sh -s -- --undo     reverts its changes
#
# It writes your key to `key_file` below, which only you can read, and changes the agent's configuration. A copy of the
# previous configuration stays in the same folder (….NAME-backup-TIME).
set -eu

# The gateway's name and URL, and both as quoted text for TOML and JSON.
name=@NAME@
base=@BASE@
# shellcheck disable=SC2034  # each agent's part uses some of them
name_quoted=@NAME_QUOTED@
# shellcheck disable=SC2034
base_quoted=@BASE_QUOTED@
# The prefix of keys.
prefix=@PREFIX@
# The name in file names and settings, and the variable that contains the key.
slug=@SLUG@
variable=@VARIABLE@

key_file=$HOME/.config/$slug/key
begin="# >>> $slug >>>"
end="# <<< $slug <<<"
key=
work=
# Whether the terminal hides typed text.
hidden=

say() { printf '%s\n' "$*"; }
fail() {
    printf '%s\n' "$name: $*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

clean_up() {
    if [ -n "$work" ]; then rm -rf "$work"; fi
    if [ -n "$hidden" ]; then stty echo </dev/tty; fi
}

# Sets $key from the variable or from the terminal.
ask() {
    eval "key=\${$variable:-}"
    if [ -z "$key" ]; then
        { true </dev/tty; } 2>/dev/null || fail "there is no terminal to ask for a key: set $variable to it"
        printf '%s key (%s_…, it is not shown): ' "$name" "$prefix" >/dev/tty
        hidden=yes
        stty -echo </dev/tty
        IFS= read -r key </dev/tty || :
        stty echo </dev/tty
        hidden=
        printf '\n' >/dev/tty
    fi
    form="one looks like ${prefix}_ and 32 digits of 0-9 and a-f"
    case $key in
    *[!a-z0-9_]* | *_*_* | _*) fail "this is not a key: $form" ;;
    *_*) ;;
    *) fail "this is not a key: $form" ;;
    esac
    digits=${key#*_}
    case $digits in
    *[!0-9a-f]*) fail "this is not a key: $form" ;;
    esac
    if [ "${#digits}" -ne 32 ]; then fail "this is not a key: $form"; fi
}

# Requests the gateway's models with $key, and reports errors. The key is in no command line, where others could see it.
try() {
    status=000
    if has curl; then
        status=$(printf 'header = "Authorization: Bearer %s"\n' "$key" |
            curl --config - --silent --max-time 20 --output /dev/null --write-out '%{http_code}' "$base/v1/models") || :
    elif has wget; then
        printf 'header = Authorization: Bearer %s\n' "$key" >"$work/wgetrc"
        status=$(WGETRC=$work/wgetrc wget --server-response --timeout=20 --tries=1 --output-document=/dev/null \
            "$base/v1/models" 2>&1 | sed -n 's|^ *HTTP/[0-9.]* \([0-9]*\).*|\1|p' | tail -n 1)
    else
        fail "neither curl nor wget is here to try the key with"
    fi
    case $status in
    200) ;;
    401) fail "$base does not know this key: it is mistyped, revoked or expired" ;;
    402) fail "invoices of the user of this key are not paid: sign in, and pay them" ;;
    403) fail "$base does not let this key in: its user is suspended, or it is bound to other addresses" ;;
    404) fail "$base has no models: is it the right address?" ;;
    429) fail "$base has been asked too often: wait a minute, and try again" ;;
    000 | '') fail "$base cannot be reached from here" ;;
    *) fail "$base answers $status: try again later" ;;
    esac
}

# Whether FILE contains changes of this script.
is_ours() { grep -qxF "$begin" "$1" || grep -qF ".config/$slug/key" "$1"; }

# save FILE NEW: replaces FILE by NEW. A copy of the original FILE stays in the same folder.
save() {
    if [ -e "$1" ] && cmp -s "$1" "$2"; then return 0; fi
    mkdir -p "$(dirname "$1")"
    if [ -e "$1" ]; then
        if ! is_ours "$1"; then
            copy=$1.$slug-backup-$(date +%Y%m%d%H%M%S)
            while [ -e "$copy" ]; do copy=$copy.1; done
            cp -p "$1" "$copy"
        fi
        # In one step, with the same owner and permissions; a link remains a link.
        if [ -L "$1" ]; then
            cat "$2" >"$1"
        else
            cp -p "$1" "$1.$slug-new"
            cat "$2" >"$1.$slug-new"
            mv -f "$1.$slug-new" "$1"
        fi
    else
        (umask 077 && cat "$2" >"$1")
    fi
    say "  $1"
}

# Prints the name of the last copy of FILE, or nothing without a copy.
backup_of() {
    last=
    for copy in "$1.$slug"-backup-*; do
        if [ -e "$copy" ]; then last=$copy; fi
    done
    printf '%s' "$last"
}

# Prints FILE without the lines between the script's marks.
without_marks() {
    if [ -e "$1" ]; then awk -v begin="$begin" -v end="$end" '$0 == begin { skip = 1 } !skip { print } $0 == end { skip = 0 }' "$1"; fi
}

write_key() {
    (umask 077 && mkdir -p "$(dirname "$key_file")" && printf '%s\n' "$key" >"$key_file.new")
    mv -f "$key_file.new" "$key_file"
    say "  $key_file"
}

# Adds the key to the profiles of shells.
write_profiles() {
    for profile in .profile .bash_profile .bashrc .zprofile .zshrc; do
        file=$HOME/$profile
        if [ "$profile" != .profile ] && [ ! -e "$file" ]; then continue; fi
        without_marks "$file" >"$work/profile"
        # shellcheck disable=SC2016  # the shell that reads the profile expands it
        {
            printf '%s\n' "$begin"
            printf 'if [ -r "$HOME/.config/%s/key" ]; then %s=$(cat "$HOME/.config/%s/key"); export %s; fi\n' \
                "$slug" "$variable" "$slug" "$variable"
            printf '%s\n' "$end"
        } >>"$work/profile"
        save "$file" "$work/profile"
    done
}

# Restores FILE. NEW is FILE without the script's changes; if nothing else changed FILE, the backup is restored byte for byte.
take_back() {
    kept=$(backup_of "$1")
    if [ -n "$kept" ] && awk 1 "$kept" | cmp -s - "$2"; then cp "$kept" "$2"; fi
    if [ -s "$2" ] || [ -n "$kept" ]; then save "$1" "$2"; else
        rm -f "$1"
        say "  $1 is gone"
    fi
}

# Removes the key and the lines about it, once no agent uses them.
forget_key() {
    for profile in .profile .bash_profile .bashrc .zprofile .zshrc; do
        file=$HOME/$profile
        if [ -e "$file" ] && grep -qxF "$begin" "$file"; then
            without_marks "$file" >"$work/profile"
            take_back "$file" "$work/profile"
        fi
    done
    if [ -e "$key_file" ]; then
        rm -f "$key_file"
        say "  $key_file is gone"
    fi
}

usage() {
    say "usage: sh [-s --] [--undo]"
    exit 2
}

main() {
    trap clean_up EXIT
    trap 'exit 130' INT TERM HUP
    work=$(mktemp -d)
    case ${1:-} in
    '')
        ask
        try
        say "$name is at $base, and knows this key. Written:"
        install
        write_key
        next
        ;;
    --undo)
        say "Taken back:"
        undo
        ;;
    *) usage ;;
    esac
}
