//! One-time links to control pages.

use std::net::SocketAddr;
use std::time::Duration;

use access::ticket::{Ticket, TicketError, TicketKind};
use access::{Clock, Secret, TicketHash, Timestamp};
use config::snapshot::Process;
use store::{Actor, LinkError, NewLink, Purpose, Store};

use crate::cli::Place;

/// Lifetime of links that commands and the start create.
const LIVES: Duration = Duration::from_secs(86_400);
/// The lifetime as text.
pub(crate) const LIVES_FOR: &str = "24 hours";

/// How the operator creates the first admin.
pub(crate) enum AdminSetup {
    /// By opening this link, which only a terminal shows.
    Link(Secret),
    /// By running this command, which prints a link: other outputs are collected in logs, which more people read.
    Command(String),
}

/// A link that was created, but not stored or shown yet.
pub(crate) struct LinkDraft {
    ticket: Ticket,
    /// Time from which the link is invalid.
    pub(crate) expires_at: Timestamp,
}

impl LinkDraft {
    pub(crate) fn new() -> Result<Self, TicketError> {
        let expires_at = Clock::system().now().after(LIVES);
        Ok(Self { ticket: Ticket::generate(TicketKind::Link)?, expires_at })
    }

    /// Returns the hash that the store keeps.
    pub(crate) fn hash(&self) -> TicketHash {
        self.ticket.hash()
    }

    /// Returns the URL of the link on the control API that listens on `control`. The token follows a `#`: browsers do
    /// not send this part, so that no log contains it.
    pub(crate) fn url(&self, process: &Process, control: SocketAddr) -> Secret {
        Secret::new(format!("{}/link#{}", process.control_url(control), self.ticket.expose()))
    }
}

/// Returns the command that prints a link for the server on `control`, with the flags that name its store.
pub(crate) fn setup_command(place: &Place, control: Option<SocketAddr>) -> String {
    let address = control.map(|address| format!(" --addr {}", quoted(&address.to_string())));
    format!("{}{}", command_at(place, "tollgate setup-link"), address.unwrap_or_default())
}

/// Adds the flags in `place` to a command, so that it uses the same store as the server. `command` is already quoted
/// for a shell.
pub(crate) fn command_at(place: &Place, command: &str) -> String {
    let Place { config, env_file, data } = place;
    let files = [("--config", config), ("--env-file", env_file), ("--data", data)];
    files.into_iter().fold(command.to_owned(), |command, (flag, file)| match file {
        Some(file) => format!("{command} {flag} {}", quoted(&file.display().to_string())),
        None => command,
    })
}

/// Quotes a word for a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+=,[]".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Returns a link to become the first admin, or `None` if an admin exists. Earlier links of this kind become invalid.
pub(crate) async fn to_become_the_first_admin(
    store: &Store,
    process: &Process,
    control: SocketAddr,
) -> Result<Option<Secret>, FirstAdmin> {
    if store.has_admin().await.map_err(LinkError::from)? {
        return Ok(None);
    }
    let drawn = LinkDraft::new()?;
    let new = NewLink { purpose: Purpose::FirstAdmin, hash: drawn.hash(), expires_at: drawn.expires_at };
    match store.make_link(&Actor::SYSTEM, new).await {
        Ok(_) => Ok(Some(drawn.url(process, control))),
        // Another server or a command created an admin meanwhile.
        Err(LinkError::AdminExists(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why a link for the first admin could not be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstAdmin {
    #[error(transparent)]
    Store(#[from] LinkError),
    #[error(transparent)]
    Ticket(#[from] TicketError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setup_command_has_the_flags_of_the_server() {
        let place = |config: Option<&str>, data: Option<&str>| Place {
            config: config.map(Into::into),
            env_file: None,
            data: data.map(Into::into),
        };
        assert_eq!(setup_command(&place(None, None), None), "tollgate setup-link");
        let command = command_at(&place(None, Some("/srv/gate")), "tollgate keys create --user ada@example.com");
        assert_eq!(command, "tollgate keys create --user ada@example.com --data /srv/gate");
        let control = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        assert_eq!(
            setup_command(&place(Some("/etc/gate.yaml"), Some("it's here")), control),
            r"tollgate setup-link --config /etc/gate.yaml --data 'it'\''s here' --addr 127.0.0.1:9"
        );
    }
}
