//! The log line of a request, written at its end.

use access::refusal::Side;
use access::{Last4, Refusal};
use meter::Outcome;

use crate::account::RequestAccount;

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
pub(super) fn end(account: &RequestAccount, end: &End<'_>) {
    let outcome = end.outcome;
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = %account.request.id,
                correlation_id = account.request.head.correlation(),
                method = account.request.head.method(),
                path = cut(account.request.head.path()),
                route = %account.policy().name,
                status = account.status,
                outcome = outcome.as_str(),
                code = account.refusal.as_ref().map(|(refusal, _)| refusal.code()),
                cause = account.refusal.as_ref().and_then(|(_, cause)| cause.as_deref()),
                user = account.caller_ids.map(|caller| tracing::field::display(caller.user)),
                key = account.caller_ids.map(|caller| tracing::field::display(caller.key)),
                key_last4 = account.caller_ids.as_ref().and_then(|caller| caller.last4.as_ref()).map(Last4::as_str),
                upstream = account.destination.as_ref().filter(|_| account.is_split).map(|chosen| &*chosen.name),
                backend = account.destination.as_ref().and_then(|destination| destination.backend_url()),
                model = account.call().map(|call| &*call.requested_model),
                upstream_id = end.upstream_id,
                duration_us = end.duration_us,
                "request"
            )
        };
    }
    match (account.refusal.as_ref().map(|(refusal, _)| refusal.side()), outcome) {
        (Some(Side::Us), _) if !is_of_the_moment(account) => line!(error),
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
fn is_of_the_moment(account: &RequestAccount) -> bool {
    let expected = [Refusal::Draining, Refusal::Overloaded, Refusal::DirectoryBusy];
    account.refusal.as_ref().is_some_and(|(refusal, _)| expected.contains(refusal))
}
