//! One-time links, as people open them.

use std::net::SocketAddr;
use std::time::Duration;

use access::ticket::{Kind, Ticket, TicketError};
use access::{Clock, Secret, TicketHash, Timestamp};
use config::Snapshot;
use store::{Actor, NewLink, Purpose, Store, StoreError};

/// How long a link of a command, or of the start, opens something.
const LIVES: Duration = Duration::from_secs(86_400);
/// The same for people.
pub(crate) const LIVES_FOR: &str = "24 hours";

/// A link that nobody knows of yet.
pub(crate) struct Drawn {
    ticket: Ticket,
    /// From this moment on it opens nothing.
    pub(crate) expires_at: Timestamp,
}

impl Drawn {
    pub(crate) fn new() -> Result<Self, TicketError> {
        let expires_at = Clock::system().now().after(LIVES);
        Ok(Self { ticket: Ticket::generate(Kind::Link)?, expires_at })
    }

    /// What the store keeps of it.
    pub(crate) fn hash(&self) -> TicketHash {
        self.ticket.hash()
    }

    /// What is opened, on the control API that listens on `control`. The token stands behind `#`: a browser sends it to nobody,
    /// so that it is in no log.
    pub(crate) fn url(&self, snapshot: &Snapshot, control: SocketAddr) -> Secret {
        let base = match &snapshot.public_url.control {
            Some(base) => base.clone(),
            None if control.ip().is_unspecified() => format!("http://localhost:{}", control.port()),
            None => format!("http://{control}"),
        };
        Secret::new(format!("{base}/link#{}", self.ticket.expose()))
    }
}

/// A link to become the first admin, while there is none; those of earlier starts open nothing any more.
pub(crate) async fn to_become_the_first_admin(
    store: &Store,
    snapshot: &Snapshot,
    control: SocketAddr,
) -> Result<Option<Secret>, FirstAdmin> {
    if store.has_admin().await? {
        return Ok(None);
    }
    let drawn = Drawn::new()?;
    let new = NewLink { purpose: Purpose::FirstAdmin, hash: drawn.hash(), expires_at: drawn.expires_at };
    match store.make_link(&Actor::SYSTEM, new).await {
        Ok(_) => Ok(Some(drawn.url(snapshot, control))),
        // Made meanwhile, by another server or a command.
        Err(StoreError::AdminExists) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Why there is no link for a first admin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FirstAdmin {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ticket(#[from] TicketError),
}
