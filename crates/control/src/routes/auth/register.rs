//! `POST /api/auth/register`, and what signing up has in common with a link that invites.
//!
//! Whether an address has an account is told only to who was invited under that address. Where anybody may sign up, a taken one is
//! answered as a free one is: the same work, at the same moment, with tokens of a session that there is not. No account and no
//! session of its owner is touched. (Nobody can be kept from learning it by using the tokens: an account that works at once and a
//! secret about who has one exclude each other, unless mail is sent. It costs a sign-in attempt, and leaves an account behind for
//! each address that was free.)

use std::sync::Arc;
use std::time::Duration;

use access::password::Password;
use access::{Ids, Refusal, Secret, SessionId, Ticket, TicketHash, UserId, ticket};
use axum::extract::{Request, State};
use axum::response::Response;
use config::snapshot::SignupMode;
use http::StatusCode;
use serde::Deserialize;
use store::{Actor, By, Credential, Email, Link, NewSession, NewUser, Purpose, Session, StoreError, User};
use tokio::time::sleep;
use utoipa::ToSchema;

use super::password::{chosen, hashed};
use crate::address::Address;
use crate::attempts::{self, Account as Tried};
use crate::moment::rfc3339;
use crate::passwords::Seat;
use crate::problem::Problem;
use crate::sign_in::{self, Account, Handing, Pair, SignedIn};
use crate::state::App;
use crate::{csrf, input};

/// A sign-up is answered no sooner: some times what it takes on a machine that is not overloaded, so that the store's part, which
/// differs, does not show.
const ANSWERED_AFTER: Duration = Duration::from_millis(300);

/// Who signs up.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Register, example = json!({"email": "ada@example.com", "password": "correct horse battery", "name": "Ada",
    "invite": "tgl_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"}))]
#[serde(deny_unknown_fields)]
struct Asked {
    /// An e-mail address: it is the name to sign in with.
    #[schema(max_length = 254)]
    email: String,
    /// 12 to 128 characters, and not easy to guess.
    #[schema(value_type = String, min_length = 12, max_length = 128)]
    password: Secret,
    /// Shown to people; 1 to 200 characters.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// An invitation's token; needed where `signup` is `invite`.
    #[schema(value_type = Option<String>)]
    invite: Option<Secret>,
    /// Whether the answer has the refresh token too, for programs that keep no cookies. Default false.
    #[serde(default)]
    refresh: bool,
}

/// Makes the caller's account and signs it in.
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", request_body = Asked, security(()),
    extensions(("x-codes" = json!(["forbidden", "signup_closed", "conflict", "unprocessable", "rate_limited", "overloaded"]))),
    responses((status = 201, body = SignedIn, example = json!({
        "user": {"id": "0199aa00-0000-7000-8000-000000000000", "name": "Ada", "email": "ada@example.com", "plan": "starter",
            "role": "member", "status": "active", "created_at": "2026-11-20T08:03:52Z"},
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
    let asked: Asked = input::required(request, app.limits.body).await?;
    let handing = Handing { in_body: asked.refresh, in_cookies: true };
    let invitation = match asked.invite {
        Some(token) => Some(invitation(&app, &token).await?),
        None => None,
    };
    let newcomer = Newcomer::of(&app, invitation, (asked.email, asked.name, asked.password))?;
    let seat = app.passwords.seat()?;
    attempts::take(&app.windows, address, Some(&Tried::of(newcomer.email.as_str()))).await?;

    let answer_at = answer_at();
    let refresh = sign_in::new_refresh()?;
    let first = First { agent, refresh: refresh.hash() };
    let (account, pair) = match newcomer.make(&app, seat, (address, Some(first))).await? {
        SignedUp::Made(user, session) => {
            let session = session.ok_or_else(Problem::internal)?;
            (Account::from(&*user), Pair::renewed(&app, &session, refresh)?)
        }
        SignedUp::Taken(account) => {
            let session = SessionId(Ids::new(app.clock.clone()).next_uuid());
            let pair = Pair::of_nobody(&app, account.id, session)?;
            (account, pair)
        }
    };
    answer_at.await;
    Ok(pair.with_user(&app, (StatusCode::CREATED, account), handing))
}

/// An invitation that is open.
pub(super) struct Invitation {
    hash: TicketHash,
    email: Option<Email>,
    plan: Option<String>,
}

impl Invitation {
    pub(super) fn new(hash: TicketHash, (email, plan): (Option<Email>, Option<String>)) -> Self {
        Self { hash, email, plan }
    }

    /// Whose alone it is.
    pub(super) const fn email(&self) -> Option<&Email> {
        self.email.as_ref()
    }
}

async fn invitation(app: &App, token: &Secret) -> Result<Invitation, Problem> {
    let Ok(ticket) = Ticket::parse(ticket::Kind::Link, token.expose()) else { return Err(not_invited()) };
    match app.store.find_link(ticket.hash()).await.map_err(Problem::store)? {
        Some(Link { purpose: Purpose::Invite { email, plan }, .. }) => {
            Ok(Invitation::new(ticket.hash(), (email, plan)))
        }
        Some(_) | None => Err(not_invited()),
    }
}

fn not_invited() -> Problem {
    Problem::new(
        Refusal::SignupClosed,
        "this invitation is used, has expired, is for another address, or is none: ask who runs this server for another",
    )
}

/// Somebody who may sign up, with what can be an account.
pub(super) struct Newcomer {
    pub(super) email: Email,
    name: String,
    password: Password,
    plan: String,
    invitation: Option<Invitation>,
}

/// The session with which a sign-up begins.
struct First {
    agent: Option<String>,
    refresh: TicketHash,
}

/// What a sign-up came to.
pub(super) enum SignedUp {
    /// There is a new account, and its session where one was to begin.
    Made(Box<User>, Option<Session>),
    /// The address had one. This is what is shown of the one that was not made.
    Taken(Account),
}

impl Newcomer {
    /// Judges by `signup` and by what was sent, before anything costs much.
    ///
    /// # Errors
    /// `signup_closed`, `unprocessable`.
    pub(super) fn of(
        app: &App,
        invitation: Option<Invitation>,
        (email, name, password): (String, String, Secret),
    ) -> Result<Self, Problem> {
        let signup = &app.live.load().signup;
        may_sign_up(signup.mode, invitation.is_some())?;
        let email = address_of(&email)?;
        if invitation.as_ref().and_then(|invitation| invitation.email.as_ref()).is_some_and(|own| *own != email) {
            return Err(not_invited());
        }
        let plan = invitation.as_ref().and_then(|invitation| invitation.plan.clone());
        let name = name_of(&name)?;
        let password = chosen("password", password, &[email.as_str(), &name, &app.live.load().brand.name])?;
        Ok(Self { email, name, password, plan: plan.unwrap_or_else(|| signup.plan.clone()), invitation })
    }

    /// Makes the account, where the address has none; it is not signed in.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub(super) async fn sign_up(self, app: &App, seat: Seat<'_>, address: Address) -> Result<SignedUp, Problem> {
        self.make(app, seat, (address, None)).await
    }

    /// Makes the account, where the address has none, with its first session, where it is to have one: both or neither.
    ///
    /// # Errors
    /// `conflict` for a taken address that the invitation names, `signup_closed` where the invitation was used meanwhile,
    /// `unavailable`, `internal` where the plan of sign-ups is none.
    async fn make(
        self,
        app: &App,
        seat: Seat<'_>,
        (address, first): (Address, Option<First>),
    ) -> Result<SignedUp, Problem> {
        let Self { email, name, password, plan, invitation } = self;
        let phc = hashed(seat, password).await?;
        let new = NewUser { password: Some(phc.clone()), ..NewUser::member(email.clone(), name.clone(), plan.clone()) };
        // Nobody who is known asks for it.
        let by = Actor { by: By::System, address: Some(address.0) };
        let hash = invitation.as_ref().map(|invitation| invitation.hash);
        let made = match first {
            None => app.store.register(&by, new, hash).await.map(|user| (user, None)),
            Some(First { agent, refresh }) => {
                let expires_at = sign_in::refresh_until(app.clock.now());
                let session = move |user| NewSession {
                    user,
                    credential: Credential::Password(phc),
                    address: Some(address.0),
                    agent,
                    refresh,
                    expires_at,
                };
                let made = app.store.register_signed_in(&by, (new, hash), session).await;
                made.map(|(user, session)| (user, Some(session)))
            }
        };
        match made {
            Ok((user, session)) => Ok(SignedUp::Made(Box::new(user), session)),
            Err(StoreError::EmailTaken) => {
                if invitation.is_some_and(|invitation| invitation.email.is_some()) {
                    return Err(Problem::new(Refusal::Conflict, "this address has an account: sign in with it"));
                }
                let id = UserId(Ids::new(app.clock.clone()).next_uuid());
                let created_at = rfc3339(app.clock.now());
                let (role, status, email) = ("member", "active", email.as_str().to_owned());
                Ok(SignedUp::Taken(Account { id, name, email, plan, role, status, created_at }))
            }
            Err(StoreError::NoLink) => Err(not_invited()),
            Err(error @ StoreError::NoPlan { .. }) => Err(Problem::fault(error)),
            Err(error) => Err(error.into()),
        }
    }
}

fn may_sign_up(mode: SignupMode, invited: bool) -> Result<(), Problem> {
    let message = match (mode, invited) {
        (SignupMode::Open, _) | (SignupMode::Invite, true) => return Ok(()),
        (SignupMode::Invite, false) => "one signs up here by invitation: send its token as `invite`",
        (SignupMode::Closed, _) => "nobody signs up here: ask who runs this server for an account",
    };
    Err(Problem::new(Refusal::SignupClosed, message))
}

/// # Errors
/// `unprocessable`.
pub(crate) fn address_of(text: &str) -> Result<Email, Problem> {
    Email::parse(text).map_err(|error| Problem::new(Refusal::Unprocessable, format!("`email`: {error}")))
}

/// # Errors
/// `unprocessable`.
pub(crate) fn name_of(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    input::check_name("name", name)?;
    Ok(name.to_owned())
}

/// When a sign-up may be answered.
pub(super) fn answer_at() -> tokio::time::Sleep {
    sleep(ANSWERED_AFTER)
}
