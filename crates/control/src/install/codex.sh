
# ---- Codex CLI: a provider of its own in config.toml ----------------------------------------------------------------

config=${CODEX_HOME:-$HOME/.codex}/config.toml
claude_settings=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/settings.json
was='#tollgate-was# '

# The file without us: our lines are gone, and those that we set aside are back.
restored() {
    without_marks "$config" | sed "s/^$was//"
}

# A text on stdin, with what another provider's name or an earlier table of ours would say set aside.
set_aside() {
    awk -v was="$was" '
        function quotes(text, mark) { return gsub(mark, "", text) }
        !inside && /^[ \t]*\[/ { ours = /^[ \t]*\[+[ \t]*model_providers[ \t]*\.[ \t]*"?tollgate"?[ \t]*[].]/; top = 1 }
        !inside && (ours || !top && /^[ \t]*model_provider[ \t]*=/) { print was $0; next }
        { print }
        # A text of several lines may hold anything.
        !/^[ \t]*#/ { if ((quotes($0, "\"\"\"") + quotes($0, "'"'''"'")) % 2) inside = !inside }
    '
}

install() {
    restored >"$work/before"
    if grep -Eq '^[[:space:]]*model_providers[[:space:]]*(=|\.[[:space:]]*"?tollgate"?[[:space:]]*[.=])' "$work/before"; then
        fail "$config sets model_providers in a form that this script does not change: add the provider by hand"
    fi
    {
        printf '%s\n%s\n%s\n' "$begin" 'model_provider = "tollgate"' "$end"
        set_aside <"$work/before"
        printf '%s\n\n[model_providers.tollgate]\nname = %s\nbase_url = "%s"\n' "$begin" "$name_quoted" "$base/v1"
        printf 'env_key = "TOLLGATE_KEY"\nwire_api = "responses"\n%s\n' "$end"
    } >"$work/config"
    save "$config" "$work/config"
    write_profiles
}

next() { say "Open a new terminal, or run:  . ~/.profile  and then:  codex"; }

undo() {
    if [ -e "$config" ] && grep -qxF "$begin" "$config"; then
        restored >"$work/config"
        take_back "$config" "$work/config"
    fi
    if [ ! -e "$claude_settings" ] || ! grep -qF .config/tollgate/key "$claude_settings"; then forget_key; fi
}
