
# ---- Codex CLI: an additional provider in config.toml ----------------------------------------------------------------

config=${CODEX_HOME:-$HOME/.codex}/config.toml
claude_settings=${CLAUDE_CONFIG_DIR:-$HOME/.claude}/settings.json
was="#$slug-was# "

# The file without the script's changes: added lines are removed, and disabled lines are restored.
restored() {
    without_marks "$config" | sed "s/^$was//"
}

# Disables the settings on stdin that another provider or an earlier table of this script defines.
set_aside() {
    awk -v was="$was" -v table="^[ \\t]*[[]+[ \\t]*model_providers[ \\t]*[.][ \\t]*\"?$slug\"?[ \\t]*[].]" '
        function quotes(text, mark) { return gsub(mark, "", text) }
        !inside && /^[ \t]*\[/ { ours = ($0 ~ table); top = 1 }
        !inside && (ours || !top && /^[ \t]*model_provider[ \t]*=/) { print was $0; next }
        { print }
        # A multi-line string may contain anything.
        !/^[ \t]*#/ { if ((quotes($0, "\"\"\"") + quotes($0, "'"'''"'")) % 2) inside = !inside }
    '
}

install() {
    restored >"$work/before"
    if grep -Eq "^[[:space:]]*model_providers[[:space:]]*(=|\.[[:space:]]*\"?$slug\"?[[:space:]]*[.=])" "$work/before"; then
        fail "$config sets model_providers in a form that this script does not change: add the provider by hand"
    fi
    {
        printf '%s\nmodel_provider = "%s"\n%s\n' "$begin" "$slug" "$end"
        set_aside <"$work/before"
        printf '%s\n\n[model_providers.%s]\nname = %s\nbase_url = "%s"\n' "$begin" "$slug" "$name_quoted" "$base/v1"
        printf 'env_key = "%s"\nwire_api = "responses"\n%s\n' "$variable" "$end"
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
    if [ ! -e "$claude_settings" ] || ! grep -qF ".config/$slug/key" "$claude_settings"; then forget_key; fi
}
