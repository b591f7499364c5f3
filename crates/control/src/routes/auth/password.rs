//! `POST /api/auth/password`: change of the password.

use std::sync::Arc;

use access::credentials::password::{self, Password, PasswordError};
use access::{Refusal, Secret};
use axum::Json;
use axum::extract::{Request, State};
use http::HeaderMap;
use serde::Deserialize;
use store::{PasswordChange, UserRef};
use utoipa::ToSchema;

use super::logout::SessionStatus;
use crate::input;
use crate::message::problem::Problem;
use crate::process::passwords::HashPermit;
use crate::process::state::App;
use crate::sign_in::attempts::{self, AccountHash, PasswordAttempt};
use crate::sign_in::caller::{Person, SignInMethod};
use crate::sign_in::known_browser::KnownBrowser;

/// The current and the new password.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasswordChange, example = json!({"current": "correct horse battery", "new": "another horse, same battery"}))]
#[serde(deny_unknown_fields)]
struct PasswordChangeRequest {
    /// The user's current password.
    #[schema(value_type = String)]
    current: Secret,
    /// The new password: 12 to 128 characters, not easy to guess.
    #[schema(value_type = String, min_length = 12, max_length = 128)]
    new: Secret,
}

/// Changes the password of the signed-in user.
///
/// It requires a session that began with the password. All other sessions of the user end.
#[utoipa::path(post, path = "/api/auth/password", tag = "auth", request_body = PasswordChangeRequest,
    security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "unprocessable", "rate_limited", "overloaded"]))),
    responses((status = 200, body = SessionStatus, example = json!({"status": "password_changed"}))))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Person(caller): Person,
    request: Request,
) -> Result<(HeaderMap, Json<SessionStatus>), Problem> {
    let headers = request.headers().clone();
    let body: PasswordChangeRequest = input::required(request, app.limits.body).await?;
    let user = app.store.find_user(&UserRef::Id(caller.user)).await?;
    let user = user.ok_or_else(Problem::internal)?;
    // A person has an e-mail address.
    let email = user.email.as_ref().ok_or_else(Problem::internal)?;
    let new = chosen("new", body.new, &[email.as_str(), &user.name, &app.live.load().process.brand.name])?;
    let found = app.store.credentials_of(email).await?;
    let Some((_, Some(before))) = found else { return Err(not_current()) };
    let browser = KnownBrowser::find(&app, &headers, caller.user, &before);
    // The holder of a session could guess the password here, so the attempt counts.
    let account = AccountHash::from_email(email.as_str(), Some(&before));
    let seat = attempts::seat(&app, PasswordAttempt { address: caller.address, account: &account, browser }).await?;
    let current = body.current;
    let stored = before.clone();
    if !seat.work(move || password::verify(&current, &stored)).await? {
        return Err(not_current());
    }
    let phc = hashed(app.passwords.seat()?, new).await?;
    let keep = match caller.via {
        SignInMethod::Session { id, .. } => Some(id),
        SignInMethod::Key(_) => None,
    };
    let change = PasswordChange { from: &before, to: &phc, keep };
    match app.store.change_password(&caller.actor(), caller.user, change).await {
        Ok(()) => {}
        Err(store::PasswordChangeError::CredentialGone(_)) => return Err(not_current()),
        Err(error) => return Err(error.into()),
    }
    app.sessions.forget_all_of(caller.user);
    let mut cookies = HeaderMap::new();
    if browser.is_some() {
        KnownBrowser::issue(&app, caller.user, &phc)?.set(&app, &mut cookies);
    }
    Ok((cookies, Json(SessionStatus { status: "password_changed" })))
}

fn not_current() -> Problem {
    Problem::new(Refusal::Forbidden, "`current` is not your password")
}

/// Parses a password that a user chose. `own` contains the user's e-mail address and name, and the brand.
///
/// # Errors
/// `unprocessable`, with the name of the field.
pub(super) fn chosen(field: &'static str, text: Secret, own: &[&str]) -> Result<Password, Problem> {
    Password::parse(text, own).map_err(|error| Problem::new(Refusal::Unprocessable, format!("`{field}`: {error}")))
}

/// Hashes a password as soon as a thread is free.
///
/// # Errors
/// `internal` without memory or randomness.
pub(super) async fn hashed(seat: HashPermit<'_>, password: Password) -> Result<Secret, Problem> {
    let hashed = seat.work(move || password::hash(&password)).await?;
    hashed.map_err(|_: PasswordError| Problem::internal())
}
