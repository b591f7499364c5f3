//! One-time links that admins give to users: `CONTROL_URL/link#TOKEN`.

use std::time::Duration;

use access::credentials::ticket;
use access::{Ticket, TicketHash, Timestamp};
use serde::Serialize;
use store::Link;
use utoipa::ToSchema;

use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::App;

/// The lifetime of an invitation.
pub(crate) const INVITE_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The lifetime of a link to choose a password.
pub(crate) const PASSWORD_FOR: Duration = Duration::from_secs(24 * 3_600);

/// A one-time link to choose a password. It is shown only in this response.
#[derive(Serialize, ToSchema)]
pub(crate) struct PasswordLink {
    /// The URL. Give it to the user over a confidential channel.
    url: String,
    /// The expiry of the link.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl PasswordLink {
    pub(crate) fn new(url: String, stored: &Link) -> Self {
        Self { url, expires_at: rfc3339(stored.expires_at) }
    }
}

/// The secret of a new link.
pub(crate) struct NewTicket {
    ticket: Ticket,
    expires_at: Timestamp,
}

impl NewTicket {
    /// Creates a secret for a link with this lifetime.
    ///
    /// # Errors
    /// `internal` without randomness.
    pub(crate) fn generate(app: &App, lasts: Duration) -> Result<Self, Problem> {
        let ticket = Ticket::generate(ticket::TicketKind::Link).map_err(Problem::fault)?;
        Ok(Self { ticket, expires_at: app.clock.now().after(lasts) })
    }

    /// The parts of the secret that the store keeps: the hash and the expiry.
    pub(crate) fn hash_and_expiry(&self) -> (TicketHash, Timestamp) {
        (self.ticket.hash(), self.expires_at)
    }

    /// The URL of the link. The token is in the fragment, which browsers do not send and no log contains.
    pub(crate) fn url(&self, app: &App) -> String {
        let config = app.live.load();
        // Never of the client's `Host`.
        let base = config.process.control_url(&config.process.control.listen);
        format!("{base}/link#{}", self.ticket.expose())
    }
}
