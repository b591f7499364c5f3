//! What a sign-in hands out: a session of its own, an access token that names it, and a refresh token that renews it.

use std::time::Duration;

use access::token::{Claims, Signer};
use access::{Ids, Refusal, Secret, SessionId, Ticket, Timestamp, TokenId, UserId, ticket};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use store::{Actor, By, Credential, NewSession, Session, StoreError, User};
use utoipa::ToSchema;

use crate::address::Address;
use crate::cookies::Cookies;
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::state::App;
use crate::words::{RoleWord, StatusWord};

/// How long an access token opens anything.
const ACCESS_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How long a refresh token can be used, and a session goes on without.
const REFRESH_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A user, as the user itself sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Account {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub(crate) id: UserId,
    /// Shown to people.
    pub(crate) name: String,
    /// Its e-mail address, in lowercase.
    pub(crate) email: String,
    /// Its plan's name.
    pub(crate) plan: String,
    /// What it may do beside using what is its own.
    #[schema(value_type = RoleWord)]
    pub(crate) role: &'static str,
    /// Whether its keys and sessions open anything.
    #[schema(value_type = StatusWord)]
    pub(crate) status: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            name: user.name.clone(),
            email: user.email.as_str().to_owned(),
            plan: user.plan.name.clone(),
            role: user.role.as_str(),
            status: user.status.as_str(),
            created_at: rfc3339(user.created_at),
        }
    }
}

/// Who has signed in, and what its next calls go with.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignedIn {
    user: Account,
    #[serde(flatten)]
    tokens: Tokens,
}

/// What calls of a session go with; a browser has the same in its cookies.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionTokens)]
pub(crate) struct Tokens {
    /// A JWT, for `Authorization: Bearer`.
    access_token: String,
    /// When the access token ends.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What renews the session, once; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// How a sign-in, or its renewal, is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handing {
    /// The refresh token stands in the body.
    pub(crate) in_body: bool,
    /// Both tokens are set as cookies.
    pub(crate) in_cookies: bool,
}

/// The tokens of a session, in clear.
pub(crate) struct Pair {
    access: Secret,
    until: Timestamp,
    refresh: Ticket,
}

impl Pair {
    /// The tokens of a session that was begun or renewed now.
    fn of(app: &App, signer: &Signer, (user, session): (UserId, SessionId), refresh: Ticket) -> Self {
        let now = app.clock.now();
        let (id, until) = (TokenId(Ids::new(app.clock.clone()).next_uuid()), now.after(ACCESS_FOR));
        let access = signer.sign(&Claims { id, user, session, issued_at: now, expires_at: until });
        Self { access, until, refresh }
    }

    /// With the tokens of a session that was just renewed.
    pub(crate) fn renewed(app: &App, session: &Session, refresh: Ticket) -> Result<Self, Problem> {
        Ok(Self::of(app, signer(app)?, (session.user, session.id), refresh))
    }

    /// With tokens that open nothing and look like others: of a session and a user that there are not.
    pub(crate) fn of_nobody(app: &App, user: UserId, session: SessionId) -> Result<Self, Problem> {
        Ok(Self::of(app, signer(app)?, (user, session), new_refresh()?))
    }

    /// The answer to a sign-in.
    pub(crate) fn with_user(self, app: &App, (status, user): (StatusCode, Account), handing: Handing) -> Response {
        let cookies = self.cookies(app, handing);
        (status, cookies, Json(SignedIn { user, tokens: self.tokens(handing) })).into_response()
    }

    /// The answer to a renewal.
    pub(crate) fn alone(self, app: &App, handing: Handing) -> Response {
        let cookies = self.cookies(app, handing);
        (StatusCode::OK, cookies, Json(self.tokens(handing))).into_response()
    }

    fn tokens(&self, handing: Handing) -> Tokens {
        Tokens {
            access_token: self.access.expose().to_owned(),
            expires_at: rfc3339(self.until),
            refresh_token: handing.in_body.then(|| self.refresh.expose().to_owned()),
        }
    }

    fn cookies(&self, app: &App, handing: Handing) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if handing.in_cookies {
            let refresh = Secret::new(self.refresh.expose().to_owned());
            // Also when it has ended: without it a browser would be told that it never signed in, not that it may renew.
            Cookies::of(app).set(&mut headers, (&self.access, REFRESH_FOR), (&refresh, REFRESH_FOR));
        }
        headers
    }
}

/// Begins a session; one that the browser had before goes on beside it and is not used again.
///
/// # Errors
/// `unauthorized` or `key_revoked` where the password or the key was replaced or the user suspended since it was checked,
/// `unavailable`.
pub(crate) async fn begin(
    app: &App,
    user: UserId,
    credential: Credential,
    (address, agent): (Address, Option<String>),
) -> Result<Pair, Problem> {
    let (signer, now, refresh) = (signer(app)?, app.clock.now(), new_refresh()?);
    let (by, gone) = match credential {
        Credential::Password(_) => (By::User { user, session: None }, Problem::new(Refusal::Unauthorized, WRONG)),
        Credential::Key { key, .. } => (By::Key { user, key }, access::NotFound::Revoked.into()),
    };
    let new = NewSession {
        user,
        credential,
        address: Some(address.0),
        agent,
        refresh: refresh.hash(),
        expires_at: now.after(REFRESH_FOR),
    };
    let begun = app.store.begin_session(&Actor { by, address: Some(address.0) }, new).await;
    match begun {
        Ok(session) => Ok(Pair::of(app, signer, (user, session.id), refresh)),
        Err(StoreError::CredentialGone) => Err(gone),
        Err(error) => Err(Problem::store(error)),
    }
}

/// What is said of a wrong password, and of an account that there is not.
pub(crate) const WRONG: &str = "the address or the password is wrong";

/// A new refresh token.
///
/// # Errors
/// `internal` without randomness.
pub(crate) fn new_refresh() -> Result<Ticket, Problem> {
    Ticket::generate(ticket::Kind::Refresh).map_err(|_| Problem::internal())
}

/// When a refresh token made at `now` ends.
pub(crate) fn refresh_until(now: Timestamp) -> Timestamp {
    now.after(REFRESH_FOR)
}

/// What signs access tokens; every process that serves the API has it.
pub(crate) fn signer(app: &App) -> Result<&Signer, Problem> {
    app.signer.as_ref().ok_or_else(Problem::internal)
}

/// The client's own name; the store cuts and cleans it.
pub(crate) fn agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?;
    Some(String::from_utf8_lossy(agent.as_bytes()).into_owned())
}
