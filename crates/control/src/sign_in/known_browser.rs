//! The cookie of a browser in which a user has signed in with a password before: attempts of others do not count for it.

use std::time::Duration;

use access::credentials::token::{Claims, Signer};
use access::{Ids, Secret, SessionId, TokenId, UserId};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::cookies::Cookies;

/// The lifetime of the cookie; each sign-in with a password renews it.
const KNOWN_FOR: Duration = Duration::from_secs(180 * 86_400);

/// A signed token that names the user of a browser, and the user's stored password: a new password ends it, as another
/// person may have signed in with the old one. It begins no session, and permits nothing but attempts to sign in.
pub(crate) struct KnownBrowser(Secret);

impl KnownBrowser {
    /// Creates the token of a browser in which `user` has proved to be the owner of the account, whose stored password is
    /// `phc`.
    ///
    /// # Errors
    /// `internal` in a process that serves no sign-in.
    pub(crate) fn issue(app: &App, user: UserId, phc: &Secret) -> Result<Self, Problem> {
        let now = app.clock.now();
        let id = TokenId(Ids::new(app.clock.clone()).next_uuid());
        let claims = Claims { id, user, session: password_id(phc), issued_at: now, expires_at: now.after(KNOWN_FOR) };
        Ok(Self(signer(app).ok_or_else(Problem::internal)?.sign(&claims)))
    }

    /// Sets the cookie in a response.
    pub(crate) fn set(&self, app: &App, headers: &mut HeaderMap) {
        Cookies::from_app(app).set_known(headers, &self.0, KNOWN_FOR);
    }

    /// Returns the browser of a request, if this user has signed in with it and the stored password is still `phc`. An
    /// invalid or expired cookie counts as missing.
    pub(crate) fn find(app: &App, headers: &HeaderMap, user: UserId, phc: &Secret) -> Option<TokenId> {
        let token = Cookies::from_app(app).read(headers).ok()?.known?;
        let claims = signer(app)?.read(token, app.clock.now()).ok()?;
        (claims.user == user && claims.session == password_id(phc)).then_some(claims.id)
    }
}

/// Returns a digest of a stored password, which has a random salt. It takes the place of the session in the token.
fn password_id(phc: &Secret) -> SessionId {
    let digest = Sha256::new().chain_update(b"known browser\0").chain_update(phc.expose()).finalize();
    SessionId(digest.first_chunk().map_or(Uuid::nil(), |id| Uuid::from_bytes(*id)))
}

fn signer(app: &App) -> Option<Signer> {
    app.signer.as_ref().map(Signer::of_browsers)
}
