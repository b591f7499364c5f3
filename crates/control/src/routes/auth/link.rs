//! `GET /link`, `POST /api/auth/link/check`, `POST /api/auth/link`: the use of one-time links.

use std::sync::Arc;

use access::credentials::{password, ticket};
use access::{Refusal, Role, Secret, Ticket, TicketHash, UserId};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use store::{Actor, ActorKind, Link, NewUser, Purpose, RedeemError, RedeemedPassword, UserError, UserRef};
use utoipa::ToSchema;

use super::password::{chosen, hashed};
use super::register::{Invitation, Newcomer, SignUpInput, SignUpOutcome, answer_at};
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::pages::static_file;
use crate::pages::static_file::FileRequest;
use crate::process::state::App;
use crate::sign_in::Account;
use crate::sign_in::address::Address;
use crate::sign_in::attempts::{self, AccountHash};
use crate::sign_in::csrf;
use crate::sign_in::known_browser::KnownBrowser;
use crate::{input, pages};

/// The token of a one-time link.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LinkToken, example = json!({"token": "tgl_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE"}))]
#[serde(deny_unknown_fields)]
struct LinkCheckRequest {
    /// The token: the part of the link after `#`.
    #[schema(value_type = String)]
    token: Secret,
}

/// The purpose of a one-time link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkCheckResponse)]
pub(crate) struct LinkCheckResponse {
    /// `invite`, `password` or `first_admin`.
    kind: &'static str,
    /// The e-mail address of the account; null if the user of the link chooses it.
    email: Option<String>,
    /// The expiry of the link.
    #[schema(format = DateTime)]
    expires_at: String,
}

/// The use of a one-time link.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LinkUse, example = json!({"token": "tgl_Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyMDE",
    "password": "correct horse battery", "name": "Ada", "email": "ada@example.com"}))]
#[serde(deny_unknown_fields)]
struct LinkUseRequest {
    /// The token: the part of the link after `#`.
    #[schema(value_type = String)]
    token: Secret,
    /// The new password of the account: 12 to 128 characters.
    #[schema(value_type = String, min_length = 12, max_length = 128)]
    password: Secret,
    /// The name of the account; not allowed for links of kind `password`.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The e-mail address of the account; not allowed for links of kind `password`, and optional if the link contains
    /// one.
    #[schema(max_length = 254)]
    email: Option<String>,
}

/// The result of using a one-time link.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkUseResponse)]
pub(crate) struct LinkUseResponse {
    /// `invite`, `password` or `first_admin`.
    kind: &'static str,
    user: Account,
}

/// Serves the page that asks for the data that a link needs. A build without the dashboard has a plain one.
pub(crate) async fn page(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.dashboard.find("link.html") {
        Some(page) => {
            // The page of a secret sends no requests to the proxy.
            static_file::respond(page, StatusCode::OK, &FileRequest { headers: &headers, proxy_origin: None })
        }
        None => pages::link(&app.live.load().process.brand.name),
    }
}

/// Returns the purpose of a one-time link without using it.
#[utoipa::path(post, path = "/api/auth/link/check", tag = "auth", request_body = LinkCheckRequest, security(()),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = LinkCheckResponse, example = json!({
        "kind": "invite", "email": "ada@example.com", "expires_at": "2026-11-27T08:03:52Z"
    }))))]
pub(crate) async fn check(State(app): State<Arc<App>>, request: Request) -> Result<Json<LinkCheckResponse>, Problem> {
    let body: LinkCheckRequest = input::required(request, app.limits.body).await?;
    let (_, link) = find(&app, &body.token).await?;
    let email = match &link.purpose {
        Purpose::Invite { email, .. } => email.clone(),
        Purpose::Password { user } => {
            let user = app.store.find_user(&UserRef::Id(*user)).await?;
            user.and_then(|user| user.email)
        }
        Purpose::FirstAdmin => None,
    };
    Ok(Json(LinkCheckResponse {
        kind: kind(&link.purpose),
        email: email.map(|email| email.as_str().to_owned()),
        expires_at: rfc3339(link.expires_at),
    }))
}

/// Uses a one-time link.
///
/// Depending on its kind, the link creates an account by invitation, sets a new password, or creates the first admin. A link
/// that sets the password also lifts the limits on sign-ins of the account; if the password stays the same, the sessions
/// continue.
/// The response contains no session; sign in with the password afterwards.
#[utoipa::path(post, path = "/api/auth/link", tag = "auth", request_body = LinkUseRequest, security(()),
    extensions(("x-codes" = json!(["forbidden", "signup_closed", "not_found", "conflict", "unprocessable", "rate_limited",
        "overloaded"]))),
    responses((status = 200, body = LinkUseResponse, example = json!({
        "kind": "invite",
        "user": Account::ada()
    }))))]
pub(crate) async fn redeem(
    State(app): State<Arc<App>>,
    address: Address,
    request: Request,
) -> Result<Response, Problem> {
    csrf::check_sign_in(&app, request.headers())?;
    let body: LinkUseRequest = input::required(request, app.limits.body).await?;
    let (hash, link) = find(&app, &body.token).await?;
    let kind = kind(&link.purpose);
    let brand = app.live.load().process.brand.name.clone();
    let by = Actor { by: ActorKind::System, address: Some(address.0) };
    let user = match link.purpose {
        Purpose::Invite { email, plan } => sign_up(&app, body, Invitation::new(hash, email, plan), address).await?,
        Purpose::Password { user } => return choose_password(&app, body, PasswordLinkOf { hash, user }, &by).await,
        Purpose::FirstAdmin => {
            let email = input::address_of(&required_text("email", body.email)?)?;
            let name = input::name_of(&required_text("name", body.name)?)?;
            let password = chosen("password", body.password, &[email.as_str(), &name, &brand])?;
            let seat = app.passwords.seat()?;
            attempts::take(&app.windows, address, None).await?;
            let phc = hashed(seat, password).await?;
            let plan = plan_of_first_admin(&app).await?;
            let new = NewUser { role: Role::Admin, password: Some(phc), ..NewUser::member(email, name, plan) };
            let redeemed = app.store.redeem_first_admin(&by, hash, new).await.map_err(not_made)?;
            app.setup.finish();
            Account::from(&redeemed)
        }
    };
    Ok(Json(LinkUseResponse { kind, user }).into_response())
}

/// Sets the password of a link's user. It counts as no attempt: the link proves more than a password, and lifts the limits
/// of the account. If the user chooses the same password again, the sessions continue.
async fn choose_password(
    app: &App,
    body: LinkUseRequest,
    link: PasswordLinkOf,
    by: &Actor,
) -> Result<Response, Problem> {
    if body.name.is_some() || body.email.is_some() {
        return Err(Problem::new(Refusal::BadRequest, "this link takes only `token` and `password`"));
    }
    let holder = app.store.find_user(&UserRef::Id(link.user)).await?;
    let holder = holder.ok_or(RedeemError::NoLink)?;
    let before = match &holder.email {
        Some(email) => app.store.credentials_of(email).await?.and_then(|(_, phc)| phc),
        None => None,
    };
    let own = [holder.address_or_name(), &holder.name, &app.live.load().process.brand.name];
    let presented = body.password.clone();
    let password = chosen("password", body.password, &own)?;
    let seat = app.passwords.seat()?;
    let same_as = match before {
        Some(before) => {
            let stored = before.clone();
            seat.work(move || password::verify(&presented, &stored)).await?.then_some(before)
        }
        None => None,
    };
    let phc = hashed(app.passwords.seat()?, password).await?;
    let user =
        app.store.redeem_password(by, link.hash, RedeemedPassword { phc: &phc, same_as: same_as.as_ref() }).await?;
    app.sessions.forget_all_of(user.id);
    let mut headers = HeaderMap::new();
    KnownBrowser::issue(app, user.id, &phc)?.set(app, &mut headers);
    Ok((headers, Json(LinkUseResponse { kind: "password", user: Account::from(&user) })).into_response())
}

/// A link to choose the password of a user.
struct PasswordLinkOf {
    hash: TicketHash,
    user: UserId,
}

/// Returns the plan of new accounts. If the store has no plan of that name, which only open sign-up needs, returns the
/// first plan.
async fn plan_of_first_admin(app: &App) -> Result<String, Problem> {
    let wished = app.live.load().traffic.signup.plan.clone();
    let plans = app.store.plans().await?;
    let plan = plans.iter().find(|plan| plan.name == wished).or(plans.first());
    let plan =
        plan.ok_or_else(|| Problem::new(Refusal::Conflict, "no plan exists yet; add one to the configuration"))?;
    Ok(plan.name.clone())
}

async fn sign_up(
    app: &App,
    body: LinkUseRequest,
    invitation: Invitation,
    address: Address,
) -> Result<Account, Problem> {
    let email = match (body.email, invitation.email()) {
        (None, Some(own)) => own.as_str().to_owned(),
        (email, _) => required_text("email", email)?,
    };
    let input = SignUpInput { email, name: required_text("name", body.name)?, password: body.password };
    let newcomer = Newcomer::validate(app, Some(invitation), input)?;
    let seat = app.passwords.seat()?;
    attempts::take(&app.windows, address, Some(&AccountHash::from_email(newcomer.email.as_str(), None))).await?;
    let answer_at = answer_at();
    let account = match newcomer.sign_up(app, seat, address).await? {
        SignUpOutcome::Made(user, _) => Account::from(&*user),
        SignUpOutcome::Taken(account) => account,
    };
    answer_at.await;
    Ok(account)
}

/// Maps errors of the store. A missing plan of new accounts is an error of the configuration, not of the client.
fn not_made(error: RedeemError) -> Problem {
    if let RedeemError::User(UserError::NoPlan(error)) = error { Problem::fault(error) } else { error.into() }
}

fn required_text(field: &str, value: Option<String>) -> Result<String, Problem> {
    value.ok_or_else(|| Problem::new(Refusal::BadRequest, format!("this link requires `{field}`")))
}

/// Finds the valid link with this token.
async fn find(app: &App, token: &Secret) -> Result<(TicketHash, Link), Problem> {
    let Ok(ticket) = Ticket::parse(ticket::TicketKind::Link, token.expose()) else {
        return Err(RedeemError::NoLink.into());
    };
    let link = app.store.find_link(ticket.hash()).await?;
    Ok((ticket.hash(), link.ok_or(RedeemError::NoLink)?))
}

const fn kind(purpose: &Purpose) -> &'static str {
    match purpose {
        Purpose::Invite { .. } => "invite",
        Purpose::Password { .. } => "password",
        Purpose::FirstAdmin => "first_admin",
    }
}
