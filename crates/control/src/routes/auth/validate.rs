//! `POST /api/auth/validate`: validation of a key.

use std::sync::Arc;

use access::{KeyId, Secret, UserId};
use axum::extract::{Request, State};
use axum::{Extension, Json};
use http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::input;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::nouns::key_view::Bound;
use crate::nouns::quota::{Quota, SpentCredits};
use crate::process::state::App;
use crate::sign_in::address::Address;
use crate::sign_in::caller::{self, Caller};
use crate::sign_in::limits::{self, BodyKeyVerdict, VALIDATE};

/// A key, if no header field contains one.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"token": "tollgate_0123456789abcdef0123456789abcdef"}))]
#[serde(deny_unknown_fields)]
struct KeyValidationRequest {
    #[schema(value_type = String)]
    token: Secret,
}

/// A valid key with its user and limits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyValidation {
    valid: bool,
    user: User,
    key: Key,
    quota: Quota,
}

#[derive(Debug, Serialize, ToSchema)]
struct User {
    #[schema(value_type = Uuid)]
    id: UserId,
    /// The name; empty for a key that sees only itself.
    name: String,
    /// The e-mail address; null for a service user, and for a key that sees only itself.
    email: Option<String>,
    plan: String,
    status: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct Key {
    #[schema(value_type = Uuid)]
    id: KeyId,
    prefix: String,
    last4: String,
    label: String,
    expires_at: Option<String>,
    /// Whether this secret was replaced by a rotation and is still valid for a limited time.
    rotated: bool,
    /// The key's own quota, if it has one; the user's quota applies as well.
    quota: Option<Quota>,
    #[serde(flatten)]
    bound: Bound,
}

/// Validates a key, and returns its user and limits.
///
/// The key is in the body or in a header field; it may be in both if the values are equal. A key with `addresses` is
/// `forbidden` from others: validate it from a permitted network.
#[utoipa::path(post, path = "/api/auth/validate", tag = "auth", request_body = Option<KeyValidationRequest>,
    security((), ("key" = [])), extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = KeyValidation, example = json!({
        "valid": true,
        "user": {"id": "0199aa00-0000-7000-8000-000000000000", "name": "Ada", "email": "ada@example.com", "plan": "pro",
            "status": "active"},
        "key": {"id": "0199aa00-0000-7000-8000-000000000001", "prefix": "tollgate", "last4": "9f3c", "label": "laptop",
            "expires_at": null, "rotated": false, "quota": null, "scopes": {"routes": null, "models": ["openai/*"]},
            "limits": {"credits_per_day": null, "requests_per_minute": 60}, "addresses": null},
        "quota": {"limit": 10000, "used": 12, "remaining": 9988, "resets_at": "2026-11-21T00:00:00Z"}
    }))))]
pub(crate) async fn validate(
    State(app): State<Arc<App>>,
    address: Address,
    counting: Option<Extension<BodyKeyVerdict>>,
    request: Request,
) -> Result<Json<KeyValidation>, Problem> {
    let headers = request.headers().clone();
    let in_header = caller::presented(&headers)?;
    let body: Option<KeyValidationRequest> = input::json(request, app.limits.body).await?;
    let in_body = body.as_ref().map(|content| content.token.expose());
    let key = caller::one(in_header, in_body)?.ok_or_else(missing)?;

    // The directory goes first: it caches recent look-ups, so that invented keys do not reach the store.
    let (caller, hash) = Caller::find(&app, key, address).await?;
    caller.require_any()?;
    if let Some(Extension(counting)) = counting
        && let Some(key) = caller.key()
    {
        counting.take(&app, key.key, address).await?;
    }
    // That of a key in a header is written.
    if in_header.is_none() {
        limits::note_admin_key(&app, &caller, &Method::POST, VALIDATE).await?;
    }
    let identity = app.store.identity(hash).await??;
    let day = app.clock.now().day();
    let spent = SpentCredits::load(&app, identity.user.no, day).await?;
    let quota = spent.of_user(&identity.user.plan);
    let own = identity.key.bounds.credits_per_day.map(|limit| spent.of_key(identity.key.no, limit));
    let shows_address = caller.only_key().is_none();
    let user = User {
        id: identity.user.id,
        name: if shows_address { identity.user.name } else { String::new() },
        email: match &identity.user.email {
            Some(email) if shows_address => Some(email.as_str().to_owned()),
            Some(_) | None => None,
        },
        plan: identity.user.plan.name.clone(),
        status: identity.user.status.as_str(),
    };
    let key = Key {
        id: identity.key.id,
        prefix: identity.key.prefix,
        last4: identity.key.last4,
        label: identity.key.label,
        expires_at: identity.key.expires_at.map(rfc3339),
        rotated: identity.key.rotated.is_some(),
        quota: own,
        bound: Bound::from_bounds(&identity.key.bounds),
    };
    Ok(Json(KeyValidation { valid: true, user, key, quota }))
}

fn missing() -> Problem {
    caller::missing("send the key as `{\"token\": KEY}`, `Authorization: Bearer KEY` or `X-API-Key: KEY`")
}
