//! The targets of the model that an explained LLM request names.

use ai::{EndpointCall, Format};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ExplainedRefusal, WrittenRequest};
use crate::snapshot::{Selection, Snapshot};

/// A target of the model of an LLM request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ExplainedTarget {
    /// The name of the provider.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
    /// Its share of the calls with the strategy `weighted`.
    pub weight: u32,
    /// The reason why a call skips it; null if it may be tried.
    pub skipped: Option<String>,
    /// The format into which the call is translated; null if it passes unchanged.
    pub translated: Option<&'static str>,
    /// The provider's own name of the model as the file has it, with `*` if it has one.
    #[serde(skip)]
    pub configured_model: String,
}

/// The targets of a model, with the choice of the first one.
pub(super) struct ModelTargets {
    /// `fallback`, `weighted`, `cheapest` or `fastest`; `None` if only one is tried.
    pub(super) strategy: Option<&'static str>,
    pub(super) targets: Vec<ExplainedTarget>,
}

/// Returns the model that the path or the explained request names, if the endpoint calls one.
pub(super) fn requested_model<'a>(selection: &'a Selection<'_, '_>, request: &'a WrittenRequest) -> Option<&'a str> {
    match selection {
        Selection::Endpoint(called) if called.endpoint.format().is_some() => {
            called.model.as_deref().or(request.model.as_deref())
        }
        Selection::Endpoint(_)
        | Selection::Route(_)
        | Selection::Health
        | Selection::Quotas(_)
        | Selection::WrongMethod { .. }
        | Selection::Disputed { .. }
        | Selection::None => None,
    }
}

/// Returns the targets of the model that the path or the explained request names; none if neither does.
pub(super) fn targets(
    snapshot: &Snapshot,
    called: &EndpointCall<'_>,
    request: &WrittenRequest,
) -> Result<ModelTargets, ExplainedRefusal> {
    let Some(asked) = called.model.as_deref().or(request.model.as_deref()) else {
        return Ok(ModelTargets { strategy: None, targets: Vec::new() });
    };
    let resolved = snapshot.traffic.resolve_model_in_plan(request.plan.as_deref(), called.endpoint, asked);
    let resolved = resolved.map_err(|why| {
        let refusal = why.refusal();
        ExplainedRefusal { status: refusal.status(), code: refusal.code(), message: why.message(asked) }
    })?;
    let Some(entry) = resolved.entry else {
        let provider = resolved.provider.name.to_string();
        let model = resolved.model.to_string();
        let translated = translated(resolved.provider.of_model(&model).format_of(called.endpoint), called);
        let configured_model = model.clone();
        let only = ExplainedTarget { provider, configured_model, model, weight: 1, skipped: None, translated };
        return Ok(ModelTargets { strategy: None, targets: vec![only] });
    };
    let target = |target: &crate::snapshot::Target| ExplainedTarget {
        provider: target.provider.name.to_string(),
        model: entry.model_of(target, &resolved.asked).to_string(),
        weight: target.weight,
        skipped: entry.format_of(target, called.endpoint, &resolved.asked).is_none().then(|| {
            let format = called.endpoint.format().map_or("", Format::name);
            format!("the provider does not support the format {format}")
        }),
        translated: translated(entry.format_of(target, called.endpoint, &resolved.asked), called),
        configured_model: target.model.to_string(),
    };
    Ok(ModelTargets {
        strategy: entry.fallback.as_ref().map(|rules| rules.strategy.name()),
        targets: entry.targets.iter().map(target).collect(),
    })
}

/// Returns the format into which calls of the endpoint are translated for a provider that gets them in `format`.
fn translated(format: Option<Format>, called: &EndpointCall<'_>) -> Option<&'static str> {
    format.filter(|format| Some(*format) != called.endpoint.format()).map(Format::name)
}
