//! `POST /api/auth/register`, and the code that it shares with invitation links.
//!
//! Only an invitation for an e-mail address reveals whether the address has an account. With open sign-up, a taken
//! address gets the same response as a free one, after the same work and at the same time, with tokens of a session
//! that does not exist. The account and the sessions of its owner stay untouched. A client can still find out by using
//! the tokens: accounts that work at once and hidden accounts exclude each other unless mail is sent. That costs a
//! sign-in attempt, and creates an account for each free address.

use std::sync::Arc;
use std::time::Duration;

use access::credentials::password::Password;
use access::credentials::ticket;
use access::{Ids, Refusal, Secret, SessionId, Ticket, TicketHash, UserId};
use axum::extract::{Request, State};
use axum::response::Response;
use config::snapshot::SignupMode;
use http::StatusCode;
use serde::Deserialize;
use store::{
    Actor, ActorKind, Email, Link, NewSession, NewUser, Purpose, RedeemError, Session, SessionCredential, User,
    UserError,
};
use tokio::time::sleep;
use utoipa::ToSchema;

use super::password::{chosen, hashed};
use crate::input;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::passwords::HashPermit;
use crate::process::state::App;
use crate::sign_in::address::Address;
use crate::sign_in::attempts::{self, AccountHash};
use crate::sign_in::csrf;
use crate::sign_in::{self, Account, SignInResponse, TokenPair, TokenTransport};

/// The minimum duration of a sign-up. It is several times the duration on a machine that is not overloaded, so that
/// the store's part, which differs, is not visible.
const ANSWERED_AFTER: Duration = Duration::from_millis(300);

/// A new account to register.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Register, example = json!({"email": "ada@example.com", "password": "correct horse battery", "name": "Ada",
    "invite": "tgl_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"}))]
#[serde(deny_unknown_fields)]
struct RegisterRequest {
    /// The e-mail address, which is also the name for the sign-in.
    #[schema(max_length = 254)]
    email: String,
    /// The password: 12 to 128 characters, not easy to guess.
    #[schema(value_type = String, min_length = 12, max_length = 128)]
    password: Secret,
    /// The display name: 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// The token of an invitation; required if `signup` is `invite`.
    #[schema(value_type = Option<String>)]
    invite: Option<Secret>,
    /// Whether the body of the response contains the refresh token, for programs without a cookie store. Default
    /// false.
    #[serde(default)]
    refresh: bool,
}

/// Creates an account and signs it in.
///
/// With open sign-up, a taken address gets the same response, but its tokens are invalid: sign in, or ask for a link.
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", request_body = RegisterRequest, security(()),
    extensions(("x-codes" = json!(["forbidden", "signup_closed", "conflict", "unprocessable", "rate_limited", "overloaded"]))),
    responses((status = 201, body = SignInResponse, example = json!({
        "user": Account::ada(),
        "access_token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTk5In0.c2lnbmF0dXJl",
        "expires_at": "2026-11-21T08:03:52Z"
    }))))]
pub(crate) async fn register(
    State(app): State<Arc<App>>,
    address: Address,
    request: Request,
) -> Result<Response, Problem> {
    csrf::check_sign_in(&app, request.headers())?;
    let agent = sign_in::agent(request.headers());
    let body: RegisterRequest = input::required(request, app.limits.body).await?;
    let handing = TokenTransport { in_body: body.refresh, in_cookies: true };
    let invitation = match body.invite {
        Some(token) => Some(invitation(&app, &token).await?),
        None => None,
    };
    let newcomer = Newcomer::validate(
        &app,
        invitation,
        SignUpInput { email: body.email, name: body.name, password: body.password },
    )?;
    let seat = app.passwords.seat_of_stranger()?;
    attempts::take(&app.windows, address, Some(&AccountHash::from_email(newcomer.email.as_str(), None))).await?;

    let answer_at = answer_at();
    let refresh = sign_in::new_refresh()?;
    let first = FirstSession { agent, refresh: refresh.hash() };
    let (account, pair) = match newcomer.make(&app, seat, address, Some(first)).await? {
        SignUpOutcome::Made(user, session) => {
            let (session, phc) = session.ok_or_else(Problem::internal)?;
            (Account::from(&*user), TokenPair::of_new_account(&app, &session, refresh, &phc)?)
        }
        SignUpOutcome::Taken(account) => {
            let session = SessionId(Ids::new(app.clock.clone()).next_uuid());
            let pair = TokenPair::with_invalid_tokens(&app, account.id, session)?;
            (account, pair)
        }
    };
    answer_at.await;
    Ok(pair.with_user(&app, StatusCode::CREATED, account, handing))
}

/// An invitation that is valid.
pub(super) struct Invitation {
    hash: TicketHash,
    email: Option<Email>,
    plan: Option<String>,
}

impl Invitation {
    pub(super) fn new(hash: TicketHash, email: Option<Email>, plan: Option<String>) -> Self {
        Self { hash, email, plan }
    }

    /// The only e-mail address that the invitation is valid for, if it names one.
    pub(super) const fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }
}

async fn invitation(app: &App, token: &Secret) -> Result<Invitation, Problem> {
    let Ok(ticket) = Ticket::parse(ticket::TicketKind::Link, token.expose()) else { return Err(not_invited()) };
    match app.store.find_link(ticket.hash()).await? {
        Some(Link { purpose: Purpose::Invite { email, plan }, .. }) => Ok(Invitation::new(ticket.hash(), email, plan)),
        Some(_) | None => Err(not_invited()),
    }
}

fn not_invited() -> Problem {
    Problem::new(
        Refusal::SignupClosed,
        "this invitation is unknown, used, expired or for another address; ask the operator of this server for a new one",
    )
}

/// The account data of a sign-up, not validated yet.
pub(super) struct SignUpInput {
    pub(super) email: String,
    pub(super) name: String,
    pub(super) password: Secret,
}

/// A client that may sign up, with validated account data.
pub(super) struct Newcomer {
    pub(super) email: Email,
    name: String,
    password: Password,
    plan: String,
    invitation: Option<Invitation>,
}

/// The first session of a new account.
struct FirstSession {
    agent: Option<String>,
    refresh: TicketHash,
}

/// The result of a sign-up.
pub(super) enum SignUpOutcome {
    /// The new account; its session, if one was requested, with the stored password.
    Made(Box<User>, Option<(Session, Secret)>),
    /// The address has an account already. The response shows these data of an account that was not created.
    Taken(Account),
}

impl Newcomer {
    /// Validates the sign-up mode and the input before any expensive work.
    ///
    /// # Errors
    /// `signup_closed`, `unprocessable`.
    pub(super) fn validate(
        app: &App,
        invitation: Option<Invitation>,
        SignUpInput { email, name, password }: SignUpInput,
    ) -> Result<Self, Problem> {
        let signup = &app.live.load().traffic.signup;
        may_sign_up(signup.mode, invitation.is_some())?;
        let email = input::address_of(&email)?;
        if invitation.as_ref().and_then(|invitation| invitation.email.as_ref()).is_some_and(|own| *own != email) {
            return Err(not_invited());
        }
        let plan = invitation.as_ref().and_then(|invitation| invitation.plan.clone());
        let name = input::name_of(&name)?;
        let password = chosen("password", password, &[email.as_str(), &name, &app.live.load().process.brand.name])?;
        Ok(Self { email, name, password, plan: plan.unwrap_or_else(|| signup.plan.clone()), invitation })
    }

    /// Creates the account, unless its address is taken, without a session.
    ///
    /// # Errors
    /// The errors of [`make`](Self::make).
    pub(super) async fn sign_up(
        self,
        app: &App,
        seat: HashPermit<'_>,
        address: Address,
    ) -> Result<SignUpOutcome, Problem> {
        self.make(app, seat, address, None).await
    }

    /// Creates the account, unless its address is taken, with its first session if one is requested. Either both are
    /// created or neither.
    ///
    /// # Errors
    /// `conflict` for a taken address that the invitation names; `signup_closed` if the invitation was used in the
    /// meantime; `unavailable`; `internal` if the plan of new accounts does not exist.
    async fn make(
        self,
        app: &App,
        seat: HashPermit<'_>,
        address: Address,
        first: Option<FirstSession>,
    ) -> Result<SignUpOutcome, Problem> {
        let Self { email, name, password, plan, invitation } = self;
        let phc = hashed(seat, password).await?;
        let new = NewUser { password: Some(phc.clone()), ..NewUser::member(email.clone(), name.clone(), plan.clone()) };
        // The client has no account yet.
        let by = Actor { by: ActorKind::System, address: Some(address.0) };
        let hash = invitation.as_ref().map(|invitation| invitation.hash);
        let registered = match first {
            None => app.store.register(&by, new, hash).await.map(|user| (user, None)),
            Some(FirstSession { agent, refresh }) => {
                let expires_at = sign_in::refresh_until(app.clock.now());
                let credential = SessionCredential::Password(phc.clone());
                let session =
                    move |user| NewSession { user, credential, address: Some(address.0), agent, refresh, expires_at };
                let registered = app.store.register_signed_in(&by, new, hash, session).await;
                registered.map(|(user, session)| (user, Some((session, phc))))
            }
        };
        match registered {
            Ok((user, session)) => Ok(SignUpOutcome::Made(Box::new(user), session)),
            Err(RedeemError::User(UserError::EmailTaken)) => {
                if invitation.is_some_and(|invitation| invitation.email.is_some()) {
                    return Err(Problem::new(Refusal::Conflict, "an account with this address exists; sign in"));
                }
                let id = UserId(Ids::new(app.clock.clone()).next_uuid());
                let created_at = rfc3339(app.clock.now());
                let role = "member";
                let status = "active";
                let kind = "person";
                let email = Some(email.as_str().to_owned());
                Ok(SignUpOutcome::Taken(Account { id, name, kind, email, plan, role, status, created_at }))
            }
            Err(RedeemError::NoLink) => Err(not_invited()),
            Err(RedeemError::User(UserError::NoPlan(error))) => Err(Problem::fault(error)),
            Err(error) => Err(error.into()),
        }
    }
}

fn may_sign_up(mode: SignupMode, invited: bool) -> Result<(), Problem> {
    let message = match (mode, invited) {
        (SignupMode::Open, _) | (SignupMode::Invite, true) => return Ok(()),
        (SignupMode::Invite, false) => "sign-up requires an invitation; send its token as `invite`",
        (SignupMode::Closed, _) => "sign-up is closed; ask the operator of this server for an account",
    };
    Err(Problem::new(Refusal::SignupClosed, message))
}

/// Returns a timer for the earliest response to a sign-up.
pub(super) fn answer_at() -> tokio::time::Sleep {
    sleep(ANSWERED_AFTER)
}
