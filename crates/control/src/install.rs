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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agent {
    /// Codex CLI.
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
    ];
    // Line by line, so that what is put in is not looked at again.
    let common = COMMON.lines().map(|line| match settings.iter().find(|(setting, _)| *setting == line) {
        Some((setting, text)) => format!("{}={}\n", setting.split('=').next().unwrap_or_default(), shell(text)),
        None => format!("{line}\n"),
    });
    Some(common.chain([agent.part().to_owned(), MAIN.to_owned()]).collect())
}

/// Where people reach the proxy: as configured, else where it listens.
fn proxy(snapshot: &Snapshot) -> String {
    if let Some(url) = &snapshot.public_url.proxy {
        return url.clone();
    }
    let mut address = snapshot.listen.first().copied().unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)));
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
