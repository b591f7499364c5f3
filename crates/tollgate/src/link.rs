//! One-time links to control pages.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use access::credentials::ticket::{Ticket, TicketError, TicketKind};
use access::{Clock, Secret, TicketHash, Timestamp};
use config::LoadedConfig;
use config::snapshot::Process;
use store::{Actor, LinkError, NewLink, Purpose, Store};
use tls::ListenAddress;

use crate::cli::Place;
use crate::lock::Lock;
use crate::upgrade::request::ServingProcess;

/// The setting with the address of the admin API.
const LISTEN: &str = "control.listen";
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

    /// Returns the URL of the link on the admin API that listens on `control`. The token follows a `#`: browsers do
    /// not send this part, so that no log contains it.
    pub(crate) fn url(&self, process: &Process, control: &ListenAddress) -> Secret {
        Secret::new(format!("{}/link#{}", process.control_url(control), self.ticket.expose()))
    }
}

/// Returns the address of the admin API for a link: the one of the running server, if no source sets `control.listen`.
pub(crate) fn control_of(loaded: &LoadedConfig) -> ListenAddress {
    let process = &loaded.snapshot.process;
    let is_set = loaded.settings().iter().any(|of| of.key == LISTEN && of.from.kind() != "default");
    let running = if is_set { None } else { running_control(&process.data) };
    running.unwrap_or_else(|| process.control.listen.clone())
}

/// Returns the address of the admin API of the server that runs on a data folder, which its lock names.
fn running_control(data: &Path) -> Option<ListenAddress> {
    let serving = ServingProcess::read(data)?;
    let holder = Lock::holder(data, serving.slot)?;
    holder.rsplit_once("control ")?.1.trim_end_matches(')').parse().ok()
}

/// Returns the command that prints a link for the server on `control`, with the flags that name its store.
pub(crate) fn setup_command(place: &Place, control: Option<&ListenAddress>) -> String {
    let address = control.map(|address| format!(" --addr {}", quoted(&address.to_string())));
    format!("{}{}", command_at(place, "tollgate setup-link"), address.unwrap_or_default())
}

/// Adds the flags in `place` to a command, so that it uses the same store as the server. `command` is already quoted
/// for a shell.
pub(crate) fn command_at(place: &Place, command: &str) -> String {
    let Place { config, env_file, data } = place;
    // The shell of the operator may lack a variable of the server.
    let data = data.clone().or_else(|| std::env::var_os("TOLLGATE_DATA").map(PathBuf::from));
    let files = [("--config", config), ("--env-file", env_file), ("--data", &data)];
    let command =
        command.strip_prefix("tollgate ").map_or_else(|| command.to_owned(), |rest| format!("{} {rest}", program()));
    files.into_iter().fold(command, |command, (flag, file)| match file {
        Some(file) => format!("{command} {flag} {}", quoted(&file.display().to_string())),
        None => command,
    })
}

/// The program, as [`remember_program`] has found it.
static PROGRAM: OnceLock<String> = OnceLock::new();

/// Remembers how the operator started the program, for commands that are printed: `tollgate`, or its path if it may not be
/// in `PATH`.
pub(crate) fn remember_program() {
    let started = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    PROGRAM.get_or_init(|| program_of(&started, std::env::current_dir().ok().as_deref()));
}

fn program() -> &'static str {
    PROGRAM.get().map_or("tollgate", String::as_str)
}

/// Returns the word that starts the program from `folder`.
fn program_of(started: &Path, folder: Option<&Path>) -> String {
    if started.components().count() < 2 {
        return "tollgate".to_owned();
    }
    // The binary `api` only serves.
    let is_api = started.file_name().is_some_and(|name| name == "api");
    let started = &if is_api { started.with_file_name("tollgate") } else { started.to_owned() };
    let below = folder.and_then(|folder| started.strip_prefix(folder).ok());
    let path = below.filter(|path| path.components().count() > 1).unwrap_or(started);
    quoted(&path.display().to_string())
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
    control: &ListenAddress,
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
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_printed_command_starts_the_program_as_the_operator_did() {
        for (started, word) in [
            ("tollgate", "tollgate"),
            ("/srv/gate/target/debug/tollgate", "target/debug/tollgate"),
            ("target/debug/tollgate", "target/debug/tollgate"),
            ("/srv/gate/target/debug/api", "target/debug/tollgate"),
            ("/usr/local/bin/tollgate", "/usr/local/bin/tollgate"),
            ("/srv/gate/tollgate", "/srv/gate/tollgate"),
            ("/my tools/tollgate", "'/my tools/tollgate'"),
        ] {
            assert_eq!(program_of(Path::new(started), Some(Path::new("/srv/gate"))), word, "{started}");
        }
    }

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
        let control = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9)));
        let control = Some(&control);
        assert_eq!(
            setup_command(&place(Some("/etc/gate.yaml"), Some("it's here")), control),
            r"tollgate setup-link --config /etc/gate.yaml --data 'it'\''s here' --addr 127.0.0.1:9"
        );
    }
}
