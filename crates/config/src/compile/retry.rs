//! Compiles `upstreams[].retry`, and the timeouts.

use crate::schema::traffic::{RetryInput, RouteTimeoutsInput, TimeoutsInput};
use crate::snapshot::{RetryRules, Timeouts};

/// Returns the rules of retries; `None` if nothing is retried.
pub(super) fn retry(input: &RetryInput) -> Option<RetryRules> {
    let rules = RetryRules {
        attempts: input.attempts.value,
        allows_unsafe: input.r#unsafe.value,
        backoff: input.backoff.value,
        backoff_max: input.max_backoff.value,
        causes: input.on.list.iter().map(|cause| cause.value).collect(),
        budget_percent: input.budget.value,
        body_bytes_max: input.body.value,
    };
    (rules.attempts > 0 && !rules.causes.is_empty()).then_some(rules)
}

/// Returns the timeouts of ordinary requests.
pub(super) fn timeouts(input: &TimeoutsInput) -> Timeouts {
    Timeouts {
        connect: input.connect.value,
        first_byte: input.first_byte.value,
        idle: input.idle.value,
        client_idle: input.idle.value,
        total: input.total.value,
        bounds_streams: false,
    }
}

/// Returns the timeouts of a route; `general` are those of all.
pub(super) fn of_route(input: Option<&RouteTimeoutsInput>, general: Timeouts) -> Timeouts {
    let Some(input) = input else { return general };
    Timeouts {
        connect: input.connect.as_ref().map_or(general.connect, |own| own.value),
        first_byte: input.first_byte.as_ref().map_or(general.first_byte, |own| own.value),
        idle: input.idle.as_ref().map_or(general.idle, |own| own.value),
        client_idle: input.idle.as_ref().map_or(general.client_idle, |own| own.value),
        total: input.total.as_ref().map_or(general.total, |own| own.value),
        bounds_streams: input.total.is_some(),
    }
}
