//! The tokens of a sign-in: a new session, an access token that names it, and a refresh token that renews it.

pub(crate) mod address;
pub(crate) mod attempts;
pub(crate) mod caller;
pub(crate) mod cookies;
pub(crate) mod csrf;
pub(crate) mod known_browser;
pub(crate) mod limits;
pub(crate) mod links;
pub(crate) mod refused_sign_ins;

use std::time::Duration;

use access::credentials::api_key;
use access::credentials::ticket;
use access::credentials::token::{Claims, Signer};
use access::{Ids, Refusal, Secret, SessionId, Ticket, Timestamp, TokenId, UserId};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use store::{Actor, ActorKind, NewSession, Session, SessionCredential, SessionError, User};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::message::words::{RoleWord, StatusWord, UserKindWord};
use crate::process::state::App;
use crate::sign_in::address::Address;
use crate::sign_in::cookies::Cookies;
use crate::sign_in::known_browser::KnownBrowser;

/// The lifetime of an access token.
const ACCESS_FOR: Duration = Duration::from_secs(24 * 3_600);
/// The lifetime of a refresh token, and of a session that is not renewed.
const REFRESH_FOR: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A user account, as the user sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Account {
    /// The id of the user.
    #[schema(value_type = Uuid)]
    pub(crate) id: UserId,
    /// The display name of the user.
    pub(crate) name: String,
    /// `person`, or `service` for a program that has only keys.
    #[schema(value_type = UserKindWord)]
    pub(crate) kind: &'static str,
    /// The e-mail address, in lowercase; null for a service user.
    pub(crate) email: Option<String>,
    /// The name of the user's plan.
    pub(crate) plan: String,
    /// The role of the user.
    #[schema(value_type = RoleWord)]
    pub(crate) role: &'static str,
    /// Whether the user's keys and sessions are accepted.
    #[schema(value_type = StatusWord)]
    pub(crate) status: &'static str,
    /// When the user was created.
    #[schema(format = DateTime)]
    pub(crate) created_at: String,
}

/// The users in the examples of the OpenAPI document.
impl Account {
    pub(crate) fn ada() -> Self {
        Self::example(0, "Ada", "starter")
    }

    pub(crate) fn bob() -> Self {
        Self::example(4, "Bob", "pro")
    }

    fn example(number: u128, name: &str, plan: &str) -> Self {
        Self {
            id: UserId(Uuid::from_u128(0x0199_aa00_0000_7000_8000_0000_0000_0000 | number)),
            name: name.to_owned(),
            kind: "person",
            email: Some(format!("{}@example.com", name.to_lowercase())),
            plan: plan.to_owned(),
            role: "member",
            status: "active",
            created_at: "2026-11-20T08:03:52Z".to_owned(),
        }
    }
}

impl From<&User> for Account {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            name: user.name.clone(),
            kind: if user.email.is_some() { "person" } else { "service" },
            email: user.email.as_ref().map(|email| email.as_str().to_owned()),
            plan: user.plan.name.clone(),
            role: user.role.as_str(),
            status: user.status.as_str(),
            created_at: rfc3339(user.created_at),
        }
    }
}

/// The user who signed in, and the tokens of the new session.
#[derive(Serialize, ToSchema)]
pub(crate) struct SignInResponse {
    user: Account,
    #[serde(flatten)]
    tokens: SessionTokens,
}

/// The tokens of a session. Browsers receive the same tokens as cookies.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionTokens)]
pub(crate) struct SessionTokens {
    /// The access token, a JWT for `Authorization: Bearer`.
    access_token: String,
    /// The expiry of the access token.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The refresh token, which renews the session once. Present only if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// The ways in which a response carries tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TokenTransport {
    /// The body contains the refresh token.
    pub(crate) in_body: bool,
    /// Both tokens are set as cookies.
    pub(crate) in_cookies: bool,
}

/// The tokens of a session in plain text.
pub(crate) struct TokenPair {
    access: Secret,
    until: Timestamp,
    refresh: Ticket,
    /// The cookie of the browser, after a sign-in with a password.
    known: Option<KnownBrowser>,
}

impl TokenPair {
    /// Creates the tokens of a session that was begun or renewed now.
    fn issue(app: &App, signer: &Signer, user: UserId, session: SessionId, refresh: Ticket) -> Self {
        let now = app.clock.now();
        let id = TokenId(Ids::new(app.clock.clone()).next_uuid());
        let until = now.after(ACCESS_FOR);
        let access = signer.sign(&Claims { id, user, session, issued_at: now, expires_at: until });
        Self { access, until, refresh, known: None }
    }

    /// Marks the browser as known to the user with this stored password. The user has proved to be the owner of the account.
    fn with_known(self, app: &App, user: UserId, phc: &Secret) -> Result<Self, Problem> {
        Ok(Self { known: Some(KnownBrowser::issue(app, user, phc)?), ..self })
    }

    /// Creates the tokens of the first session of a new account, whose stored password is `phc`.
    pub(crate) fn of_new_account(app: &App, session: &Session, refresh: Ticket, phc: &Secret) -> Result<Self, Problem> {
        Self::renewed(app, session, refresh)?.with_known(app, session.user, phc)
    }

    /// Creates the tokens of a session that was just renewed.
    pub(crate) fn renewed(app: &App, session: &Session, refresh: Ticket) -> Result<Self, Problem> {
        Ok(Self::issue(app, signer(app)?, session.user, session.id, refresh))
    }

    /// Creates tokens that are invalid but look like valid ones, for a session and a user that do not exist.
    pub(crate) fn with_invalid_tokens(app: &App, user: UserId, session: SessionId) -> Result<Self, Problem> {
        let no_password = Secret::new(new_refresh()?.expose().to_owned());
        Self::issue(app, signer(app)?, user, session, new_refresh()?).with_known(app, user, &no_password)
    }

    /// Builds the response to a sign-in.
    pub(crate) fn with_user(self, app: &App, status: StatusCode, user: Account, handing: TokenTransport) -> Response {
        let cookies = self.cookies(app, handing);
        (status, cookies, Json(SignInResponse { user, tokens: self.tokens(handing) })).into_response()
    }

    /// Builds the response to a renewal.
    pub(crate) fn alone(self, app: &App, handing: TokenTransport) -> Response {
        let cookies = self.cookies(app, handing);
        (StatusCode::OK, cookies, Json(self.tokens(handing))).into_response()
    }

    fn tokens(&self, handing: TokenTransport) -> SessionTokens {
        SessionTokens {
            access_token: self.access.expose().to_owned(),
            expires_at: rfc3339(self.until),
            refresh_token: handing.in_body.then(|| self.refresh.expose().to_owned()),
        }
    }

    fn cookies(&self, app: &App, handing: TokenTransport) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if handing.in_cookies {
            let refresh = Secret::new(self.refresh.expose().to_owned());
            // The cookie outlives the access token. Otherwise the server could not distinguish an expired session from
            // a missing sign-in, and would not ask the browser to renew.
            Cookies::from_app(app).set(&mut headers, (&self.access, REFRESH_FOR), (&refresh, REFRESH_FOR));
            if let Some(known) = &self.known {
                known.set(app, &mut headers);
            }
        }
        headers
    }
}

/// Begins a session. A previous session of the browser continues, but the browser no longer uses it.
///
/// # Errors
/// `unauthorized` or `key_revoked` if the password or the key was replaced, or the user suspended, since the check;
/// `unavailable`.
pub(crate) async fn begin(
    app: &App,
    user: UserId,
    credential: SessionCredential,
    address: Address,
    agent: Option<String>,
) -> Result<TokenPair, Problem> {
    let signer = signer(app)?;
    let now = app.clock.now();
    let refresh = new_refresh()?;
    let (by, replaced, phc) = match &credential {
        SessionCredential::Password(phc) => {
            (ActorKind::User { user, session: None }, Problem::new(Refusal::Unauthorized, WRONG), Some(phc.clone()))
        }
        SessionCredential::Key { key, .. } => {
            (ActorKind::Key { user, key: *key }, access::NotFound::Revoked.into(), None)
        }
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
        Ok(session) => {
            let pair = TokenPair::issue(app, signer, user, session.id, refresh);
            match phc {
                Some(phc) => pair.with_known(app, user, &phc),
                None => Ok(pair),
            }
        }
        Err(SessionError::CredentialGone(_)) => Err(replaced),
        Err(SessionError::Database(error)) => Err(error.into()),
    }
}

/// The message for a wrong password, and for an account that does not exist.
pub(crate) const WRONG: &str = "the address or the password is wrong";

/// Generates a refresh token.
///
/// # Errors
/// `internal` without randomness.
pub(crate) fn new_refresh() -> Result<Ticket, Problem> {
    Ticket::generate(ticket::TicketKind::Refresh).map_err(|_| Problem::internal())
}

/// Returns the expiry of a refresh token that is created at `now`.
pub(crate) fn refresh_until(now: Timestamp) -> Timestamp {
    now.after(REFRESH_FOR)
}

/// Returns the signer of access tokens; every process that serves the API has one.
pub(crate) fn signer(app: &App) -> Result<&Signer, Problem> {
    app.signer.as_ref().ok_or_else(Problem::internal)
}

/// Returns the client's `User-Agent` without keys; the store shortens and cleans it.
pub(crate) fn agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(header::USER_AGENT)?;
    Some(api_key::masked(&String::from_utf8_lossy(agent.as_bytes()), "").into_owned())
}
