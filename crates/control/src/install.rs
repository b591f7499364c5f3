//! The script that points a coding agent at the proxy: a common part, the agent's own, and what is configured put in, quoted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use config::Snapshot;
use serde_json::Value;

const COMMON: &str = include_str!("install/common.sh");
const CODEX: &str = include_str!("install/codex.sh");
const CLAUDE: &str = include_str!("install/claude.sh");
/// Last, so that a script that arrives in part does nothing.
const MAIN: &str = "\nmain \"$@\"\n";

/// Whose configuration is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Agent {
    /// Codex CLI: whom a script is for that is asked for without an agent.
    #[default]
    Codex,
    /// Claude Code.
    Claude,
}

impl Agent {
    /// All of them, by the name that is asked for.
    pub(crate) const ALL: [(&'static str, Self); 2] = [("codex", Self::Codex), ("claude", Self::Claude)];

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(own, _)| *own == name).map(|(_, agent)| agent)
    }

    const fn part(self) -> &'static str {
        match self {
            Self::Codex => CODEX,
            Self::Claude => CLAUDE,
        }
    }
}

/// The script; `None` where there are no LLM endpoints to point at.
pub(crate) fn script(agent: Agent, snapshot: &Snapshot) -> Option<String> {
    let base = format!("{}{}", proxy(snapshot), snapshot.ai.as_ref()?.prefix);
    let name = &snapshot.brand.name;
    let settings = [
        ("name=@NAME@", name.clone()),
        ("base=@BASE@", base.clone()),
        ("name_quoted=@NAME_QUOTED@", quoted(name)),
        ("base_quoted=@BASE_QUOTED@", quoted(&base)),
        ("prefix=@PREFIX@", snapshot.brand.key_prefix.clone()),
        ("slug=@SLUG@", snapshot.brand.slug().to_owned()),
        ("variable=@VARIABLE@", snapshot.brand.key_variable()),
    ];
    // Line by line, so that what is put in is not looked at again.
    let common = COMMON.lines().map(|line| match settings.iter().find(|(setting, _)| *setting == line) {
        Some((setting, text)) => format!("{}={}\n", setting.split('=').next().unwrap_or_default(), shell(text)),
        None => format!("{line}\n"),
    });
    Some(common.chain([agent.part().to_owned(), MAIN.to_owned()]).collect())
}

/// A script in place of the one that could not be made: it prints why and ends with 1. Shells run what a refused download
/// wrote, so that an error must be a script too.
pub(crate) fn failing(name: &str, message: &str) -> String {
    format!("#!/bin/sh\nprintf '%s\\n' {} >&2\nexit 1\n", shell(&format!("{name}: {message}")))
}

/// Where people reach the proxy: as configured, else where it listens.
pub(crate) fn proxy(snapshot: &Snapshot) -> String {
    if let Some(url) = &snapshot.public_url.proxy {
        return url.clone();
    }
    at(snapshot.listen.first().copied().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))))
}

/// Where people reach control: as configured, else where it listens.
pub(crate) fn control(snapshot: &Snapshot) -> String {
    snapshot.public_url.control.clone().unwrap_or_else(|| at(snapshot.control.listen))
}

fn at(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        // On every address: of those, this one is certain on this machine.
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("http://{address}")
}

/// A text in double quotes, as JSON and TOML both write it.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A text as one word of a shell, whatever it holds.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
