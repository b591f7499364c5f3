//! The script that configures a coding agent to use the proxy: a common part, the agent's part, and quoted settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use config::Snapshot;
use config::snapshot::Process;
use serde_json::Value;

const COMMON: &str = include_str!("install/common.sh");
const CODEX: &str = include_str!("install/codex.sh");
const CLAUDE: &str = include_str!("install/claude.sh");
/// The call of `main` is the last line, so that a truncated script does nothing.
const MAIN: &str = "\nmain \"$@\"\n";

/// The coding agent that a script configures.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Agent {
    /// Codex CLI, which is also the default if a request names no agent.
    #[default]
    Codex,
    /// The Claude Code CLI of Anthropic.
    Claude,
}

impl Agent {
    /// All agents with the names that requests use.
    pub(crate) const ALL: [(&'static str, Self); 2] = [("codex", Self::Codex), ("claude", Self::Claude)];

    /// Finds an agent by its name.
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

/// Returns the script, or `None` if no LLM endpoints are configured.
pub(crate) fn script(agent: Agent, snapshot: &Snapshot) -> Option<String> {
    let base = format!("{}{}", proxy(&snapshot.process), snapshot.traffic.ai.as_ref()?.prefix);
    let name = &snapshot.process.brand.name;
    let settings = [
        ("name=@NAME@", name.clone()),
        ("base=@BASE@", base.clone()),
        ("name_quoted=@NAME_QUOTED@", quoted(name)),
        ("base_quoted=@BASE_QUOTED@", quoted(&base)),
        ("prefix=@PREFIX@", snapshot.process.brand.key_prefix.clone()),
        ("slug=@SLUG@", snapshot.process.brand.slug().to_owned()),
        ("variable=@VARIABLE@", snapshot.process.brand.key_variable()),
    ];
    // Lines are replaced as a whole, so that inserted text is never replaced again.
    let common = COMMON.lines().map(|line| match settings.iter().find(|(setting, _)| *setting == line) {
        Some((setting, text)) => format!("{}={}\n", setting.split('=').next().unwrap_or_default(), shell(text)),
        None => format!("{line}\n"),
    });
    Some(common.chain([agent.part().to_owned(), MAIN.to_owned()]).collect())
}

/// An error as a script: it prints the message and exits with 1. Shells run the body of a failed download, so an error
/// must be a script too.
pub(crate) fn failing(name: &str, message: &str) -> String {
    format!("#!/bin/sh\nprintf '%s\\n' {} >&2\nexit 1\n", shell(&format!("{name}: {message}")))
}

/// The URL of the proxy for users: the configured one, or the listener's address.
pub(crate) fn proxy(process: &Process) -> String {
    if let Some(url) = &process.public_url.proxy {
        return url.clone();
    }
    let mut of_tcp = process.listen.iter().filter_map(|listener| Some((listener.scheme(), listener.address.tcp()?)));
    match (of_tcp.next(), process.listen.first()) {
        (Some((scheme, address)), _) => base_url(scheme, address),
        // The name of a Unix socket.
        (None, Some(listener)) => format!("{}://localhost", listener.scheme()),
        (None, None) => base_url("http", SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
    }
}

/// The origin of the proxy's URL, as browsers write it.
pub(crate) fn proxy_origin(process: &Process) -> String {
    let mut url = proxy(process);
    let authority = url.find("://").map_or(0, |end| end + 3);
    let end = url.get(authority..).and_then(|rest| rest.find('/')).map_or(url.len(), |path| authority + path);
    url.truncate(end);
    url
}

fn base_url(scheme: &str, mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        // The listener accepts on all addresses. Loopback always works on this machine.
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    format!("{scheme}://{address}")
}

/// Quotes a text for JSON and TOML, in double quotes.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Quotes any text as one word of a shell.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
