//! `GET` and `POST /config`: the settings of insights.

use std::sync::Arc;

use access::{Refusal, Role};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use insights::InsightSettings;
use ledger::{SettingsChange, SettingsError};

use super::documented::runtime;
use crate::day_insights::roles::HeldRoles;
use crate::day_insights::settings::{changed, in_force};
use crate::input;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, Person};

/// Returns the settings of insights that are in force, for admins and the role `finance`.
#[utoipa::path(get, path = "/config", tag = "insights", security(("token" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden"]))),
    responses((status = 200, body = InsightSettings, example = json!(runtime("config")))))]
pub(in crate::routes) async fn show(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, Problem> {
    HeldRoles::load(&app, &caller).await?.require_finance()?;
    Ok(with_tag(in_force(&app).await?))
}

/// Replaces the settings of insights.
///
/// The request needs `If-Match` with the `ETag` of `GET /config`, or `*`. `version` is assigned by the server. Only admins
/// change `signoff.roles`.
#[utoipa::path(post, path = "/config", tag = "insights",
    request_body(content = InsightSettings, example = json!(runtime("config"))),
    security(("token" = []), ("cookie" = [])),
    params(("If-Match" = String, Header, description = "The ETag of `GET /config`, or `*`")),
    extensions(("x-codes" = json!(["bad_request", "forbidden", "conflict", "unprocessable"]))),
    responses((status = 200, body = InsightSettings, example = json!(runtime("config")))))]
pub(in crate::routes) async fn change(
    State(app): State<Arc<App>>,
    Person(caller): Person,
    request: Request,
) -> Result<Response, Problem> {
    HeldRoles::load(&app, &caller).await?.require_finance()?;
    let expected = version_of(request.headers());
    let new: InsightSettings = input::required(request, app.limits.body).await?;
    let expected = expected?;
    new.check().map_err(|reason| Problem::new(Refusal::Unprocessable, reason))?;
    let before = in_force(&app).await?;
    if expected.is_some_and(|expected| expected != before.version) {
        return Err(changed());
    }
    if caller.role != Role::Admin && new.signoff != before.signoff {
        // A role could otherwise complete the reviews of others.
        return Err(Problem::new(Refusal::Forbidden, "only admins may change `signoff.roles`"));
    }
    let keys = changed_keys(&before, &new);
    let text = |version: u64| {
        let settings = InsightSettings { version, ..new.clone() };
        // Numbers and texts can always be written.
        serde_json::to_string(&settings).unwrap_or_default()
    };
    let first = InsightSettings::default().version;
    // Also for `*`, the settings are those that were compared.
    let change = SettingsChange { expected: before.version, changed: &keys };
    let number = app.ledger.change_insight_settings(&caller.actor(), change, first, text).await;
    match number {
        Ok(version) => Ok(with_tag(InsightSettings { version, ..new })),
        Err(SettingsError::Changed) => Err(changed()),
        Err(SettingsError::Database(error)) => Err(error.into()),
    }
}

/// Returns the names of the keys whose values differ.
fn changed_keys(before: &InsightSettings, new: &InsightSettings) -> Vec<&'static str> {
    let differs = [
        ("rules", before.rules != new.rules),
        ("anomalies", before.anomalies != new.anomalies),
        ("forecast", before.forecast != new.forecast),
        ("roi", before.roi != new.roi),
        ("signoff", before.signoff != new.signoff),
        ("cache", before.cache != new.cache),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

/// Returns the response with the version as its `ETag`.
pub(super) fn with_tag(settings: InsightSettings) -> Response {
    ([(header::ETAG, format!("\"{}\"", settings.version))], Json(settings)).into_response()
}

/// Returns the version in `If-Match`; `None` for `*`.
///
/// # Errors
/// `bad_request` if it is missing or malformed.
pub(super) fn version_of(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let missing = || {
        let message = "send `If-Match` with the ETag of GET /config, or `If-Match: *` to replace any settings";
        Problem::new(Refusal::BadRequest, message)
    };
    let tag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    if tag.trim() == "*" {
        return Ok(None);
    }
    let version = tag.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    version.and_then(|version| version.parse().ok()).map(Some).ok_or_else(missing)
}
