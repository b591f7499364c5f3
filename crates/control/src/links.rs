//! One-time links as admins hand them out: `CONTROL_URL/link#TOKEN`.

use std::time::Duration;

use access::{Ticket, TicketHash, Timestamp, ticket};
use serde::Serialize;
use store::Link;
use utoipa::ToSchema;

use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::state::App;

/// How long an invitation can be used.
pub(crate) const INVITE_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long a link to choose a password can be used.
pub(crate) const PASSWORD_FOR: Duration = Duration::from_secs(24 * 3_600);

/// A link to choose a password, shown this once.
#[derive(Serialize, ToSchema)]
pub(crate) struct PasswordLink {
    /// To be given to the user, by whom no other reads along.
    url: String,
    /// From then on it opens nothing.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl PasswordLink {
    pub(crate) fn of(url: String, made: &Link) -> Self {
        Self { url, expires_at: rfc3339(made.expires_at) }
    }
}

/// The secret of a link that is being made.
pub(crate) struct NewTicket {
    ticket: Ticket,
    expires_at: Timestamp,
}

impl NewTicket {
    /// # Errors
    /// `internal` without randomness.
    pub(crate) fn of(app: &App, lasts: Duration) -> Result<Self, Problem> {
        let ticket = Ticket::generate(ticket::Kind::Link).map_err(Problem::fault)?;
        Ok(Self { ticket, expires_at: app.clock.now().after(lasts) })
    }

    /// What the store keeps of it.
    pub(crate) fn kept(&self) -> (TicketHash, Timestamp) {
        (self.ticket.hash(), self.expires_at)
    }

    /// Where the link leads. The token stands in the fragment, which no browser sends and no log has.
    pub(crate) fn url(&self, app: &App) -> String {
        format!("{}/link#{}", control_url(app), self.ticket.expose())
    }
}

/// As it is configured, else where control listens; never what a caller's `Host` says.
fn control_url(app: &App) -> String {
    let config = app.live.load();
    if let Some(url) = &config.public_url.control {
        return url.clone();
    }
    let listen = config.control.listen;
    if listen.ip().is_unspecified() {
        format!("http://localhost:{}", listen.port())
    } else {
        format!("http://{listen}")
    }
}
