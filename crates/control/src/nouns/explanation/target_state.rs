//! Why a call skips a target of its model now: the state of this process's targets and the client's credentials.

use config::snapshot::Provider;
use config::{ExplainedTarget, Explanation};
use store::DatabaseError;
use telemetry::{BackendCondition, BackendStatus, ReachedLimit, TargetStatus};

use super::ExplanationSources;
use super::holder::Holder;
use crate::nouns::credentials::{CredentialState, VaultCredentials};

/// Adds the reasons to the targets of an explanation.
pub(super) async fn mark(
    sources: ExplanationSources<'_>,
    explanation: &mut Explanation,
    holder: Option<&Holder<'_>>,
) -> Result<(), DatabaseError> {
    let Some(action) = explanation.action.as_mut().filter(|action| !action.targets.is_empty()) else { return Ok(()) };
    let credentials = match holder {
        Some(Holder::Key(holder)) => {
            Some((VaultCredentials::load(sources.store, holder.user.id).await?, &holder.user.plan))
        }
        Some(Holder::Listed(_)) | None => None,
    };
    let states = sources.board.targets();
    let backends = sources.board.backends().unwrap_or_default();
    for target in action.targets.iter_mut().filter(|target| target.skipped.is_none()) {
        let Some(provider) = sources.snapshot.traffic.provider(&target.provider) else { continue };
        let is_missing =
            credentials.as_ref().is_some_and(|(stored, plan)| stored.state(provider, plan) == CredentialState::Missing);
        target.skipped = if is_missing {
            Some("the client has no credential for the provider".to_owned())
        } else {
            let of = |status: &&TargetStatus| is_of(status, target);
            let state = states.iter().find(of);
            breaker(provider, &backends).or_else(|| state.and_then(cooldown)).or_else(|| state.and_then(limit))
        };
    }
    Ok(())
}

/// Returns that the circuit breaker of the provider is open.
fn breaker(provider: &Provider, backends: &[BackendStatus]) -> Option<String> {
    let url = provider.origin.to_string();
    let is_open = |status: &BackendStatus| {
        status.upstream == provider.name && *status.url == *url && status.condition == BackendCondition::Open
    };
    backends.iter().any(is_open).then(|| "the circuit breaker of the provider is open".to_owned())
}

/// Whether this is the state of the target.
fn is_of(status: &TargetStatus, target: &ExplainedTarget) -> bool {
    *status.provider == *target.provider && *status.model == *target.configured_model
}

/// Returns for how long the target is still left out after failures.
fn cooldown(status: &TargetStatus) -> Option<String> {
    let left = status.cooled_down?;
    Some(format!("it is left out after failures, for {} s more", left.as_secs_f64().ceil()))
}

/// Returns the configured limit that the target has reached, and for how long.
fn limit(status: &TargetStatus) -> Option<String> {
    let ReachedLimit { limit, left } = status.reached_limit?;
    Some(format!("its limit `{limit}` is reached, for at least {} s more", left.as_secs_f64().ceil()))
}
