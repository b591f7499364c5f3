
# ---- Claude Code: the base URL, a helper that reads the key, and a status line, in settings.json ---------------------------------------

settings=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/settings.json
codex_config=${CODEX_HOME:-$HOME/.codex}/config.toml
helper="cat ~/.config/$slug/key"
status_file=$HOME/.config/$slug/$slug-status
status_line="sh ~/.config/$slug/$slug-status"

# change FILE [BEFORE]: prints FILE with the settings; with BEFORE, the original file, with the settings of BEFORE. Another
# status line stays.
change() {
    if has jq; then
        # shellcheck disable=SC2016  # these are jq's variables
        jq --arg base "$base" --arg helper "$helper" --arg status "$status_line" --slurpfile before "${2:-/dev/null}" '
            def put(place; value): if value == null then del(place) else place = value end;
            $before[0] as $was
            | if $was == null then .env.ANTHROPIC_BASE_URL = $base | .apiKeyHelper = $helper
                | .statusLine //= {type: "command", command: $status}
              else put(.env.ANTHROPIC_BASE_URL; $was.env.ANTHROPIC_BASE_URL) | put(.apiKeyHelper; $was.apiKeyHelper)
                | if .statusLine.command? == $status then put(.statusLine; $was.statusLine) else . end
                | if .env == {} and $was.env == null then del(.env) else . end
              end' "$1"
    else
        BASE=$base HELPER=$helper STATUS=$status_line python3 - "$@" <<'PYTHON'
import json, os, sys

with open(sys.argv[1], encoding="utf-8") as file:
    settings = json.load(file)
before = None
if len(sys.argv) > 2:
    with open(sys.argv[2], encoding="utf-8") as file:
        before = json.load(file)


def put(place, key, value):
    if value is None:
        place.pop(key, None)
    else:
        place[key] = value


env = settings.setdefault("env", {})
if before is None:
    put(env, "ANTHROPIC_BASE_URL", os.environ["BASE"])
    put(settings, "apiKeyHelper", os.environ["HELPER"])
    if settings.get("statusLine") is None:
        settings["statusLine"] = {"type": "command", "command": os.environ["STATUS"]}
else:
    put(env, "ANTHROPIC_BASE_URL", before.get("env", {}).get("ANTHROPIC_BASE_URL"))
    put(settings, "apiKeyHelper", before.get("apiKeyHelper"))
    line = settings.get("statusLine")
    if isinstance(line, dict) and line.get("command") == os.environ["STATUS"]:
        put(settings, "statusLine", before.get("statusLine"))
if not env and "env" not in (before or {}):
    del settings["env"]
json.dump(settings, sys.stdout, indent=2, ensure_ascii=False)
print()
PYTHON
    fi
}

can_change() { has jq || has python3; }

install() {
    if [ -s "$settings" ]; then
        can_change || fail "$settings is there, and neither jq nor python3 to change it with. Add to it by hand:
    \"env\": {\"ANTHROPIC_BASE_URL\": $base_quoted},
    \"apiKeyHelper\": \"$helper\""
        change "$settings" >"$work/settings" 2>/dev/null || : >"$work/settings"
        [ -s "$work/settings" ] || fail "$settings is no JSON object: nothing was changed"
    else
        printf '{\n  "env": {\n    "ANTHROPIC_BASE_URL": %s\n  },\n  "apiKeyHelper": "%s",\n  "statusLine": {\n    "type": "command",\n    "command": "%s"\n  }\n}\n' \
            "$base_quoted" "$helper" "$status_line" >"$work/settings"
    fi
    save "$settings" "$work/settings"
    write_status
}

# Writes the script of the status line: what is left of the quotas of the key, at most 30 seconds old.
write_status() {
    base_word=$(printf '%s' "$base" | sed "s/'/'\\\\''/g")
    {
        printf "#!/bin/sh\nbase='%s'\n" "$base_word"
        cat <<'STATUS'
folder=$(dirname "$0") now=$(date +%s)
read -r at 2>/dev/null <"$folder/status-at" || at=0
if [ $((now - at)) -ge 30 ]; then
    printf '%s\n' "$now" >"$folder/status-at"
    printf 'header = "Authorization: Bearer %s"\nheader = "Accept: text/plain"\n' "$(cat "$folder/key")" |
        curl --config - --silent --fail --max-time 2 "$base/v1/usage" >"$folder/status.new" 2>/dev/null &&
        mv -f "$folder/status.new" "$folder/status"
fi
cat "$folder/status" 2>/dev/null || :
STATUS
    } >"$work/status"
    mkdir -p "$(dirname "$status_file")"
    cp "$work/status" "$status_file"
    say "  $status_file"
}

# Removes the script of the status line, and what it keeps.
forget_status() {
    folder=$(dirname "$status_file")
    rm -f "$status_file" "$folder/status" "$folder/status.new" "$folder/status-at"
}

next() {
    if [ -n "${ANTHROPIC_API_KEY:-}${ANTHROPIC_AUTH_TOKEN:-}" ]; then
        say "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN is set in this shell, and would be used in place of your key: unset it"
    fi
    say "Run:  claude"
}

undo() {
    forget_status
    if [ -e "$settings" ] && grep -qF "$helper" "$settings"; then
        kept=$(backup_of "$settings")
        printf '{}\n' >"$work/empty"
        can_change || fail "neither jq nor python3 is here to change $settings with: copy $kept back by hand"
        change "$settings" "${kept:-$work/empty}" >"$work/settings" 2>/dev/null || fail "$settings is no JSON object: nothing was changed"
        if [ -n "$kept" ] && same "$kept" "$work/settings"; then cp "$kept" "$work/settings"; fi
        if [ -z "$kept" ] && same "$work/empty" "$work/settings"; then
            rm -f "$settings"
            say "  $settings is gone"
        else
            save "$settings" "$work/settings"
        fi
    fi
    if [ ! -e "$codex_config" ] || ! grep -qxF "$begin" "$codex_config"; then forget_key; fi
}

# Whether two files have the same content.
same() {
    if has jq; then
        [ "$(jq -cS . "$1")" = "$(jq -cS . "$2")" ]
    else
        python3 -c 'import json, sys; a, b = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:]); sys.exit(a != b)' "$1" "$2"
    fi
}
