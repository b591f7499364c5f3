//! `GET` and `POST /api/config`, `POST /api/config/validate`, `GET /api/config/history`, `POST /api/config/rollback`: the
//! configuration in force. [`plans`] applies its plans to the store.

pub(super) mod plans;

use std::sync::Arc;

use access::{Refusal, UserId};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use config::{Change, ConfigError, Setting};
use http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::StoredConfiguration;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::configuration::{ApplyError, ConfigurationKey, ConfigurationResult, KeyStatus, RunningText};
use crate::input::{self, Segment};
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Admin;

/// The configuration in force. Its digest is also the `ETag`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Configuration)]
pub(super) struct ConfigurationView {
    /// `file`; `api` for a configuration that was applied over the file with this API; `etcd` for the configuration of a key of
    /// etcd.
    source: &'static str,
    /// The name of the file, or of the stored configuration; empty without a file.
    name: String,
    /// The id of the stored configuration; null if the file is in force.
    #[schema(value_type = Option<Uuid>)]
    id: Option<Uuid>,
    /// The SHA-256 digest of the text.
    digest: String,
    /// The time at which this process applied it.
    #[schema(format = DateTime)]
    applied_at: String,
    /// The text. If it contains secrets, comments are removed and secrets are `***`.
    yaml: String,
    /// Every effective setting with its source. Secrets and values of references are `***`.
    #[schema(value_type = Vec<SettingView>)]
    settings: Arc<[Setting]>,
    /// The key of etcd that has the configuration; null without one.
    etcd: Option<KeyView>,
}

/// The key of etcd that has the configuration, as this process has read it last.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationKey)]
struct KeyView {
    /// The name of the key.
    key: String,
    /// The revision at which the value was written; 0 if the key does not exist, null before the first response.
    revision: Option<u64>,
    /// The time at which etcd last responded; null if it has not since the start.
    #[schema(format = DateTime)]
    responded_at: Option<String>,
    /// The reason why etcd cannot be read, or why its value is not in force; null without one.
    error: Option<String>,
}

/// One setting that is in effect.
#[derive(ToSchema)]
#[schema(as = Setting)]
#[expect(dead_code, reason = "the schema of the JSON that `config::Setting` writes")]
struct SettingView {
    /// The full name, such as `control.listen`.
    key: String,
    /// The value: a text, a number, a boolean, null, or an empty list.
    value: Value,
    /// The source: `default`, a flag, a variable, or a line of a file.
    from: String,
}

/// A configuration to check or to apply.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewConfiguration, example = json!({"yaml": "log: {level: info}"}))]
#[serde(deny_unknown_fields)]
struct ConfigurationRequest {
    /// The whole configuration. References, `${NAME}` and `file:/path`, must be in the configuration file, or listed in
    /// `control.config`.
    yaml: String,
}

/// The configuration to apply again.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ConfigurationRollback, example = json!({"id": "0199aa00-0000-7000-8000-00000000000a"}))]
#[serde(deny_unknown_fields)]
struct RollbackRequest {
    /// The id of an entry of the history.
    id: Uuid,
}

/// The changes of a configuration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationChanges)]
pub(super) struct ChangesView {
    /// The settings that differ from those in force, at most 100.
    #[schema(value_type = Vec<ChangeView>)]
    changes: Vec<Change>,
    /// The number of further changes.
    more: usize,
    /// Facts that may surprise the operator.
    notes: Vec<String>,
    /// The digest of the configuration that is in force now.
    digest: String,
    /// The id of the stored configuration that is in force now; null if the file is.
    #[schema(value_type = Option<Uuid>)]
    id: Option<Uuid>,
}

/// One setting that differs.
#[derive(ToSchema)]
#[schema(as = ConfigurationChange)]
#[expect(dead_code, reason = "the schema of the JSON that `config::Change` writes")]
struct ChangeView {
    /// The full name; an entry of a list with names has its name in place of the index: `routes[users].path`.
    key: String,
    /// The earlier value; null if the setting did not exist.
    before: Value,
    /// The new value; null if the setting does not exist any more.
    after: Value,
}

/// The configurations that were applied last, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationHistory)]
pub(super) struct HistoryView {
    items: Vec<HistoryEntry>,
    /// Always null: the list is not paged.
    next: Option<String>,
}

/// A configuration that was applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ConfigurationEntry)]
struct HistoryEntry {
    /// The id of the entry.
    id: Uuid,
    /// The number of the entry; later ones have greater numbers.
    number: u64,
    /// The source: `file`, `api` or `etcd`.
    source: &'static str,
    /// The SHA-256 digest of the text.
    digest: String,
    /// The time at which it was applied first.
    #[schema(format = DateTime)]
    applied_at: String,
    /// `user` (signed in) or `system` (the server, for a file or a key of etcd).
    actor: String,
    /// The user who applied it; null for a file and for etcd.
    #[schema(value_type = Option<Uuid>)]
    user_id: Option<UserId>,
    /// Whether the text is stored, so that it can be applied again. Texts with secrets are not stored.
    has_text: bool,
    /// Whether it is the stored configuration that is in force on this server.
    is_running: bool,
}

/// A configuration of the history with its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredConfiguration)]
pub(super) struct StoredView {
    #[serde(flatten)]
    entry: HistoryEntry,
    /// The text; null if it is not stored, because it contains secrets.
    yaml: Option<String>,
}

impl ConfigurationView {
    fn from_running(running: &RunningText, key: Option<&ConfigurationKey>) -> Self {
        Self {
            source: running.stored.as_ref().map_or("file", |stored| stored.source.as_str()),
            name: running.name.clone(),
            id: running.stored.as_ref().map(|stored| stored.id),
            digest: running.digest.clone(),
            applied_at: rfc3339(running.applied_at),
            yaml: running.masked(),
            settings: running.settings.iter().map(Setting::without_reference).collect(),
            etcd: key.map(KeyView::from_key),
        }
    }
}

impl KeyView {
    fn from_key(key: &ConfigurationKey) -> Self {
        let KeyStatus { revision, responded_at, unreachable, refused } = key.status();
        Self {
            key: key.name.to_string(),
            revision,
            responded_at: responded_at.map(rfc3339),
            error: unreachable.or(refused).as_deref().map(str::to_owned),
        }
    }
}

impl From<ConfigurationResult> for ChangesView {
    fn from(result: ConfigurationResult) -> Self {
        let ConfigurationResult { changes, more, notes, running } = result;
        Self {
            changes,
            more,
            notes: notes.iter().map(ToString::to_string).collect(),
            digest: running.digest.clone(),
            id: running.stored.as_ref().map(|stored| stored.id),
        }
    }
}

impl HistoryEntry {
    fn from_stored(stored: StoredConfiguration, running: &RunningText) -> Self {
        Self {
            is_running: running.stored.as_ref().is_some_and(|in_force| in_force.id == stored.id),
            id: stored.id,
            number: stored.number,
            source: stored.source.as_str(),
            digest: stored.digest,
            applied_at: rfc3339(stored.applied_at),
            actor: stored.actor,
            user_id: stored.actor_user,
            has_text: stored.text.is_some(),
        }
    }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        let refused = |refusal, message: &'static str| Self::new(refusal, message);
        match error {
            ApplyError::Invalid(error) => {
                let message = "the configuration is invalid; `problems` has the reasons";
                refused(Refusal::Unprocessable, message).with_problems(problems(&error))
            }
            ApplyError::Changed => {
                refused(Refusal::Conflict, "the configuration has changed since it was read; read it again")
            }
            ApplyError::Unknown => refused(Refusal::NotFound, "no entry of the history has this id"),
            ApplyError::NotStored => {
                refused(Refusal::Unprocessable, "the text of this configuration was not stored, as it contains secrets")
            }
            ApplyError::DemoKeysExposed => refused(
                Refusal::Unprocessable,
                "the store has demo users: a provider that costs money is not allowed beside a public listener",
            ),
            ApplyError::NoSignupPlan { plan } => {
                let message = format!("`signup_plan` is {plan}, which neither `plans` nor the store has");
                Self::new(Refusal::Unprocessable, message)
            }
            ApplyError::NoFallbackPlan { .. } => Self::new(Refusal::Unprocessable, error.to_string()),
            ApplyError::BillingNeeded => Self::new(Refusal::Conflict, error.to_string()),
            ApplyError::Redirected { name } => {
                let message = format!(
                    "{name} has stored credentials: sign in with your password to change its servers or to remove it"
                );
                Self::new(Refusal::Forbidden, message)
            }
            ApplyError::Followed { key } => {
                let message = format!("the configuration comes from the key {key} in etcd: change it there");
                Self::new(Refusal::Conflict, message)
            }
            // No request reads the file or the key.
            ApplyError::FileEmptied => Self::new(Refusal::Unprocessable, error.to_string()),
            ApplyError::Key { fault } => Self::new(Refusal::Unprocessable, fault.to_string()),
            ApplyError::Database(error) => error.into(),
            ApplyError::Compiler(error) => Self::fault(error),
        }
    }
}

fn problems(error: &ConfigError) -> Value {
    let problem = |problem: &config::Problem| {
        json!({
            "code": problem.code.name(),
            "message": problem.message,
            "file": (!problem.file.is_empty()).then_some(&problem.file),
            "line": problem.place.map(|place| place.line),
            "column": problem.place.map(|place| place.column),
            "text": problem.to_string(),
        })
    };
    error.problems.iter().map(problem).collect()
}

/// Returns the digest in `If-Match`; `None` for `*`.
fn expected(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let missing = || {
        let message = "send `If-Match` with the ETag of GET /api/config, or `If-Match: *` to replace any configuration";
        Problem::new(Refusal::BadRequest, message)
    };
    let tag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    match tag.trim() {
        "*" => Ok(None),
        tag => {
            let digest = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).ok_or_else(missing)?;
            Ok(Some(digest.to_owned()))
        }
    }
}

fn tag(digest: &str) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{digest}\""))]
}

/// Returns the configuration in force on this server.
#[utoipa::path(get, path = "/api/config", tag = "admin", security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = ConfigurationView, example = json!({
        "source": "file", "name": "tollgate.yaml", "id": null, "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "applied_at": "2026-11-20T08:03:52Z", "yaml": "log: {level: info}\n",
        "settings": [{"key": "log.level", "value": "info", "from": "tollgate.yaml:1"}], "etcd": null
    }))))]
pub(super) async fn show(State(app): State<Arc<App>>, _: Admin) -> Result<impl IntoResponse, Problem> {
    let running = app.configurator.running();
    Ok((tag(&running.digest), Json(ConfigurationView::from_running(&running, app.configurator.key()))))
}

/// Applies a configuration on every server with the same file.
///
/// The request needs `If-Match` with the `ETag` of `GET /api/config`, or `*`.
#[utoipa::path(post, path = "/api/config", tag = "admin", request_body = ConfigurationRequest,
    security(("token" = []), ("cookie" = [])),
    params(("If-Match" = String, Header, description = "The ETag of `GET /api/config`, or `*`")),
    extensions(("x-codes" = json!(["forbidden", "conflict", "unprocessable"]))),
    responses((status = 200, body = ChangesView, example = json!({
        "changes": [{"key": "routes[users].path", "before": "/users", "after": "/v2/users"}], "more": 0, "notes": [],
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "id": "0199aa00-0000-7000-8000-00000000000a"
    }))))]
pub(super) async fn apply(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let over = expected(request.headers());
    let new: ConfigurationRequest = input::required(request, app.limits.body).await?;
    let actor = caller.actor();
    let over = over?;
    let result = app.configurator.apply(&actor, &new.yaml, over.as_deref()).await?;
    Ok((tag(&result.running.digest), Json(ChangesView::from(result))))
}

/// Checks a configuration, and returns its changes without applying them. The audit log gets a line.
#[utoipa::path(post, path = "/api/config/validate", tag = "admin", request_body = ConfigurationRequest,
    security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "unprocessable"]))),
    responses((status = 200, body = ChangesView, example = json!({
        "changes": [{"key": "routes[users].path", "before": "/users", "after": "/v2/users"}], "more": 0, "notes": [],
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "id": null
    }))))]
pub(super) async fn validate(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<Json<ChangesView>, Problem> {
    let new: ConfigurationRequest = input::required(request, app.limits.body).await?;
    Ok(Json(app.configurator.validate(&caller.actor(), &new.yaml).await?.into()))
}

/// Lists the last 20 configurations.
#[utoipa::path(get, path = "/api/config/history", tag = "admin", security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = HistoryView, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-00000000000a", "number": 2, "source": "api",
            "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "applied_at": "2026-11-20T08:03:52Z",
            "actor": "user", "user_id": "0199aa00-0000-7000-8000-000000000000", "has_text": true, "is_running": true}],
        "next": null
    }))))]
pub(super) async fn history(State(app): State<Arc<App>>, _: Admin) -> Result<Json<HistoryView>, Problem> {
    let running = app.configurator.running();
    let stored = app.store.configurations().await?;
    Ok(Json(HistoryView {
        items: stored.into_iter().map(|one| HistoryEntry::from_stored(one, &running)).collect(),
        next: None,
    }))
}

/// Returns one of the last 20 configurations with its text.
#[utoipa::path(get, path = "/api/config/history/{id}", tag = "admin", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The id of an entry of the history")),
    extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = StoredView, example = json!({
        "id": "0199aa00-0000-7000-8000-00000000000a", "number": 2, "source": "api",
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "applied_at": "2026-11-20T08:03:52Z",
        "actor": "user", "user_id": "0199aa00-0000-7000-8000-000000000000", "has_text": true, "is_running": true,
        "yaml": "log: {level: info}\n"
    }))))]
pub(super) async fn entry(
    State(app): State<Arc<App>>,
    _: Admin,
    Segment(id): Segment,
) -> Result<Json<StoredView>, Problem> {
    let id = Uuid::try_parse(&id).map_err(|_| ApplyError::Unknown)?;
    let stored = app.store.find_configuration(id).await?.ok_or(ApplyError::Unknown)?;
    let yaml = stored.text.clone();
    Ok(Json(StoredView { entry: HistoryEntry::from_stored(stored, &app.configurator.running()), yaml }))
}

/// Applies an earlier configuration again, as a new entry of the history.
#[utoipa::path(post, path = "/api/config/rollback", tag = "admin", request_body = RollbackRequest,
    security(("token" = []), ("cookie" = [])),
    params(("If-Match" = String, Header, description = "The ETag of `GET /api/config`, or `*`")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = ChangesView, example = json!({
        "changes": [{"key": "routes[users].path", "before": "/v2/users", "after": "/users"}], "more": 0, "notes": [],
        "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "id": "0199aa00-0000-7000-8000-00000000000b"
    }))))]
pub(super) async fn rollback(
    State(app): State<Arc<App>>,
    Admin(caller): Admin,
    request: Request,
) -> Result<impl IntoResponse, Problem> {
    let over = expected(request.headers());
    let to: RollbackRequest = input::required(request, app.limits.body).await?;
    let actor = caller.actor();
    let over = over?;
    let result = app.configurator.roll_back(&actor, to.id, over.as_deref()).await?;
    Ok((tag(&result.running.digest), Json(ChangesView::from(result))))
}
