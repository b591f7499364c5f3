//! `POST /api/keys/lookup`: finds a leaked key by its last four characters, or by the whole key.

use std::sync::Arc;

use access::{ApiKey, Refusal, Secret};
use axum::Json;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::detail::KeyUser;
use crate::input;
use crate::message::problem::Problem;
use crate::nouns::key_view::KeyView;
use crate::nouns::reach;
use crate::process::state::App;
use crate::sign_in::caller::Admin;

const LAST4_CHARS: usize = 4;

/// The characters of a key that are known: exactly one of the fields.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ApiKeyLookup, example = json!({"last4": "9f3c"}))]
#[serde(deny_unknown_fields)]
struct KeyLookupRequest {
    /// The last four characters.
    #[schema(min_length = 4, max_length = 4)]
    last4: Option<String>,
    /// The whole key. It is compared by its hash, and neither stored nor logged.
    #[schema(value_type = Option<String>)]
    key: Option<Secret>,
}

/// The keys that match, newest first, at most 50. Revoked and expired keys are included.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyLookupResult)]
pub(in crate::routes) struct FoundKeys {
    items: Vec<FoundKey>,
}

/// A key that matches, with its user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FoundApiKey)]
struct FoundKey {
    #[serde(flatten)]
    view: KeyView,
    /// The user who owns the key.
    user: KeyUser,
}

/// Finds keys of all users by their last four characters or by the whole key, also by the secret before a rotation.
///
/// The whole key is sent in the body, never in the address: browsers hash only on pages over TLS, and every call with the
/// key sends it to this server anyway.
#[utoipa::path(post, path = "/api/keys/lookup", tag = "admin", request_body = KeyLookupRequest,
    security(("key" = []), ("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "unprocessable"]))),
    responses((status = 200, body = FoundKeys, example = json!({"items": [{
        "id": "0199aa00-0000-7000-8000-000000000001", "user_id": "0199aa00-0000-7000-8000-000000000000", "prefix": "tollgate",
        "last4": "9f3c", "label": "laptop", "created_at": "2026-11-20T08:03:52Z", "expires_at": null, "revoked_at": null,
        "last_used_at": "2026-11-20T09:12:00Z", "admin": false, "previous": null,
        "labels": {}, "scopes": {"routes": null, "models": null}, "limits": {"credits_per_day": null, "requests_per_minute": null},
        "addresses": null,
        "user": {"id": "0199aa00-0000-7000-8000-000000000000", "name": "Ada", "email": "ada@example.com", "plan": "starter"}
    }]}))))]
pub(in crate::routes) async fn find(
    State(app): State<Arc<App>>,
    _: Admin,
    request: Request,
) -> Result<Json<FoundKeys>, Problem> {
    let KeyLookupRequest { last4, key } = input::required(request, app.limits.body).await?;
    let keys = match (last4, key) {
        (Some(last4), None) => {
            let last4 = last4.trim().trim_start_matches('…').to_lowercase();
            if last4.chars().count() != LAST4_CHARS || !last4.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(unfit("`last4` must be the last four characters of a key: digits, or letters from a to f"));
            }
            app.store.keys_of_last4(&last4).await?
        }
        (None, Some(key)) => {
            let key = ApiKey::parse(key.expose().trim());
            let key = key.map_err(|_| unfit("`key` must be a prefix, an underscore and 32 lowercase hex digits"))?;
            app.store.key_of_hash(key.hash()).await?.into_iter().collect()
        }
        _ => return Err(Problem::new(Refusal::BadRequest, "send `last4` or `key`")),
    };
    let mut items = Vec::with_capacity(keys.len());
    for key in keys {
        let user = reach::find_user(&app, key.user).await?;
        items.push(FoundKey { user: KeyUser::new(&user, true), view: KeyView::from(key) });
    }
    Ok(Json(FoundKeys { items }))
}

fn unfit(message: &'static str) -> Problem {
    Problem::new(Refusal::Unprocessable, message)
}
