//! Shortens a close to its reserved room: the cost stays, names are cut.

use std::sync::Arc;

use meter::{Attempt, RequestOrigin, UsageEvent};

/// Maximum lengths of names in bytes, tried one after the other.
const NAME_BYTES: [usize; 4] = [256, 64, 16, 0];

/// Returns shorter and shorter forms of the event. The first form leaves out the raw usage of providers; the next forms also
/// leave out skipped targets and the limit that refused the request, and the last ones attempts without usage and cost.
pub(crate) fn shortened(event: &UsageEvent) -> impl Iterator<Item = UsageEvent> {
    let unquoted = std::iter::once_with(|| with_names(event, usize::MAX));
    let named = NAME_BYTES.into_iter().map(|bytes_max| with_names(event, bytes_max));
    let told = NAME_BYTES.into_iter().skip(1).map(|bytes_max| {
        let mut event = with_names(event, bytes_max);
        event.attempts.retain(|attempt| attempt.usage.is_some() || attempt.cost.is_some());
        event
    });
    unquoted.chain(named).chain(told)
}

fn with_names(event: &UsageEvent, bytes_max: usize) -> UsageEvent {
    let some = |name: &Option<Arc<str>>| name.as_ref().map(|name| clip(name, bytes_max));
    let attempt = |attempt: &Attempt| Attempt {
        provider: clip(&attempt.provider, bytes_max),
        model: some(&attempt.model),
        answered_model: some(&attempt.answered_model),
        upstream_id: some(&attempt.upstream_id),
        price_version: some(&attempt.price_version),
        raw_usage: None,
        ..attempt.clone()
    };
    let is_whole = bytes_max == usize::MAX;
    let skipped = if is_whole { event.origin.skipped.clone() } else { Vec::new() };
    let refused_limit = if is_whole { event.origin.refused_limit.clone() } else { None };
    UsageEvent {
        route: clip(&event.route, bytes_max),
        format: some(&event.format),
        model: some(&event.model),
        attempts: event.attempts.iter().map(attempt).collect(),
        refusal: some(&event.refusal),
        origin: RequestOrigin { skipped, refused_limit, ..event.origin.clone() },
        ..event.clone()
    }
}

/// Cuts a name to at most `bytes_max` bytes of whole characters.
fn clip(name: &Arc<str>, bytes_max: usize) -> Arc<str> {
    if name.len() <= bytes_max {
        return Arc::clone(name);
    }
    let until = (0..=bytes_max).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
    name.get(..until).unwrap_or_default().into()
}
