//! `GET /api/keys/{id}`: one key with its user and its use.

use std::sync::Arc;

use access::UserId;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use store::User;
use utoipa::ToSchema;

use crate::input::Segment;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::nouns::key_view::KeyView;
use crate::nouns::reach;
use crate::process::state::App;
use crate::routes::usage::history::{UsageOfDay, days_of};
use crate::sign_in::caller::KeyReader;

/// The number of days of the use, including today.
const DAYS: u32 = 30;

/// A key with its user and its use.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyDetail)]
pub(in crate::routes) struct KeyDetail {
    #[serde(flatten)]
    view: KeyView,
    /// The user who owns the key.
    user: KeyUser,
    /// The use of the key.
    #[serde(rename = "use")]
    uses: KeyUse,
    /// The secret before the last rotation; null if the key was never rotated.
    old_secret: Option<OldSecret>,
}

/// The user who owns a key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyUser)]
pub(super) struct KeyUser {
    #[schema(value_type = Uuid)]
    id: UserId,
    /// The name; empty for a key that sees only itself.
    name: String,
    /// The e-mail address; null for a service user, and for a key that sees only itself.
    email: Option<String>,
    /// The name of the user's plan.
    plan: String,
}

/// The last use of a key, and its calls by day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyUse)]
struct KeyUse {
    /// The time of the last use, to about a minute; null if the key was never used.
    #[schema(format = DateTime)]
    at: Option<String>,
    /// The address of the last client; null if it is not known.
    address: Option<String>,
    /// The product that the last client names in `User-Agent`; null without one.
    client: Option<String>,
    /// The last 30 days, oldest first and today last.
    days: Vec<UsageOfDay>,
}

/// The secret of a key before its last rotation.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OldSecret)]
struct OldSecret {
    /// The last four digits of the secret.
    last4: String,
    /// The time of its last use after the rotation, to about a minute; null if it was not used.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    /// The expiry of the secret.
    #[schema(format = DateTime)]
    ends_at: String,
}

impl KeyUser {
    /// Shows the user, without the address if a key sees only itself. The name may be the address too.
    pub(super) fn new(user: &User, shows_address: bool) -> Self {
        let email = if shows_address { user.email.as_ref().map(|email| email.as_str().to_owned()) } else { None };
        let name = if shows_address { user.name.clone() } else { String::new() };
        Self { id: user.id, name, email, plan: user.plan.name.clone() }
    }
}

/// Returns a key of the authenticated user, or for admins of any user, including revoked keys, with its use.
#[utoipa::path(get, path = "/api/keys/{id}", tag = "keys", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The key")), extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = KeyDetail, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000001", "user_id": "0199aa00-0000-7000-8000-000000000000", "prefix": "tollgate",
        "last4": "9f3c", "label": "laptop", "created_at": "2026-11-20T08:03:52Z", "expires_at": null, "revoked_at": null,
        "last_used_at": "2026-11-20T09:12:00Z", "admin": false,
        "previous": {"last4": "cdef", "until": "2026-11-20T10:00:00Z", "last_used_at": null},
        "labels": {}, "scopes": {"routes": null, "models": null}, "limits": {"credits_per_day": null, "requests_per_minute": null},
        "addresses": null,
        "user": {"id": "0199aa00-0000-7000-8000-000000000000", "name": "Ada", "email": "ada@example.com", "plan": "starter"},
        "use": {"at": "2026-11-20T09:12:00Z", "address": "203.0.113.7", "client": "openai-python/1.40.0", "days": [{
            "date": "2026-11-20", "requests": 12, "credits": 12,
            "tokens": {"input": 900, "cached_input": 100, "cache_write": 0, "output": 400, "reasoning": 50, "total": 1450},
            "cost": {"amount_nano": 1234000, "currency": "USD"}, "unpriced_requests": 0}]},
        "old_secret": {"last4": "cdef", "last_used_at": null, "ends_at": "2026-11-20T10:00:00Z"}
    }))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    KeyReader(caller): KeyReader,
    Segment(id): Segment,
) -> Result<Json<KeyDetail>, Problem> {
    let key = reach::key_to_read(&app, &caller, &id).await?;
    let user = reach::find_user(&app, key.user).await?;
    let days = days_of(&app, user.no.into(), Some(key.no), DAYS).await?;
    let client = app.directory.clients().get(key.no).or_else(|| key.used_by.clone());
    let uses = KeyUse {
        at: key.used_at.map(rfc3339),
        address: client.as_ref().map(|client| client.address.to_string()),
        client: client.and_then(|client| client.client),
        days,
    };
    let old_secret = key.previous.as_ref().map(|previous| OldSecret {
        last4: previous.last4.clone(),
        last_used_at: previous.used_at.map(rfc3339),
        ends_at: rfc3339(previous.until),
    });
    let user = KeyUser::new(&user, caller.only_key().is_none());
    Ok(Json(KeyDetail { user, uses, old_secret, view: KeyView::from(key) }))
}
