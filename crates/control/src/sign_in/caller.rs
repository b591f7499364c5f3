//! Authentication and permissions: each extractor of this module is one permission.

use std::sync::Arc;

use access::credentials::token::TokenError;
use access::exchange::key_clients::KeyClient;
use access::{
    ApiKey, ControlScope, KeyHash, NotFound, Plan, PlanId, Principal, ProviderKeys, Refusal, Role, SessionId, UserId,
    UserNo,
};
use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use store::{Actor, ActorKind, InvalidSession, SessionState};

use crate::message::problem::Problem;
use crate::process::state::{App, State};
use crate::sign_in;
use crate::sign_in::address::Address;
use crate::sign_in::cookies::Cookies;
use crate::sign_in::csrf;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const BEARER: &str = "bearer";

/// An authenticated user, by a valid key or by a session. As a handler's argument, it permits reading the user's own
/// data.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: UserId,
    pub(crate) user_no: UserNo,
    /// `Admin` only for admins who signed in with a password, and for keys with the scope `admin`, because other keys are
    /// copied to many places.
    pub(crate) role: Role,
    pub(crate) plan: Arc<Plan>,
    pub(crate) via: SignInMethod,
    pub(crate) address: Address,
    /// Whether the request carries a key that is refused until invoices are paid: only [`Payer`] and [`PayingOwner`] accept it.
    pub(crate) is_unpaid: bool,
}

/// How the user authenticated.
#[derive(Debug, Clone)]
pub(crate) enum SignInMethod {
    /// The request carries a key.
    Key(Arc<Principal>),
    /// The request carries an access token. `key` is the key that the session was begun with; `None` means a password.
    Session { id: SessionId, key: Option<Arc<Principal>> },
}

/// The result of authentication: the caller, or the reason why the request has none. [`crate::sign_in::limits`] adds it to each
/// request, so that the extractors do not authenticate again.
#[derive(Debug, Clone)]
pub(crate) struct Authentication(pub(crate) Arc<Result<Caller, Problem>>);

impl Caller {
    /// The actor that the audit log records for changes of this caller.
    pub(crate) fn actor(&self) -> Actor {
        let by = match &self.via {
            SignInMethod::Key(principal) => ActorKind::Key { user: self.user, key: principal.key },
            SignInMethod::Session { id, .. } => ActorKind::User { user: self.user, session: Some(*id) },
        };
        Actor { by, address: Some(self.address.0) }
    }

    /// The key of the request, or the key that the session was begun with.
    pub(crate) fn key(&self) -> Option<&Arc<Principal>> {
        match &self.via {
            SignInMethod::Key(principal) => Some(principal),
            SignInMethod::Session { key, .. } => key.as_ref(),
        }
    }

    /// Authenticates a user by a key.
    ///
    /// # Errors
    /// `key_malformed`, or the reason why the key is invalid.
    pub(crate) async fn find(state: &State, key: &str, address: Address) -> Result<(Self, KeyHash), Problem> {
        let hash = ApiKey::parse(key).map_err(|_| malformed())?.hash();
        let principal = state.directory.find(hash).await?;
        Ok((Self::of_key(principal, address)?, hash))
    }

    /// Authenticates a user by a key, also while invoices of the user are not paid.
    async fn find_payer(state: &State, key: &str, address: Address) -> Result<Self, Problem> {
        let hash = ApiKey::parse(key).map_err(|_| malformed())?.hash();
        match state.directory.find(hash).await {
            Err(NotFound::Unpaid) => {
                let identity = state.store.identity_of_payer(hash).await??;
                Ok(Self { is_unpaid: true, ..Self::of_key(Arc::new(identity.principal()), address)? })
            }
            found => Self::of_key(found?, address),
        }
    }

    fn of_key(principal: Arc<Principal>, address: Address) -> Result<Self, Problem> {
        check_key_address(&principal, address)?;
        let user = principal.user;
        let user_no = principal.user_no;
        let plan = principal.plan.clone();
        let role = if principal.is_admin { Role::Admin } else { Role::Member };
        Ok(Self { user, user_no, role, plan, via: SignInMethod::Key(principal), address, is_unpaid: false })
    }

    /// Authenticates a user by a request's head. A credential in a header field takes precedence over cookies, even if
    /// it is invalid, because a client sends it on purpose while a browser adds cookies on its own. Extractors check
    /// whether the caller may be unpaid.
    ///
    /// # Errors
    /// The reason why the credential is invalid; `unauthorized` without any credential.
    pub(crate) async fn authenticate(parts: &Parts, app: &App) -> Result<Self, Problem> {
        let address = Address::from_parts(parts, app);
        match presented(&parts.headers)? {
            Some(token) if is_token(token) => Self::signed_in(app, token, address).await,
            Some(key) => {
                let caller = Self::find_payer(app, key, address).await?;
                caller.note_client(app, parts);
                Ok(caller)
            }
            None => {
                let token = Cookies::from_app(app).read(&parts.headers)?.session.ok_or_else(|| {
                    missing("send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`, or sign in")
                })?;
                csrf::check(app, &parts.method, &parts.headers)?;
                Self::signed_in(app, token, address).await
            }
        }
    }

    /// Records the address and the product of the client for the page of its key.
    fn note_client(&self, app: &App, parts: &Parts) {
        let SignInMethod::Key(principal) = &self.via else { return };
        let agent = parts.headers.get(header::USER_AGENT).map(HeaderValue::as_bytes);
        let client = || KeyClient::new(self.address.0, agent);
        app.directory.note_client(principal.key_no, self.address.0, app.clock.mono(), client);
    }

    /// The key with the scope `admin` that the request carries.
    pub(crate) fn admin_key(&self) -> Option<&Arc<Principal>> {
        match &self.via {
            SignInMethod::Key(principal) if self.role == Role::Admin => Some(principal),
            SignInMethod::Key(_) | SignInMethod::Session { .. } => None,
        }
    }

    /// Refuses keys with the scope `admin`, for what only an admin who signed in with a password may do.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_password(&self) -> Result<(), Problem> {
        if self.role == Role::Admin && self.admin_key().is_none() {
            return Ok(());
        }
        let message = "this needs an admin who signed in with a password; a key is not sufficient";
        Err(Problem::new(Refusal::Forbidden, message))
    }

    /// Returns what the key of the caller may call; `None` means everything of its user. Keys with the scope `admin` have
    /// rules of their own.
    fn control_scope(&self) -> Option<ControlScope> {
        self.key().filter(|key| !key.is_admin).and_then(|key| key.bounds.control_scope())
    }

    /// Returns the key of a caller that sees only this key.
    pub(crate) fn only_key(&self) -> Option<&Arc<Principal>> {
        if self.control_scope() == Some(ControlScope::Own) { self.key() } else { None }
    }

    /// Refuses keys that do not see the data of their user.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_read(&self) -> Result<(), Problem> {
        match self.control_scope() {
            None | Some(ControlScope::Read) => Ok(()),
            Some(ControlScope::Own) => Err(Problem::new(
                Refusal::Forbidden,
                "this key sees only itself: its usage, limits and models; `scopes.control: read` lets it read the account",
            )),
            Some(ControlScope::None) => Err(no_control()),
        }
    }

    /// Refuses keys that may not use the admin API.
    ///
    /// # Errors
    /// `forbidden`.
    pub(crate) fn require_any(&self) -> Result<(), Problem> {
        if self.control_scope() == Some(ControlScope::None) { Err(no_control()) } else { Ok(()) }
    }

    /// Refuses the secret that a rotation replaced, which could otherwise replace the new one.
    fn require_current_secret(&self) -> Result<(), Problem> {
        if self.key().is_none_or(|key| key.rotated.is_none()) {
            return Ok(());
        }
        let message = "this secret was replaced and cannot change anything; use the new one";
        Err(Problem::new(Refusal::Forbidden, message))
    }

    /// Refuses keys with scopes, limits or addresses, and replaced secrets.
    fn require_unrestricted(&self) -> Result<(), Problem> {
        if self.key().is_some_and(|key| !key.bounds.is_unbounded()) {
            return Err(Problem::new(Refusal::Forbidden, "this key is restricted and cannot change anything"));
        }
        self.require_current_secret()
    }

    /// Authenticates a user by an access token.
    async fn signed_in(app: &App, token: &str, address: Address) -> Result<Self, Problem> {
        let now = app.clock.now();
        let claims = sign_in::signer(app)?.read(token, now)?;
        let state = app.sessions.find(&app.store, claims.session).await?;
        // The token's session must exist and belong to the token's user.
        let state = state.filter(|state| state.user.id == claims.user).ok_or_else(ended)?;
        state.open_at(now)?;
        let plan = Arc::new(state.user.plan.clone());
        let key = principal(&state, &plan).map(Arc::new);
        if let Some(key) = &key {
            check_key_address(key, address)?;
        }
        let user = state.user.id;
        let user_no = state.user.no;
        let role = if key.is_some() { Role::Member } else { state.user.role };
        let via = SignInMethod::Session { id: state.session.id, key };
        Ok(Self { user, user_no, role, plan, via, address, is_unpaid: false })
    }
}

/// The principal of the key that a session was begun with, as if the request carried the key.
fn principal(state: &SessionState, plan: &Arc<Plan>) -> Option<Principal> {
    let key = state.key.as_ref()?;
    Some(Principal {
        user: state.user.id,
        user_no: state.user.no,
        key: key.id,
        key_no: key.no,
        // Control identifies keys only by their ids.
        last4: None,
        plan_id: PlanId::NIL,
        plan: plan.clone(),
        // Control spends nothing of a budget.
        budgets: Arc::default(),
        expires_at: key.expires_at,
        rotated: None,
        // A key with the scope `admin` begins no session.
        is_admin: false,
        bounds: key.bounds.clone(),
        // Control sends no requests to providers on behalf of this key.
        provider_keys: ProviderKeys::default(),
        // Control records no usage.
        labels: access::LabelSet::NONE,
    })
}

fn check_key_address(key: &Principal, address: Address) -> Result<(), Problem> {
    if key.bounds.opens_from(address.0) {
        return Ok(());
    }
    Err(Problem::new(Refusal::Forbidden, "this key may not be used from your address"))
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Malformed => {
                Self::new(Refusal::Unauthorized, "this is not an access token of this server; sign in")
            }
            TokenError::Expired => {
                Self::new(Refusal::TokenExpired, "the access token has expired; refresh it or sign in again")
            }
        }
    }
}

impl From<InvalidSession> for Problem {
    fn from(reason: InvalidSession) -> Self {
        match reason {
            InvalidSession::Suspended => {
                Self::new(Refusal::UserSuspended, "this account is suspended; contact the operator of this server")
            }
            InvalidSession::Ended => ended(),
            InvalidSession::KeyRevoked => Self::new(Refusal::KeyRevoked, "the key that you signed in with was revoked"),
            InvalidSession::Unpaid => NotFound::Unpaid.into(),
            InvalidSession::KeyExpired => Self::new(Refusal::KeyExpired, "the key that you signed in with has expired"),
        }
    }
}

/// The problem of a session that has ended.
pub(crate) fn ended() -> Problem {
    Problem::new(Refusal::TokenExpired, "this session has ended; sign in again")
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Payer(caller) = Payer::from_request_parts(parts, app).await?;
        if caller.is_unpaid { Err(NotFound::Unpaid.into()) } else { Ok(caller) }
    }
}

/// A caller with the right to read the user's own invoices and payments, also by a key while invoices are not paid: a user
/// without a password has only keys.
#[derive(Debug)]
pub(crate) struct Payer(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for Payer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = judged(parts, app).await?;
        caller.require_read().map(|()| Self(caller))
    }
}

/// A caller with the right to read what the request's own key may see. The endpoint limits its response to that key
/// ([`Caller::only_key`]).
#[derive(Debug)]
pub(crate) struct KeyReader(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for KeyReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = judged(parts, app).await?;
        caller.require_any()?;
        if caller.is_unpaid { Err(NotFound::Unpaid.into()) } else { Ok(Self(caller)) }
    }
}

/// Returns the caller, whom the rate limits have authenticated already.
async fn judged(parts: &Parts, app: &App) -> Result<Caller, Problem> {
    match parts.extensions.get::<Authentication>() {
        Some(Authentication(judged)) => Result::clone(judged),
        None => Caller::authenticate(parts, app).await,
    }
}

fn no_control() -> Problem {
    Problem::new(Refusal::Forbidden, "this key may not use the admin API: its scope `control` is `none`")
}

/// A [`Payer`] with the right to pay: the conditions are those of [`Owner`].
#[derive(Debug)]
pub(crate) struct PayingOwner(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for PayingOwner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Payer(caller) = Payer::from_request_parts(parts, app).await?;
        caller.require_unrestricted().map(|()| Self(caller))
    }
}

/// A caller with the right to change the user's own data. Keys with scopes, limits or addresses are refused, because
/// they could create keys without them, and so are replaced secrets.
#[derive(Debug)]
pub(crate) struct Owner(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        caller.require_unrestricted().map(|()| Self(caller))
    }
}

/// A caller with the right to change keys and provider credentials: the user's own ones, or for admins those of other
/// users (`crate::nouns::reach`).
#[derive(Debug)]
pub(crate) struct KeyOwner(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for KeyOwner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.admin_key().is_some() {
            return caller.require_current_secret().map(|()| Self(caller));
        }
        let Owner(caller) = Owner::from_request_parts(parts, app).await?;
        Ok(Self(caller))
    }
}

/// A caller who signed in with a password.
#[derive(Debug)]
pub(crate) struct Person(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        match caller.key() {
            Some(_) => Err(Problem::new(Refusal::Forbidden, "a key is not sufficient; sign in with your password")),
            None => Ok(Self(caller)),
        }
    }
}

/// An admin who signed in with a password, or a key with the scope `admin`, whose replaced secret only reads.
#[derive(Debug)]
pub(crate) struct Admin(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        match (caller.role, caller.key()) {
            (Role::Admin, _) if parts.method.is_safe() => Ok(Self(caller)),
            (Role::Admin, _) => caller.require_current_secret().map(|()| Self(caller)),
            (Role::Member, Some(_)) => Err(Problem::new(
                Refusal::Forbidden,
                "this needs an admin who signed in with a password, or a key with the scope `admin`",
            )),
            (Role::Member, None) => Err(Problem::new(Refusal::Forbidden, "only admins may do this")),
        }
    }
}

/// An admin who signed in with a password. Keys with the scope `admin` are refused: they may not reach admins, sessions,
/// passwords, grants, and keys with this scope.
#[derive(Debug)]
pub(crate) struct AdminPerson(pub(crate) Caller);

impl FromRequestParts<Arc<App>> for AdminPerson {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let Admin(caller) = Admin::from_request_parts(parts, app).await?;
        caller.require_password()?;
        Ok(Self(caller))
    }
}

/// Returns the only credential in these header fields.
///
/// # Errors
/// `ambiguous_credentials` for two different credentials; `key_malformed` and `unauthorized` for malformed ones.
pub(crate) fn presented(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let bearers = headers.get_all(header::AUTHORIZATION).into_iter().map(bearer);
    let keys = headers.get_all(X_API_KEY).into_iter().map(plain);
    let mut found = None;
    for credential in bearers.chain(keys) {
        found = one(found, Some(credential?))?;
    }
    Ok(found)
}

/// Returns the credential that is present, of two places where it may be.
///
/// # Errors
/// `ambiguous_credentials` if both are present and differ.
pub(crate) fn one<'a>(a: Option<&'a str>, b: Option<&'a str>) -> Result<Option<&'a str>, Problem> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => {
            Err(Problem::new(Refusal::AmbiguousCredentials, "two different credentials were sent; send one"))
        }
        (a, b) => Ok(a.or(b)),
    }
}

/// The problem of a request without a credential. `hint` tells the client where to send one.
pub(crate) fn missing(hint: &'static str) -> Problem {
    Problem::new(Refusal::Unauthorized, hint)
}

/// A JWT has three parts (RFC 7515, 3.1), and no key has a dot.
pub(crate) fn is_token(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
}

fn malformed() -> Problem {
    Problem::new(Refusal::KeyMalformed, "a key is a prefix, an underscore and 32 lowercase hex digits")
}

fn plain(value: &HeaderValue) -> Result<&str, Problem> {
    value.to_str().map(str::trim).map_err(|_| malformed())
}

/// Parses a bearer token (RFC 6750, 2.1). The scheme's name is case-insensitive (RFC 9110, 11.1).
fn bearer(value: &HeaderValue) -> Result<&str, Problem> {
    let text = plain(value)?;
    match text.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(BEARER) => Ok(key.trim()),
        _ => Err(Problem::new(Refusal::Unauthorized, "the `Authorization` header must be `Bearer KEY`")),
    }
}
