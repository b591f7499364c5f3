//! `/api/provider-keys`, `/api/provider-keys/{id}` and `/api/provider-keys/{id}/test`: credentials of LLM providers. No
//! response contains a stored credential.

use std::sync::Arc;

use access::credentials::service_account::GOOGLE_TOKEN_URI;
use access::{ProviderKeyId, Refusal, Role, Secret, ServiceAccount};
use axum::Json;
use axum::extract::{Request, State};
use config::Snapshot;
use config::snapshot::Provider;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use store::{NewProviderKey, ProviderKeyChange, StoredProviderKey};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::input::{self, Segment};
use crate::message::moment::rfc3339;
use crate::message::problem::{NO_PROVIDER_KEY, Problem};
use crate::nouns::reach;
use crate::process::outbound::TestedCredential;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, KeyOwner};

/// The permitted size of a credential in bytes.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 8..=4_096;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ProviderKeyListQuery {
    /// Whether to list the shared credentials instead of the user's own ones; only for admins. Default false.
    shared: Option<bool>,
}

/// A page of credentials, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderKeys {
    items: Vec<ProviderKeyView>,
    /// Always null: one page contains all credentials, at most 100.
    next: Option<String>,
}

/// A stored credential of an LLM provider, without its secret.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderKey)]
pub(super) struct ProviderKeyView {
    /// The id of the credential.
    #[schema(value_type = Uuid)]
    id: ProviderKeyId,
    /// The provider of the credential, as in `PROVIDER/MODEL`, or the upstream.
    provider: String,
    /// The label of the credential.
    label: String,
    /// The last four characters of the secret.
    last4: String,
    /// Whether all users whose plan permits shared credentials may use it.
    shared: bool,
    /// The time of creation.
    #[schema(format = DateTime)]
    created_at: String,
    /// The time of the last change.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<StoredProviderKey> for ProviderKeyView {
    fn from(stored: StoredProviderKey) -> Self {
        Self {
            id: stored.id,
            provider: stored.provider,
            label: stored.label,
            last4: stored.last4,
            shared: stored.owner.is_none(),
            created_at: rfc3339(stored.created_at),
            updated_at: rfc3339(stored.updated_at),
        }
    }
}

/// A credential to store.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewProviderKey, example = json!({"provider": "openai", "label": "team", "secret": "sk-proj-EXAMPLE"}))]
#[serde(deny_unknown_fields)]
struct NewProviderKeyRequest {
    /// The name of a provider that is configured, or that the credential enables. For a shared credential that headers of
    /// routes contain, the name of an upstream.
    #[schema(min_length = 1, max_length = 64)]
    provider: String,
    /// The label: 1 to 200 characters, different for each credential.
    #[schema(min_length = 1, max_length = 200)]
    label: String,
    /// The secret: 8 to 4,096 visible ASCII characters; of Vertex AI, the JSON file of a service account's key.
    #[schema(value_type = String, min_length = 8, max_length = 4096)]
    secret: Secret,
    /// Whether all users whose plan permits shared credentials may use it; only for admins. Default false.
    shared: Option<bool>,
}

/// Changes of a credential. Missing fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ProviderKeyChange, example = json!({"secret": "sk-proj-EXAMPLE"}))]
#[serde(deny_unknown_fields)]
struct ProviderKeyChangeRequest {
    /// The label of the credential.
    #[schema(min_length = 1, max_length = 200)]
    label: Option<String>,
    /// The secret that replaces the previous one.
    #[schema(value_type = Option<String>, min_length = 8, max_length = 4096)]
    secret: Option<Secret>,
}

/// The result of testing a credential.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderKeyTest)]
pub(super) struct ProviderKeyTestResult {
    /// Whether the provider accepts the credential.
    ok: bool,
    /// The status of the provider's response; null without a response.
    status: Option<u16>,
    /// The duration of the test.
    latency_ms: u64,
    /// The result in words.
    message: String,
}

/// Lists the user's own credentials, or with `?shared=true` the shared ones.
#[utoipa::path(get, path = "/api/provider-keys", tag = "provider keys", params(ProviderKeyListQuery),
    security(("key" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = ProviderKeys, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000004", "provider": "openai", "label": "team", "last4": "MPLE",
            "shared": false, "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-20T08:03:52Z"}],
        "next": null
    }))))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<ProviderKeys>, Problem> {
    let ProviderKeyListQuery { shared } = input::query(request.uri())?;
    let owner = owner(&caller, shared)?;
    let found = app.store.provider_keys(owner).await?;
    Ok(Json(ProviderKeys { items: found.into_iter().map(ProviderKeyView::from).collect(), next: None }))
}

/// Stores a credential; requests use it within a second.
///
/// It is encrypted before it is stored, and no response contains it.
#[utoipa::path(post, path = "/api/provider-keys", tag = "provider keys", request_body = NewProviderKeyRequest,
    security(("key" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "conflict", "unprocessable"]))),
    responses((status = 201, body = ProviderKeyView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000004", "provider": "openai", "label": "team", "last4": "MPLE", "shared": false,
        "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-20T08:03:52Z"
    }))))]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    request: Request,
) -> Result<(StatusCode, Json<ProviderKeyView>), Problem> {
    let NewProviderKeyRequest { provider, label, secret, shared } = input::required(request, app.limits.body).await?;
    let owner = owner(&caller, shared)?;
    require_shared(&caller, owner)?;
    check_provider(&app.live.load(), &provider, owner.is_none())?;
    input::check_name("label", &label)?;
    check_secret(&app.live.load(), &secret, &provider)?;
    if owner.is_none() {
        refuse_exposed_demo_keys(&app, &provider).await?;
    }
    let new = NewProviderKey { owner, provider, label, secret };
    let created = app.store.create_provider_key(&caller.actor(), &app.vault, new).await?;
    Ok((StatusCode::CREATED, Json(created.into())))
}

/// Renames a credential or replaces its secret, within a second.
#[utoipa::path(patch, path = "/api/provider-keys/{id}", tag = "provider keys", request_body = ProviderKeyChangeRequest,
    security(("key" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The credential")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = ProviderKeyView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000004", "provider": "openai", "label": "team", "last4": "MPLE", "shared": false,
        "created_at": "2026-11-20T08:03:52Z", "updated_at": "2026-11-21T10:00:00Z"
    }))))]
pub(super) async fn change(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<ProviderKeyView>, Problem> {
    let ProviderKeyChangeRequest { label, secret } = input::required(request, app.limits.body).await?;
    label.as_deref().map_or(Ok(()), |label| input::check_name("label", label))?;
    let stored = own(&app, &caller, &id).await?;
    if let Some(secret) = &secret {
        check_secret(&app.live.load(), secret, &stored.provider)?;
    }
    let id = stored.id;
    let change = ProviderKeyChange { label, secret };
    let changed = app.store.change_provider_key(&caller.actor(), &app.vault, id, change).await?;
    Ok(Json(changed.into()))
}

/// Deletes a credential permanently; requests stop using it within a second.
#[utoipa::path(delete, path = "/api/provider-keys/{id}", tag = "provider keys", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The credential")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 204, description = "The credential was deleted")))]
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    Segment(id): Segment,
) -> Result<StatusCode, Problem> {
    let id = own(&app, &caller, &id).await?.id;
    app.store.delete_provider_key(&caller.actor(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tests a stored credential by requesting the provider's list of models, or an access token, which costs nothing.
///
/// Only the status of the provider's response is reported.
#[utoipa::path(post, path = "/api/provider-keys/{id}/test", tag = "provider keys", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The credential")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "overloaded"]))),
    responses((status = 200, body = ProviderKeyTestResult, example = json!({
        "ok": true, "status": 200, "latency_ms": 182, "message": "the provider accepts this credential"
    }))))]
pub(super) async fn test(
    State(app): State<Arc<App>>,
    KeyOwner(caller): KeyOwner,
    Segment(id): Segment,
) -> Result<Json<ProviderKeyTestResult>, Problem> {
    let stored = own(&app, &caller, &id).await?;
    let snapshot = app.live.load_full();
    let provider = provider_of(&snapshot, &stored.provider).map_err(|_| {
        Problem::new(Refusal::Conflict, "no configured provider has this credential, so it cannot be tested")
    })?;
    let secret = stored.open(&app.vault).map_err(|why| {
        tracing::error!(provider_key = %stored.id, %why, "cannot decrypt a provider credential");
        Problem::new(
            Refusal::Unavailable,
            "this credential cannot be decrypted at the moment; try again later, or store it again",
        )
    })?;
    let asked_at = app.clock.mono();
    let tested = TestedCredential { provider, secret: &secret, now: app.clock.now() };
    let answered = app.outbound.ask(caller.user, tested).await?;
    let took = app.clock.mono().since(asked_at);
    let (ok, status, message) = match answered {
        Ok(status) => {
            let (ok, message) = judge(provider, status);
            (ok, Some(status.as_u16()), message.to_owned())
        }
        Err(why) => {
            tracing::info!(
                provider = &*provider.name,
                error = &why as &dyn std::error::Error,
                "no response from the provider to a credential test"
            );
            (false, None, format!("no response from the provider: {why}"))
        }
    };
    Ok(Json(ProviderKeyTestResult {
        ok,
        status,
        latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        message,
    }))
}

/// Returns whether the provider accepts the credential according to a status, and a message.
fn judge(provider: &Provider, status: StatusCode) -> (bool, &'static str) {
    match status.as_u16() {
        200..=299 => (true, "the provider accepts this credential"),
        code if provider.kind.descriptor().refused_credential.contains(&code) => {
            (false, "the provider refuses this credential")
        }
        429 => (false, "the provider reports too many requests, or that the account's limit is reached"),
        300..=399 => (false, "the provider redirects, which is not followed; check its base_url"),
        404 => (false, "the provider has no list of models at this address; check its base_url"),
        500..=599 => (false, "the provider reports an internal error; try again later"),
        _ => (false, "the provider rejects the request; check its base_url"),
    }
}

/// Returns the owner of the requested credentials: the caller's user, or `None` for shared ones, which requires an
/// admin.
fn owner(caller: &Caller, shared: Option<bool>) -> Result<Option<access::UserId>, Problem> {
    match (shared.unwrap_or(false), caller.role) {
        (false, _) => Ok(Some(caller.user)),
        (true, Role::Admin) => Ok(None),
        (true, Role::Member) => Err(Problem::new(
            Refusal::Forbidden,
            "shared credentials are for admins, who sign in with their password or use a key with the scope `admin`",
        )),
    }
}

/// Refuses keys with the scope `admin` for a credential of their user.
fn require_shared(caller: &Caller, owner: Option<access::UserId>) -> Result<(), Problem> {
    owner.map_or(Ok(()), |_| reach::refuse_admin_key(caller))
}

/// Returns a credential that the caller may use: the user's own one, or for admins a shared one.
///
/// # Errors
/// `not_found`, also for a credential of another user, so that its existence stays secret; `forbidden` for the user's
/// own one if the caller is a key with the scope `admin`.
async fn own(app: &App, caller: &Caller, id: &str) -> Result<StoredProviderKey, Problem> {
    let missing = || Problem::new(Refusal::NotFound, NO_PROVIDER_KEY);
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let found = app.store.find_provider_key(ProviderKeyId(id)).await?;
    let may = |found: &StoredProviderKey| match found.owner {
        Some(owner) => owner == caller.user,
        None => caller.role == Role::Admin,
    };
    let found = found.filter(may).ok_or_else(missing)?;
    require_shared(caller, found.owner)?;
    Ok(found)
}

/// Refuses a shared credential that switches `provider` on, if a listener is public and the store has demo users, whose keys
/// would spend its money. A start refuses both together too.
async fn refuse_exposed_demo_keys(app: &App, provider: &str) -> Result<(), Problem> {
    let snapshot = app.live.load_full();
    let is_offered = snapshot.traffic.offered_providers.iter().any(|offered| *offered.name == *provider);
    if !is_offered || snapshot.process.public_listener().is_none() || !app.store.has_demo_users().await? {
        return Ok(());
    }
    let why = "the store has demo users: a shared credential that costs money is not allowed beside a public listener";
    Err(Problem::new(Refusal::Conflict, why))
}

/// Checks that a credential for this name has a use: those of providers, and shared ones of upstreams.
fn check_provider(snapshot: &Snapshot, name: &str, is_shared: bool) -> Result<(), Problem> {
    let upstreams: Vec<&str> = if is_shared {
        snapshot.traffic.upstreams.iter().map(|upstream| &*upstream.name).collect()
    } else {
        Vec::new()
    };
    if upstreams.contains(&name) || snapshot.traffic.provider(name).is_some() {
        return Ok(());
    }
    Err(no_provider(snapshot, &upstreams))
}

/// Finds the provider with this name.
fn provider_of<'a>(snapshot: &'a Snapshot, name: &str) -> Result<&'a Provider, Problem> {
    snapshot.traffic.provider(name).map(|found| &**found).ok_or_else(|| no_provider(snapshot, &[]))
}

/// The error for a name that neither a provider nor one of `upstreams` has.
fn no_provider(snapshot: &Snapshot, upstreams: &[&str]) -> Problem {
    let providers: Vec<&str> = snapshot.traffic.known_providers().map(|provider| &*provider.name).collect();
    let providers = providers.join(", ");
    let upstreams = upstreams.join(", ");
    let message = match (providers.is_empty(), upstreams.is_empty()) {
        (true, true) => "no provider is configured".to_owned(),
        (false, true) => format!("`provider` must be one of the providers: {providers}"),
        (true, false) => format!("`provider` must be one of the upstreams: {upstreams}"),
        (false, false) => {
            format!("`provider` must be one of the providers: {providers}, or of the upstreams: {upstreams}")
        }
    };
    Problem::new(Refusal::Unprocessable, message)
}

/// Checks a secret for the provider with this name. A service account of the vault, also a shared one, must get its tokens from a
/// known endpoint: each test and each call sends a request there.
fn check_secret(snapshot: &Snapshot, secret: &Secret, provider: &str) -> Result<(), Problem> {
    let text = secret.expose();
    let has_length = SECRET_BYTES.contains(&text.len());
    let unprocessable = |message| Err(Problem::new(Refusal::Unprocessable, message));
    if let Some(provider) = snapshot.traffic.provider(provider).filter(|provider| provider.has_service_accounts()) {
        return match ServiceAccount::parse(text) {
            Err(error) => unprocessable(format!("`secret` must be {error}")),
            Ok(_) if !has_length => unprocessable("`secret` must have at most 4,096 bytes".to_owned()),
            Ok(account) if !provider.token_uris().any(|known| known == account.token_uri().as_str()) => {
                unprocessable(format!("`secret` must be a file whose `token_uri` is {GOOGLE_TOKEN_URI}"))
            }
            Ok(_) => Ok(()),
        };
    }
    if has_length && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    unprocessable("`secret` must have 8 to 4,096 visible ASCII characters, without spaces".to_owned())
}
