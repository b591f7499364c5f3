//! The cookie of a browser in which a user has signed in with a password before: attempts of others do not count for it.

use std::time::Duration;

use access::token::{Claims, Signer};
use access::{Ids, Secret, SessionId, TokenId, UserId};
use http::HeaderMap;

use crate::cookies::Cookies;
use crate::problem::Problem;
use crate::state::App;

/// The lifetime of the cookie; each sign-in with a password renews it.
const KNOWN_FOR: Duration = Duration::from_secs(180 * 86_400);

/// A signed token that names the user of a browser. It begins no session, and permits nothing but attempts to sign in.
pub(crate) struct KnownBrowser(Secret);

impl KnownBrowser {
    /// Creates the token of a browser in which `user` has proved to be the owner of the account.
    ///
    /// # Errors
    /// `internal` in a process that serves no sign-in.
    pub(crate) fn of(app: &App, user: UserId, session: SessionId) -> Result<Self, Problem> {
        let now = app.clock.now();
        let id = TokenId(Ids::new(app.clock.clone()).next_uuid());
        let claims = Claims { id, user, session, issued_at: now, expires_at: now.after(KNOWN_FOR) };
        Ok(Self(signer(app).ok_or_else(Problem::internal)?.sign(&claims)))
    }

    /// Creates the token of a browser without a session.
    ///
    /// # Errors
    /// Those of [`of`](Self::of).
    pub(crate) fn without_session(app: &App, user: UserId) -> Result<Self, Problem> {
        Self::of(app, user, SessionId(Ids::new(app.clock.clone()).next_uuid()))
    }

    /// Sets the cookie in a response.
    pub(crate) fn set(&self, app: &App, headers: &mut HeaderMap) {
        Cookies::of(app).set_known(headers, &self.0, KNOWN_FOR);
    }

    /// Returns the browser of a request, if this user has signed in with it. An invalid or expired cookie counts as missing.
    pub(crate) fn find(app: &App, headers: &HeaderMap, user: UserId) -> Option<TokenId> {
        let token = Cookies::of(app).read(headers).ok()?.known?;
        let claims = signer(app)?.read(token, app.clock.now()).ok()?;
        (claims.user == user).then_some(claims.id)
    }
}

fn signer(app: &App) -> Option<Signer> {
    app.signer.as_ref().map(Signer::of_browsers)
}
