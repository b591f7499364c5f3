//! `GET` and `POST /api/keys`, `PATCH` and `DELETE /api/keys/{id}`, `POST /api/keys/{id}/rotate`: the keys of users.
//! [`detail`] shows one key with its use, and [`lookup`] finds a leaked key. Only the responses to a creation and a rotation
//! contain a secret.

pub(super) mod detail;
pub(super) mod lookup;
mod repeats;
mod requests;

use std::sync::Arc;

use access::{ApiKey, KeyId, Refusal, Role, Timestamp, UserId};
use axum::Json;
use axum::extract::{Request, State};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{
    Key, KeyError, KeyFilter, KeyPage, KeyPageQuery, KeyRef, KeySecret, NewKey, OwnedKey, OwnedKeyState, Rotation,
};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::users;
use crate::input::{self, Segment};
use crate::message::listing;
use crate::message::moment::{self, rfc3339};
use crate::message::problem::Problem;
use crate::nouns::key_view::KeyView;
use crate::nouns::reach;
use crate::nouns::usage_scope::no_such_user;
use crate::process::state::App;
use crate::sign_in::caller::{Admin, Caller, KeyOwner, KeyReader};
use repeats::{IdempotencyField, IdempotencyKey};
use requests::{CheckedNewKey, KeyChangeRequest, KeyRotationRequest, NewKeyRequest};

/// The maximum number of characters of `text`.
const TEXT_MAX: usize = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct KeyListQuery {
    /// Whether the list includes revoked keys. Default false.
    revoked: Option<bool>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
    /// The user; only for admins. Default: the authenticated user.
    user_id: Option<Uuid>,
    /// The keys of `me` (the default), or of `all` users with their owners. Only for admins, except `me`.
    scope: Option<String>,
    /// Returns only keys in this state: `active`, `expired` or `revoked`. With `scope=all` only.
    state: Option<String>,
    /// Returns only keys that were not used since this time (RFC 3339); keys without a use count from their creation. With
    /// `scope=all` only.
    #[param(format = DateTime)]
    unused_since: Option<String>,
    /// Returns only keys whose label, last four characters, or owner's name or e-mail address contain this text, in any case
    /// of ASCII letters. With `scope=all` only.
    #[param(max_length = 100)]
    text: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct UserKeyListQuery {
    /// Whether the list includes revoked keys. Default false.
    revoked: Option<bool>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// A page of keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeys)]
pub(super) struct Keys {
    items: Vec<ListedKey>,
    /// The cursor of the next page; null on the last page. With `scope=all`, a page can contain fewer items than requested, or no
    /// items, and still be followed by another page.
    next: Option<String>,
}

/// A key in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedApiKey)]
pub(super) struct ListedKey {
    #[serde(flatten)]
    view: KeyView,
    /// The owner; only with `scope=all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<ListedOwner>,
}

/// The owner of a key in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedApiKeyOwner)]
pub(super) struct ListedOwner {
    #[schema(value_type = Uuid)]
    id: UserId,
    name: String,
    /// The e-mail address; null for a service user.
    email: Option<String>,
}

impl From<Key> for ListedKey {
    fn from(key: Key) -> Self {
        Self { view: key.into(), user: None }
    }
}

impl From<OwnedKey> for ListedKey {
    fn from(OwnedKey { key, owner_name, owner_email }: OwnedKey) -> Self {
        let owner = ListedOwner { id: key.user, name: owner_name, email: owner_email };
        Self { view: key.into(), user: Some(owner) }
    }
}

/// A key with its secret, which no other response contains.
#[derive(Serialize, ToSchema)]
#[schema(as = ApiKeyWithSecret)]
pub(super) struct KeyWithSecret {
    /// The whole key: `tollgate_` and 32 hex digits. Store it now; it is not shown again.
    key: String,
    #[serde(flatten)]
    view: KeyView,
}

impl KeyWithSecret {
    fn new(secret: &ApiKey, stored: Key) -> Self {
        Self { key: secret.expose().to_owned(), view: stored.into() }
    }
}

/// Lists the keys of the authenticated user; for admins also the keys of any user (`user_id`) or of all users (`scope=all`). A
/// restricted key without `scopes.control: read` sees only itself.
#[utoipa::path(get, path = "/api/keys", tag = "keys", params(KeyListQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["not_found"]))), responses((status = 200, body = Keys, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000001", "prefix": "tollgate", "user_id": "0199aa00-0000-7000-8000-000000000000", "last4": "9f3c", "label": "laptop",
            "created_at": "2026-11-20T08:03:52Z", "expires_at": null, "revoked_at": null,
            "last_used_at": "2026-11-20T09:12:00Z", "admin": false, "labels": {}, "previous": null, "scopes": {"routes": null, "models": ["openai/*"]},
            "limits": {"credits_per_day": null, "requests_per_minute": 60}, "addresses": ["203.0.113.0/24"]}],
        "next": null
    }))))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    KeyReader(caller): KeyReader,
    request: Request,
) -> Result<Json<Keys>, Problem> {
    let query: KeyListQuery = input::query(request.uri())?;
    if let Some(filter) = query.filter_of_all(&caller)? {
        let limit = listing::limit(query.limit)?;
        let before = listing::after(query.cursor.as_deref())?.map(KeyId);
        let KeyPage { keys, next } = app.store.keys_of_everybody(&filter, before, limit).await?;
        let next = next.map(|next| listing::cursor(next.0));
        return Ok(Json(Keys { items: keys.into_iter().map(ListedKey::from).collect(), next }));
    }
    let user = reach::user_to_read(&caller, query.user_id)?;
    if let Some(own) = caller.only_key() {
        let is_first = listing::after(query.cursor.as_deref())?.is_none();
        let found = if is_first { app.store.find_key(KeyRef::owned_by(user, own.key)).await? } else { None };
        return Ok(Json(Keys { items: found.into_iter().map(ListedKey::from).collect(), next: None }));
    }
    if user != caller.user {
        reach::find_user(&app, user).await?;
    }
    let KeyListQuery { revoked, limit, cursor, .. } = query;
    page(&app, user, UserKeyListQuery { revoked, limit, cursor }).await
}

impl KeyListQuery {
    /// Returns the filter for the keys of all users, if they are requested.
    ///
    /// # Errors
    /// `not_found` if the caller is no admin; `bad_request` for another scope, an invalid filter, and a filter without
    /// `scope=all`.
    fn filter_of_all(&self, caller: &Caller) -> Result<Option<KeyFilter>, Problem> {
        let Self { revoked, user_id, scope, state, unused_since, text, .. } = self;
        let refused = |message| Err(Problem::new(Refusal::BadRequest, message));
        match scope.as_deref() {
            None | Some("me") if state.is_some() || unused_since.is_some() || text.is_some() => {
                return refused("`state`, `unused_since` and `text` need `scope=all`");
            }
            None | Some("me") => return Ok(None),
            Some("all") if caller.role != Role::Admin || caller.only_key().is_some() => {
                return Err(Problem::new(Refusal::NotFound, "no keys with this `scope` are visible to you"));
            }
            Some("all") if revoked.is_some() || user_id.is_some() => {
                return refused("send `scope=all` without `user_id` and `revoked`; `state` selects keys");
            }
            Some("all") => {}
            Some(_) => return refused("`scope` must be `me` or `all`"),
        }
        let state = match state.as_deref() {
            None => None,
            Some("active") => Some(OwnedKeyState::Active),
            Some("expired") => Some(OwnedKeyState::Expired),
            Some("revoked") => Some(OwnedKeyState::Revoked),
            Some(_) => return refused("`state` must be `active`, `expired` or `revoked`"),
        };
        let text = text.clone().filter(|text| !text.is_empty());
        if text.as_ref().is_some_and(|text| text.chars().count() > TEXT_MAX || text.contains(char::is_control)) {
            return refused("`text` must have at most 100 characters, without control characters");
        }
        let unused_since = moment::parse_query("unused_since", unused_since.as_deref())?;
        Ok(Some(KeyFilter { state, unused_since, text }))
    }
}

/// Lists the keys of a user, for admins.
#[utoipa::path(get, path = "/api/users/{id}/keys", tag = "admin", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The user"), UserKeyListQuery), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = Keys, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000001", "prefix": "tollgate", "user_id": "0199aa00-0000-7000-8000-000000000000", "last4": "9f3c", "label": "laptop",
            "created_at": "2026-11-20T08:03:52Z", "expires_at": null, "revoked_at": null,
            "last_used_at": "2026-11-20T09:12:00Z", "admin": false, "labels": {}, "previous": null, "scopes": {"routes": null, "models": null},
            "limits": {"credits_per_day": null, "requests_per_minute": null}, "addresses": null}],
        "next": null
    }))))]
pub(super) async fn of_user(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<Keys>, Problem> {
    let query = input::query(request.uri())?;
    page(&app, users::find(&app, &id).await?.id, query).await
}

async fn page(app: &App, user: UserId, query: UserKeyListQuery) -> Result<Json<Keys>, Problem> {
    let UserKeyListQuery { revoked, limit, cursor } = query;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.map(KeyId);
    let page_query = KeyPageQuery { user, revoked: revoked.unwrap_or(false), before, limit: limit + 1 };
    let mut found = app.store.keys_page(page_query).await?;
    let next = listing::cut(&mut found, limit, |key| key.id.0);
    Ok(Json(Keys { items: found.into_iter().map(ListedKey::from).collect(), next }))
}

/// Creates a key, which is valid at once.
///
/// Only this response contains its secret, in `key`. A repeat with the same `Idempotency-Key` and the same body within 24 hours
/// returns the same key with a new secret, which replaces the first response's secret. Admins create keys of any user with
/// `user_id`, and keys with the scope `admin`.
#[utoipa::path(post, path = "/api/keys", tag = "keys", request_body = NewKeyRequest, security(("key" = []), ("cookie" = [])),
    params(IdempotencyField),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 201, body = KeyWithSecret, example = json!({
        "key": "tollgate_0123456789abcdef0123456789abcdef", "id": "0199aa00-0000-7000-8000-000000000001", "prefix": "tollgate",
        "user_id": "0199aa00-0000-7000-8000-000000000000", "last4": "cdef", "label": "laptop", "created_at": "2026-11-20T08:03:52Z", "expires_at": "2027-02-18T00:00:00Z",
        "revoked_at": null, "last_used_at": null, "admin": false, "labels": {}, "previous": null, "scopes": {"routes": null, "models": ["openai/*"]},
        "limits": {"credits_per_day": 1000, "requests_per_minute": 60}, "addresses": ["203.0.113.0/24"]
    }))))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    request: Request,
) -> Result<(StatusCode, Json<KeyWithSecret>), Problem> {
    let idempotency = IdempotencyKey::from_headers(request.headers())?;
    let body: NewKeyRequest = input::required(request, app.limits.body).await?;
    let CheckedNewKey { user_id, label, expires_at, bounds, is_admin } = body.read(app.clock.now())?;
    if is_admin {
        caller.require_password()?;
    }
    let user = reach::user_to_change(&app, &caller, user_id).await?;
    check_expiry(&caller, expires_at)?;
    let secret = generate(&app)?;
    let new = NewKey { expires_at, bounds, is_admin, ..NewKey::unbounded(user, label, &secret) };
    let stored = match idempotency {
        None => app.store.create_key(&caller.actor(), new).await.map_err(of_a_user)?,
        Some(name) => {
            let body = json!({"user": user, "label": new.label, "expires_at": expires_at.map(|end| end.0), "bounds": new.bounds,
                "admin": is_admin});
            let request = name.request(caller.user, "create", &body);
            let stored = app.store.create_key_once(&caller.actor(), new, &request).await.map_err(of_a_user)?;
            app.sessions.forget_all_of(user);
            stored
        }
    };
    Ok((StatusCode::CREATED, Json(KeyWithSecret::new(&secret, stored))))
}

/// Changes a key's label, expiry, scopes, limits or addresses; admins also its labels.
///
/// Missing fields stay unchanged, and null removes a restriction. The change applies on every server within a second.
#[utoipa::path(patch, path = "/api/keys/{id}", tag = "keys", request_body = KeyChangeRequest, security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The key")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = KeyView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000001", "prefix": "tollgate", "user_id": "0199aa00-0000-7000-8000-000000000000", "last4": "9f3c", "label": "build server",
        "created_at": "2026-11-20T08:03:52Z", "expires_at": null, "revoked_at": null, "last_used_at": "2026-11-20T09:12:00Z",
        "admin": false, "labels": {}, "previous": null, "scopes": {"routes": null, "models": null},
        "limits": {"credits_per_day": 500, "requests_per_minute": null}, "addresses": null
    }))))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<KeyView>, Problem> {
    let body: KeyChangeRequest = input::required(request, app.limits.body).await?;
    let change = body.read(app.clock.now())?;
    // Whether the key exists is reported first.
    let key = reach::key_to_change(&app, &caller, &id).await?;
    if key.is_admin {
        caller.require_password()?;
        KeyChangeRequest::check_of_admin(&change, app.clock.now())?;
    }
    if let Some(expires_at) = change.expires_at {
        check_expiry(&caller, expires_at)?;
    }
    if change.labels.is_some() {
        reach::require_admin(&caller)?;
    }
    let changed = app.store.change_key(&caller.actor(), key.id, change).await?;
    app.sessions.forget_all_of(key.user);
    Ok(Json(changed.into()))
}

/// Revokes a key permanently.
///
/// It is refused on every server within a second. Revoking a revoked key succeeds.
#[utoipa::path(delete, path = "/api/keys/{id}", tag = "keys", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The key")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 204, description = "The key was revoked")))]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let key = reach::key_to_change(&app, &caller, &id).await?;
    app.store.revoke_key(&caller.actor(), key.id).await?;
    app.sessions.forget_all_of(key.user);
    Ok(StatusCode::NO_CONTENT)
}

/// Replaces the secret of a key; id, label, limits and usage stay.
///
/// The previous secret is refused within a second, or remains valid for `grace`. An older secret becomes invalid at
/// once. Sessions that began with the key end, except the session of this request. A repeat with the same
/// `Idempotency-Key` and the same body within 24 hours replaces only the secret of the first response.
#[utoipa::path(post, path = "/api/keys/{id}/rotate", tag = "keys", request_body = Option<KeyRotationRequest>,
    security(("key" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The key"), IdempotencyField),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = KeyWithSecret, example = json!({
        "key": "tollgate_fedcba9876543210fedcba9876543210", "id": "0199aa00-0000-7000-8000-000000000001", "prefix": "tollgate",
        "user_id": "0199aa00-0000-7000-8000-000000000000", "last4": "3210", "label": "laptop", "created_at": "2026-11-20T08:03:52Z", "expires_at": null, "revoked_at": null,
        "last_used_at": "2026-11-20T09:12:00Z",
        "admin": false, "labels": {}, "previous": {"last4": "cdef", "until": "2026-11-20T10:12:00Z", "last_used_at": null},
        "scopes": {"routes": null, "models": null}, "limits": {"credits_per_day": null, "requests_per_minute": null},
        "addresses": null
    }))))]
pub(super) async fn rotate(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<KeyWithSecret>, Problem> {
    let idempotency = IdempotencyKey::from_headers(request.headers())?;
    let body: Option<KeyRotationRequest> = input::json(request, app.limits.body).await?;
    let grace = body.map(KeyRotationRequest::read).transpose()?.unwrap_or_default();
    let key = reach::key_to_change(&app, &caller, &id).await?;
    if key.is_admin {
        caller.require_password()?;
    }
    check_expiry(&caller, key.expires_at)?;
    let secret = generate(&app)?;
    let rotation = Rotation { secret: KeySecret::from_key(&secret), grace };
    let stored = match idempotency {
        None => app.store.rotate_key(&caller.actor(), key.id, rotation).await?,
        Some(name) => {
            let body = json!({"grace_ms": grace.as_millis()});
            let request = name.request(caller.user, &format!("rotate {}", key.id.0), &body);
            app.store.rotate_key_once(&caller.actor(), key.id, rotation, &request).await?
        }
    };
    app.sessions.forget_all_of(key.user);
    Ok(Json(KeyWithSecret::new(&secret, stored)))
}

/// Maps an error of the store: the user of a new key may have been named by the client.
fn of_a_user(error: KeyError) -> Problem {
    if let KeyError::NoUser(_) = error { no_such_user() } else { error.into() }
}

/// Refuses an expiry after the expiry of the caller's own key, because it would circumvent that expiry. A key with the
/// scope `admin` changes only keys of other users.
fn check_expiry(caller: &Caller, expires_at: Option<Timestamp>) -> Result<(), Problem> {
    let own = if caller.admin_key().is_some() { None } else { caller.key().and_then(|key| key.expires_at) };
    match (own, expires_at) {
        (None, _) => Ok(()),
        (Some(own), Some(end)) if end <= own => Ok(()),
        (Some(own), _) => Err(Problem::new(
            Refusal::Forbidden,
            format!(
                "your key expires at {}; it cannot create, change or rotate a key that expires later",
                rfc3339(own)
            ),
        )),
    }
}

fn generate(app: &App) -> Result<ApiKey, Problem> {
    ApiKey::generate(&app.live.load().process.brand.key_prefix).map_err(Problem::fault)
}
