//! `POST /api/auth/login`: sign-in with a password or a key.

use std::sync::Arc;

use access::credentials::password;
use access::{NotFound, Refusal, Secret, UserStatus};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use store::{Email, SessionCredential, User, UserRef};
use utoipa::ToSchema;

use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::address::Address;
use crate::sign_in::attempts::{self, AccountHash, PasswordAttempt};
use crate::sign_in::caller::{Caller, SignInMethod};
use crate::sign_in::csrf;
use crate::sign_in::known_browser::KnownBrowser;
use crate::sign_in::refused_sign_ins::{self, RefusedSignIn, SignInReason};
use crate::sign_in::{self, Account, SignInResponse, TokenTransport, WRONG};

/// The maximum length of a presented password that is verified: that of 128 characters.
const PASSWORD_BYTES_MAX: usize = 512;

/// Credentials: an e-mail address with its password, or only a key.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = Login, example = json!({"email": "ada@example.com", "password": "correct horse battery"}))]
#[serde(deny_unknown_fields)]
struct LoginRequest {
    /// The user's e-mail address.
    email: Option<String>,
    /// The password of the user.
    #[schema(value_type = Option<String>)]
    password: Option<Secret>,
    /// A key, instead of e-mail address and password.
    #[schema(value_type = Option<String>)]
    key: Option<Secret>,
    /// Whether the body of the response contains the refresh token, for programs without a cookie store. Default
    /// false.
    #[serde(default)]
    refresh: bool,
}

enum LoginMethod {
    Password(String, Secret),
    Key(Secret),
}

/// Signs in and begins a new session.
///
/// A session that begins with a key has the rights of the key.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = LoginRequest, security(()),
    extensions(("x-codes" = json!(["unauthorized", "key_malformed", "key_unknown", "key_revoked", "key_expired", "forbidden",
        "user_suspended", "rate_limited", "overloaded", "directory_busy"]))),
    responses((status = 200, body = SignInResponse, example = json!({
        "user": Account::ada(),
        "access_token": "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIwMTk5In0.c2lnbmF0dXJl",
        "expires_at": "2026-11-21T08:03:52Z"
    }))))]
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    address: Address,
    request: Request,
) -> Result<Response, Problem> {
    csrf::check_sign_in(&app, request.headers())?;
    let headers = request.headers().clone();
    let agent = sign_in::agent(&headers);
    let body: LoginRequest = input::required(request, app.limits.body).await?;
    let handing = TokenTransport { in_body: body.refresh, in_cookies: true };
    let (user, credential) = match with(body)? {
        LoginMethod::Password(email, password) => {
            by_password(&app, &headers, address, PresentedPassword::new(&email, password)).await?
        }
        LoginMethod::Key(key) => {
            attempts::take(&app.windows, address, None).await?;
            match by_key(&app, &key, address).await {
                Err(problem) if !problem.is_ours() => {
                    let refused = RefusedSignIn { address, user: None, reason: SignInReason::Key };
                    refused_sign_ins::note(&app, refused).await?;
                    return Err(problem);
                }
                found => found?,
            }
        }
    };
    let pair = sign_in::begin(&app, user.id, credential, address, agent).await?;
    Ok(pair.with_user(&app, StatusCode::OK, (&user).into(), handing))
}

fn with(body: LoginRequest) -> Result<LoginMethod, Problem> {
    match (body.email, body.password, body.key) {
        (Some(email), Some(password), None) => Ok(LoginMethod::Password(email, password)),
        (None, None, Some(key)) => Ok(LoginMethod::Key(key)),
        _ => Err(Problem::new(Refusal::BadRequest, "send `email` and `password`, or only `key`")),
    }
}

/// An e-mail address and a password as a client presents them, in bounded memory: an attempt may wait for seconds.
struct PresentedPassword {
    /// The hash of an address that no account can have.
    address: Result<Email, AccountHash>,
    password: Secret,
}

impl PresentedPassword {
    fn new(email: &str, password: Secret) -> Self {
        let address = Email::sought(email).map_err(|_| AccountHash::from_email(email, None));
        // A password this long is wrong, and so is an empty one.
        let is_short = password.expose().len() <= PASSWORD_BYTES_MAX;
        Self { address, password: if is_short { password } else { Secret::new(String::new()) } }
    }
}

/// Checks a password. The query and the work are the same for accounts that do not exist or have no password, so that
/// response times reveal nothing.
async fn by_password(
    app: &App,
    headers: &HeaderMap,
    address: Address,
    presented: PresentedPassword,
) -> Result<(User, SessionCredential), Problem> {
    let PresentedPassword { address: email, password } = presented;
    let found = match &email {
        Ok(email) => app.store.credentials_of(email).await?,
        Err(_) => None,
    };
    let (user, phc) = match found {
        Some((user, phc)) => (Some(user), phc),
        None => (None, None),
    };
    let account = email.map_or_else(|hash| hash, |email| AccountHash::from_email(email.as_str(), phc.as_ref()));
    let browser =
        user.as_ref().zip(phc.as_ref()).and_then(|(user, phc)| KnownBrowser::find(app, headers, user.id, phc));
    let seat = attempts::seat(app, PasswordAttempt { address, account: &account, browser }).await?;
    let stored = phc.clone();
    let right = seat.work(move || match &stored {
        Some(stored) => password::verify(&password, stored),
        None => {
            password::absent(&password);
            false
        }
    });
    match (right.await?, user, phc) {
        (true, Some(user), Some(_)) if user.status == UserStatus::Suspended => {
            let refused = RefusedSignIn { address, user: Some(user.id), reason: SignInReason::Suspended };
            refused_sign_ins::note(app, refused).await?;
            Err(store::InvalidSession::Suspended.into())
        }
        (true, Some(user), Some(phc)) => Ok((user, SessionCredential::Password(phc))),
        (_, user, _) => {
            let user = user.map(|user| user.id);
            refused_sign_ins::note(app, RefusedSignIn { address, user, reason: SignInReason::Password }).await?;
            Err(Problem::new(Refusal::Unauthorized, WRONG))
        }
    }
}

async fn by_key(app: &App, key: &Secret, address: Address) -> Result<(User, SessionCredential), Problem> {
    let (caller, secret) = Caller::find(app, key.expose(), address).await?;
    // A session shows the account.
    caller.require_read()?;
    let SignInMethod::Key(principal) = caller.via else { return Err(Problem::internal()) };
    if principal.rotated.is_some() {
        // A session refers to its key and not to a secret, so it would outlive the replaced secret.
        return Err(NotFound::Rotated.into());
    }
    if principal.is_admin {
        let message = "a key with the scope `admin` begins no session; send it as `Authorization: Bearer KEY`";
        return Err(Problem::new(Refusal::Forbidden, message));
    }
    let user = app.store.find_user(&UserRef::Id(principal.user)).await?;
    let user = user.ok_or_else(Problem::internal)?;
    Ok((user, SessionCredential::Key { key: principal.key, secret }))
}
