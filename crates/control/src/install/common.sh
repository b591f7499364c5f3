#!/bin/sh
# Points a coding agent on this machine at a gateway. Nothing here is secret: it asks for your key, or reads the variable
# that `variable` names below.
#
#   curl -fsSL 'CONTROL/install.sh?agent=AGENT' | sh                  installs; running it again changes nothing
#   curl -fsSL 'CONTROL/install.sh?agent=AGENT' | sh -s -- --undo     takes back what it changed
#
# It writes your key to `key_file` below, which nobody else can read, and changes the agent's own configuration, of which it
# keeps a copy beside it (….NAME-backup-TIME).
set -eu

# What it is called, where it is, and the same two as text in quotes, as TOML and JSON write it.
name=@NAME@
base=@BASE@
# shellcheck disable=SC2034  # each agent's part takes what it needs
name_quoted=@NAME_QUOTED@
# shellcheck disable=SC2034
base_quoted=@BASE_QUOTED@
# What keys begin with.
prefix=@PREFIX@
# The name in file names and settings, and the variable with the key.
slug=@SLUG@
variable=@VARIABLE@

key_file=$HOME/.config/$slug/key
begin="# >>> $slug >>>"
end="# <<< $slug <<<"
key=
work=
# Whether what is typed is not shown.
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

# Puts a key into $key: that of the variable, or what is typed.
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
    *[!a-z0-9_]* | *_*_* | _*) fail "this is no key: $form" ;;
    *_*) ;;
    *) fail "this is no key: $form" ;;
    esac
    digits=${key#*_}
    case $digits in
    *[!0-9a-f]*) fail "this is no key: $form" ;;
    esac
    if [ "${#digits}" -ne 32 ]; then fail "this is no key: $form"; fi
}

# Asks the gateway for its models with $key, and says what is wrong. The key is in no command line, where others could see it.
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
    403) fail "$base does not let this key in: its user is suspended, or it is bound to other addresses" ;;
    404) fail "$base has no models: is it the right address?" ;;
    429) fail "$base has been asked too often: wait a minute, and try again" ;;
    000 | '') fail "$base cannot be reached from here" ;;
    *) fail "$base answers $status: try again later" ;;
    esac
}

# Whether FILE has something of ours.
is_ours() { grep -qxF "$begin" "$1" || grep -qF ".config/$slug/key" "$1"; }

# save FILE NEW: FILE becomes what NEW holds. What it was without us is kept beside it.
save() {
    if [ -e "$1" ] && cmp -s "$1" "$2"; then return 0; fi
    mkdir -p "$(dirname "$1")"
    if [ -e "$1" ]; then
        if ! is_ours "$1"; then
            copy=$1.$slug-backup-$(date +%Y%m%d%H%M%S)
            while [ -e "$copy" ]; do copy=$copy.1; done
            cp -p "$1" "$copy"
        fi
        # As one step, and with its owner and rights as they were; a link stays a link.
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

# The last copy that save has kept of FILE; nothing without one.
backup_of() {
    last=
    for copy in "$1.$slug"-backup-*; do
        if [ -e "$copy" ]; then last=$copy; fi
    done
    printf '%s' "$last"
}

# FILE without the lines between our marks.
without_marks() {
    if [ -e "$1" ]; then awk -v begin="$begin" -v end="$end" '$0 == begin { skip = 1 } !skip { print } $0 == end { skip = 0 }' "$1"; fi
}

write_key() {
    (umask 077 && mkdir -p "$(dirname "$key_file")" && printf '%s\n' "$key" >"$key_file.new")
    mv -f "$key_file.new" "$key_file"
    say "  $key_file"
}

# Lets shells know the key.
write_profiles() {
    for profile in .profile .bash_profile .bashrc .zprofile .zshrc; do
        file=$HOME/$profile
        if [ "$profile" != .profile ] && [ ! -e "$file" ]; then continue; fi
        without_marks "$file" >"$work/profile"
        # shellcheck disable=SC2016  # the shell that reads it finds out
        {
            printf '%s\n' "$begin"
            printf 'if [ -r "$HOME/.config/%s/key" ]; then %s=$(cat "$HOME/.config/%s/key"); export %s; fi\n' \
                "$slug" "$variable" "$slug" "$variable"
            printf '%s\n' "$end"
        } >>"$work/profile"
        save "$file" "$work/profile"
    done
}

# Takes FILE back to what it was without us, which NEW holds: byte by byte where nobody else has changed it since.
take_back() {
    kept=$(backup_of "$1")
    if [ -n "$kept" ] && awk 1 "$kept" | cmp -s - "$2"; then cp "$kept" "$2"; fi
    if [ -s "$2" ] || [ -n "$kept" ]; then save "$1" "$2"; else
        rm -f "$1"
        say "  $1 is gone"
    fi
}

# The key and the lines about it, once no agent uses them any more.
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
