//! `GET /api/providers`: the configured providers, with the caller's credentials and their health.

use std::sync::Arc;
use std::time::Duration;

use access::{ProviderKeyId, Role, Timestamp};
use axum::Json;
use axum::extract::State;
use config::snapshot::{Credential, Provider};
use ledger::ProviderResponse;
use serde::Serialize;
use store::StoredProviderKey;
use telemetry::{TARGET_RESULTS, TargetStatus};
use utoipa::ToSchema;

use crate::message::figures::ms;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::nouns::credentials::{CredentialState, VaultCredentials};
use crate::process::state::App;
use crate::sign_in::caller::Caller;

/// The period before now whose requests show the health of a provider.
const HEALTH_PERIOD: Duration = Duration::from_hours(1);
/// The minimum length of a configured credential of which the last characters are shown.
const SECRET_CHARS_MIN: usize = 16;

/// The list of configured providers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Providers {
    /// The providers that are on, in the order of the configuration; then those that are offered.
    items: Vec<ProviderView>,
    /// Always null: one page contains all providers.
    next: Option<String>,
}

/// A provider of models.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provider)]
struct ProviderView {
    /// The name in `PROVIDER/MODEL`.
    name: String,
    /// The provider's API: `openai`, `anthropic`, `gemini`, `azure_openai`, `bedrock`, or `mock`, which simulates all of
    /// them.
    kind: &'static str,
    /// The host of the provider's `base_url`; null unless the caller is an admin.
    host: Option<String>,
    /// The formats that the provider supports.
    formats: Vec<&'static str>,
    /// Whether the configuration does not list the provider, so that a stored credential switches it on.
    offered: bool,
    credential: ProviderCredentials,
    health: ProviderHealth,
    /// The targets of models with several that this instance has used; null unless the caller is an admin.
    targets: Option<Vec<TargetView>>,
}

/// A target of models that have several. Counts begin with this instance.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderTarget)]
struct TargetView {
    /// The provider's name of the model.
    model: String,
    /// The attempts that the provider served.
    succeeded: u64,
    /// The attempts that failed, by cause. Calls continued with the next target, if there was one.
    failures: Vec<TargetFailures>,
    /// Until when the target is left out after failures; null if calls may use it.
    #[schema(format = DateTime)]
    cooled_down_until: Option<String>,
    /// The moving mean of the time until the first content; null before the first call.
    first_content_ms: Option<f64>,
}

/// The failed attempts for one cause.
#[derive(Debug, Serialize, ToSchema)]
struct TargetFailures {
    /// The cause, as `models[].retry.on` names it; `status` for a single status.
    cause: &'static str,
    attempts: u64,
}

/// The credentials for a provider, without their secrets.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderCredentials {
    #[schema(inline)]
    state: CredentialState,
    /// The user's own credentials in the vault, newest first. Requests use the first one.
    own: Vec<CredentialView>,
    /// The shared credentials in the vault, newest first; null unless the caller is an admin.
    shared: Option<Vec<CredentialView>>,
    /// The configured credential; null unless the caller is an admin.
    configured: Option<ConfiguredCredential>,
}

/// A credential that is in the vault.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProviderCredential)]
struct CredentialView {
    #[schema(value_type = Uuid)]
    id: ProviderKeyId,
    label: String,
    last4: String,
}

/// The credential that the setting `providers[].credential` defines.
#[derive(Debug, Serialize, ToSchema)]
struct ConfiguredCredential {
    /// The source: `configuration`, `vault` or `none`.
    source: &'static str,
    /// The label of the shared credential; null if any may be used, and for other sources.
    label: Option<String>,
    /// The last four characters of the secret in the configuration; null for other sources and short secrets.
    last4: Option<String>,
}

/// The health of a provider according to recorded LLM requests of the last hour: of the newest 500 requests of the user, or
/// of all clients if the caller is an admin. Only the last attempt of a request counts.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderHealth {
    #[schema(inline)]
    status: HealthStatus,
    /// The number of requests with a result of the provider.
    requests: u64,
    /// The number of these requests that failed.
    failures: u64,
    /// The start of the newest request that did not fail; null without one.
    #[schema(format = DateTime)]
    last_success_at: Option<String>,
    /// The start of the newest request that failed; null without one.
    #[schema(format = DateTime)]
    last_failure_at: Option<String>,
    /// The provider's status of that request; null if it sent no response.
    last_failure_status: Option<u16>,
}

/// `ok`: the newest request did not fail. `failing`: it failed, because the provider sent no complete response in time, or
/// the status 401, 403, 429 or 5xx. `unknown`: there was no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HealthStatus {
    Ok,
    Failing,
    Unknown,
}

impl TargetView {
    fn new(status: &TargetStatus, now: Timestamp) -> Self {
        let mut results = TARGET_RESULTS.into_iter().zip(status.attempts);
        let succeeded = results.next().map_or(0, |(_, attempts)| attempts);
        Self {
            model: status.model.to_string(),
            succeeded,
            failures: results
                .filter(|(_, attempts)| *attempts > 0)
                .map(|(cause, attempts)| TargetFailures { cause, attempts })
                .collect(),
            cooled_down_until: status.cooled_down.map(|left| rfc3339(now.after(left))),
            first_content_ms: status.content_us.map(ms),
        }
    }
}

impl From<&StoredProviderKey> for CredentialView {
    fn from(stored: &StoredProviderKey) -> Self {
        Self { id: stored.id, label: stored.label.clone(), last4: stored.last4.clone() }
    }
}

impl From<&Credential> for ConfiguredCredential {
    fn from(credential: &Credential) -> Self {
        let of = |source| Self { source, label: None, last4: None };
        match credential {
            Credential::None => of("none"),
            Credential::Aws(_) | Credential::ServiceAccount(_) => of("configuration"),
            Credential::Vault { label } => Self { label: label.as_ref().map(|label| label.to_string()), ..of("vault") },
            Credential::Fixed(secret) => {
                let text = secret.expose();
                if text.chars().count() < SECRET_CHARS_MIN {
                    return of("configuration");
                }
                let start = text.char_indices().rev().nth(3).map(|(at, _)| at);
                let last4 = start.and_then(|at| text.get(at..)).map(str::to_owned);
                Self { last4, ..of("configuration") }
            }
        }
    }
}

impl ProviderHealth {
    /// Judges the responses of one provider, newest first.
    fn from_responses<'a>(responses: impl Iterator<Item = &'a ProviderResponse>) -> Self {
        let mut health = Self {
            status: HealthStatus::Unknown,
            requests: 0,
            failures: 0,
            last_success_at: None,
            last_failure_at: None,
            last_failure_status: None,
        };
        for response in responses {
            let failed = has_failed(response);
            if health.requests == 0 {
                health.status = if failed { HealthStatus::Failing } else { HealthStatus::Ok };
            }
            health.requests += 1;
            health.failures += u64::from(failed);
            if failed && health.last_failure_at.is_none() {
                health.last_failure_at = Some(rfc3339(response.at));
                health.last_failure_status = response.status;
            } else if !failed && health.last_success_at.is_none() {
                health.last_success_at = Some(rfc3339(response.at));
            }
        }
        health
    }
}

/// Whether the response shows that the provider does not work for the operator. Other statuses of 400 and more are errors of
/// the request.
fn has_failed(response: &ProviderResponse) -> bool {
    !response.is_complete || matches!(response.status, None | Some(401 | 403 | 429 | 500..))
}

impl ProviderView {
    fn new(
        provider: &Provider,
        offered: bool,
        caller: &Caller,
        stored: &VaultCredentials,
        health: ProviderHealth,
    ) -> Self {
        let is_admin = caller.role == Role::Admin;
        let of_provider = |keys: &[StoredProviderKey]| {
            let found = keys.iter().rev().filter(|key| key.provider == *provider.name);
            found.map(CredentialView::from).collect::<Vec<_>>()
        };
        Self {
            name: provider.name.to_string(),
            kind: provider.kind.as_str(),
            host: is_admin.then(|| provider.origin.host.clone()),
            formats: provider.formats().collect(),
            offered,
            credential: ProviderCredentials {
                state: stored.state(provider, &caller.plan),
                own: of_provider(&stored.own),
                shared: is_admin.then(|| of_provider(&stored.shared)),
                configured: is_admin.then(|| ConfiguredCredential::from(&provider.credential)),
            },
            health,
            targets: None,
        }
    }
}

/// Lists the configured providers, and those that a stored credential switches on.
///
/// It reports which credential the caller's requests use, and how the newest requests went. No response contains a
/// credential.
#[utoipa::path(get, path = "/api/providers", tag = "models", security(("key" = []), ("cookie" = [])),
    responses((status = 200, body = Providers, example = json!({
        "items": [{
            "name": "openai", "kind": "openai", "host": null, "formats": ["chat", "responses"], "offered": false,
            "credential": {"state": "own", "own": [{"id": "0199aa00-0000-7000-8000-000000000004", "label": "team", "last4": "MPLE"}],
                "shared": null, "configured": null},
            "health": {"status": "ok", "requests": 12, "failures": 1, "last_success_at": "2026-11-20T08:03:52.000120Z",
                "last_failure_at": "2026-11-20T07:58:11.004000Z", "last_failure_status": 429},
            "targets": [{"model": "gpt-5-mini", "succeeded": 40, "failures": [{"cause": "5xx", "attempts": 3}],
                "cooled_down_until": "2026-11-20T08:04:30.000000Z", "first_content_ms": 412.5}]
        }],
        "next": null
    }))))]
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Result<Json<Providers>, Problem> {
    let stored = VaultCredentials::load(&app.store, caller.user).await?;
    let user = (caller.role != Role::Admin).then_some(caller.user_no);
    let responses = app.ledger.newest_responses(user, app.clock.now().before(HEALTH_PERIOD)).await?;
    let snapshot = app.live.load_full();
    let traffic = &snapshot.traffic;
    let now = app.clock.now();
    let mut targets = app.board.targets();
    targets.sort_by(|a, b| a.model.cmp(&b.model));
    let on = traffic.providers.iter().map(|provider| (provider, false));
    let offered = traffic.offered_providers.iter().map(|provider| (provider, true));
    let items = on.chain(offered).map(|(provider, offered)| {
        let is_of = |response: &&ProviderResponse| match (&response.provider, &response.model) {
            (Some(name), _) => *name == *provider.name,
            (None, Some(model)) => traffic.provider_of(model).is_some_and(|of| of.name == provider.name),
            (None, None) => false,
        };
        let of_provider = responses.iter().filter(is_of);
        let view = ProviderView::new(provider, offered, &caller, &stored, ProviderHealth::from_responses(of_provider));
        let of_provider = |status: &&TargetStatus| status.provider == provider.name;
        let targets = || targets.iter().filter(of_provider).map(|status| TargetView::new(status, now)).collect();
        ProviderView { targets: (caller.role == Role::Admin).then(targets), ..view }
    });
    Ok(Json(Providers { items: items.collect(), next: None }))
}

#[cfg(test)]
mod tests {
    use access::Secret;

    use super::*;

    fn check(responses: &[(u64, Option<u16>, bool)], status: HealthStatus, failures: u64) -> ProviderHealth {
        let responses: Vec<ProviderResponse> = responses
            .iter()
            .map(|(at, status, is_complete)| ProviderResponse {
                provider: Some("openai".to_owned()),
                model: None,
                at: Timestamp(*at),
                status: *status,
                is_complete: *is_complete,
            })
            .collect();
        let health = ProviderHealth::from_responses(responses.iter());
        assert_eq!((health.status, health.failures), (status, failures), "{responses:?}");
        assert_eq!(health.requests, responses.len() as u64);
        health
    }

    #[test]
    fn the_newest_request_decides_about_a_providers_health() {
        use HealthStatus::{Failing, Ok, Unknown};
        check(&[], Unknown, 0);
        check(&[(9, Some(200), true)], Ok, 0);
        for status in [400, 404, 413, 422] {
            check(&[(9, Some(status), true)], Ok, 0);
        }
        for status in [401, 403, 429, 500, 503, 599] {
            check(&[(9, Some(status), true)], Failing, 1);
        }
        check(&[(9, None, true)], Failing, 1);
        check(&[(9, Some(200), false)], Failing, 1);
        let health = check(&[(9_000_000, Some(200), true), (8_000_000, Some(503), true), (7, None, true)], Ok, 2);
        assert_eq!(health.last_success_at.as_deref(), Some("1970-01-01T00:00:09Z"));
        assert_eq!(
            (health.last_failure_at.as_deref(), health.last_failure_status),
            (Some("1970-01-01T00:00:08Z"), Some(503))
        );
        check(&[(9, Some(429), true), (8, Some(200), true)], Failing, 1);
    }

    #[test]
    fn a_target_shows_its_failures_and_until_when_it_is_left_out() {
        let mut attempts = [0; TARGET_RESULTS.len()];
        (attempts[0], attempts[3], attempts[4]) = (40, 1, 3);
        let cooled_down = Some(Duration::from_secs(30));
        let provider = "p".into();
        let model = "m".into();
        let reached_limit = None;
        let limit_skips = 0;
        let content_us = Some(412_500);
        let status = TargetStatus { provider, model, attempts, cooled_down, reached_limit, limit_skips, content_us };
        let expected = serde_json::json!({
            "model": "m", "succeeded": 40, "first_content_ms": 412.5, "cooled_down_until": "1970-01-01T00:00:31Z",
            "failures": [{"cause": "timeout", "attempts": 1}, {"cause": "5xx", "attempts": 3}],
        });
        let shown =
            |status: &TargetStatus| serde_json::to_value(TargetView::new(status, Timestamp(1_000_000))).unwrap();
        assert_eq!(shown(&status), expected);
        let shown = shown(&TargetStatus { cooled_down: None, content_us: None, ..status });
        assert!(shown["cooled_down_until"].is_null() && shown["first_content_ms"].is_null(), "{shown}");
    }

    #[test]
    fn of_a_configured_secret_at_most_four_characters_are_shown() {
        let shown = |text: &str| ConfiguredCredential::from(&Credential::Fixed(Secret::new(text.to_owned()))).last4;
        assert_eq!(shown("sk-live-0123456789abcd").as_deref(), Some("abcd"));
        assert_eq!(shown("sk-ü-0123456789é€日本").as_deref(), Some("é€日本"));
        assert_eq!((shown("short-secret"), shown(""), shown("abc")), (None, None, None));
    }
}
