//! A call as a target gets it: in the client's format, fitted to the target, or in another format of its provider.

use std::rc::Rc;

use ai::{ClaudeSurface, EndpointCall, Format};

use super::model_plan::{InferenceRequest, PlannedModel};
use super::parsed_call::ParsedCall;
use super::translation::{CallTranslation, fit_to_model, fit_to_surface, translate, translate_count, without_state};
use super::{runtime, spent};
use crate::account::{InferenceCall, RequestAccount};
use crate::action::off_worker::ON_WORKER_BYTES_MAX;
use crate::refusal::problem::Problem;

/// A call as a target gets it, before its limit and its model are written.
pub(super) struct PreparedCall {
    pub(super) call: Rc<InferenceCall>,
    /// The body and its fields, if they are not those of the client.
    pub(super) changed: Option<ParsedCall>,
    /// The endpoint of a call in another format than the client's.
    pub(super) other: Option<EndpointCall<'static>>,
    /// The translation, if the provider does not have the client's format.
    pub(super) translation: Option<CallTranslation>,
    /// The fields of a call in its provider's format that the provider does not get.
    pub(super) dropped: Vec<String>,
}

/// Prepares the call of a target, which the account notes.
pub(super) async fn prepare(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'_>,
    target: &PlannedModel,
) -> Result<PreparedCall, Problem> {
    let InferenceRequest { endpoint, client, .. } = of;
    let of_model = target.provider.of_model(&target.model);
    let provider_format = of_model.format_of(endpoint.called.endpoint).unwrap_or(endpoint.format);
    // A call that is refused here has its model too.
    let called = noted(account, parsed, of, target, provider_format);
    let known_model = account.request.snapshot.traffic.known_name(&target.provider, &target.model);
    runtime::check_model(&target.provider, known_model)?;
    if provider_format != endpoint.format || parsed.content.len() > ON_WORKER_BYTES_MAX {
        // Boxed, because its future is large and small calls that are not translated do not need it.
        Box::pin(spent::check(account, &parsed.fields, of, &called)).await?;
    }
    if provider_format == endpoint.format {
        let mut changed = without_state(account, parsed, endpoint, known_model).await?;
        let mut dropped = Vec::new();
        if let Some((fitted, names)) =
            fit_to_model(account, changed.as_ref().unwrap_or(parsed), endpoint, target).await?
        {
            changed = Some(fitted);
            dropped = names;
        }
        let surface = ClaudeSurface::of_provider(target.provider.kind, &target.provider.paths);
        let fitted = fit_to_surface(account, changed.as_ref().unwrap_or(parsed), endpoint, surface).await?;
        if let Some((fitted, names)) = fitted {
            changed = Some(fitted);
            dropped.extend(names);
        }
        return Ok(PreparedCall { call: called, changed, other: None, translation: None, dropped });
    }
    let translated = translate(account, parsed, endpoint, target, client).await?;
    let call = noted(account, parsed, of, target, translated.format);
    Ok(PreparedCall {
        call,
        changed: Some(translated.parsed),
        other: Some(translated.called),
        translation: Some(translated.translation),
        dropped: Vec::new(),
    })
}

/// Prepares the count of a call in a format of the target's counter, which the account notes; `None` if the target has no counter,
/// or no format of its counters can express the call.
pub(super) async fn prepare_count(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'_>,
    target: &PlannedModel,
) -> Result<Option<PreparedCall>, Problem> {
    let Some(counting) = translate_count(account, parsed, of.endpoint, target, of.client).await? else {
        return Ok(None);
    };
    let call = noted(account, parsed, of, target, counting.format);
    let changed = Some(counting.parsed);
    let other = Some(counting.called);
    Ok(Some(PreparedCall { call, changed, other, translation: None, dropped: Vec::new() }))
}

/// Returns the call of a target in its provider's format, which the account notes.
fn noted(
    account: &mut RequestAccount,
    parsed: &ParsedCall,
    of: InferenceRequest<'_>,
    target: &PlannedModel,
    provider_format: Format,
) -> Rc<InferenceCall> {
    let InferenceRequest { endpoint, plan, client } = of;
    let call = Rc::new(InferenceCall {
        format: endpoint.format,
        provider_format,
        requested_model: plan.requested.clone(),
        counted_model: plan.counted.clone(),
        provider: target.provider.clone(),
        model: target.model.clone(),
        streamed: parsed.fields.stream,
        billable: parsed.fields.billable,
        free: endpoint.called.endpoint.free(),
        own_credential: client.principal.provider_keys.own(&target.provider.name).is_some(),
    });
    account.begin_call(&call);
    call
}
