//! The log line of a request, written at its end.

use access::refusal::Side;
use access::{Last4, Refusal};
use meter::Outcome;

use crate::exchange::Exchange;

/// The maximum length in bytes of a path in a line: thousands of lines may wait to be written.
const PATH_LEN_MAX: usize = 512;

/// The outcome and duration of a request, and the upstream's id of the request.
pub(super) struct End<'a> {
    pub(super) outcome: Outcome,
    pub(super) duration_us: u64,
    pub(super) upstream_id: Option<&'a str>,
}

/// Writes the line at `info`; at `warn` if the upstream failed or the gateway's failure is expected, and at `error` for
/// any other failure of the gateway.
pub(super) fn end(exchange: &Exchange, end: &End<'_>) {
    let outcome = end.outcome;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = %exchange.id,
                correlation_id = exchange.head.correlation(),
                method = exchange.head.method(),
                path = cut(exchange.head.path()),
                route = %exchange.route,
                status = exchange.status,
                outcome = outcome.as_str(),
                code = exchange.refusal.as_ref().map(|(refusal, _)| refusal.code()),
                cause = exchange.refusal.as_ref().and_then(|(_, cause)| cause.as_deref()),
                user = exchange.caller_ids.map(|caller| tracing::field::display(caller.user)),
                key = exchange.caller_ids.map(|caller| tracing::field::display(caller.key)),
                key_last4 = exchange.caller_ids.as_ref().and_then(|caller| caller.last4.as_ref()).map(Last4::as_str),
                model = exchange.call.as_ref().map(|call| &*call.asked_model),
                upstream_id = end.upstream_id,
                duration_us = end.duration_us,
                "request"
            )
        };
    }
    match (exchange.refusal.as_ref().map(|(refusal, _)| refusal.side()), outcome) {
        (Some(Side::Us), _) if !is_of_the_moment(exchange) => line!(error),
        (Some(Side::Upstream | Side::Us), _) | (_, Outcome::UpstreamCut | Outcome::TimedOut) => line!(warn),
        (
            Some(Side::Caller) | None,
            Outcome::Completed | Outcome::CallerGone | Outcome::BudgetCut | Outcome::Drained | Outcome::Interrupted,
        ) => {
            line!(info);
        }
    }
}

/// Returns the first [`PATH_LEN_MAX`] bytes of a path, which may be as long as a head.
fn cut(path: &str) -> &str {
    path.get(..path.floor_char_boundary(PATH_LEN_MAX)).unwrap_or_default()
}

/// Returns whether the gateway's failure is expected: it reached a bound, or it shuts down.
fn is_of_the_moment(exchange: &Exchange) -> bool {
    let expected = [Refusal::Draining, Refusal::Overloaded, Refusal::DirectoryBusy];
    exchange.refusal.as_ref().is_some_and(|(refusal, _)| expected.contains(refusal))
}
