//! The log line of a request, written at its end. `docs/logs.md` has its fields, from the list in this file.

use std::fmt::{self, Display};

use access::credentials::api_key::masked;
use access::refusal::Side;
use access::{Last4, Refusal};
use http1::KnownName;
use meter::Outcome;
use telemetry::logs::events;
use tokio::time::Instant;

use crate::account::RequestAccount;
use crate::account::cache_result::CacheResult;
use crate::account::request::RequestContext;
use crate::metrics::failure_log::LineDecision;
use crate::settle::RequestSummary;

/// The maximum length in bytes of a method in a line: thousands of lines may wait to be written.
const METHOD_LEN_MAX: usize = 32;
/// The maximum length in bytes of a path in a line.
pub(super) const PATH_LEN_MAX: usize = 512;
/// The status of requests whose credential is missing or not accepted (RFC 9110, 15.5.2).
const UNAUTHORIZED: u16 = 401;
/// The maximum length in bytes of a host and of a user agent in a line.
pub(super) const FIELD_LEN_MAX: usize = 256;

/// Passes the fields of a line, in their order, to the macro `$then`: the name of each, its meaning, and its value.
macro_rules! with_fields {
    ($then:ident, $account:ident, $summary:ident $(, $level:ident)?) => {
        $then! {
            $($level)?;
            event "the [event](#events)"
                [event($account, $summary)]
            request_id "Tollgate's id of the request, which the client receives as `X-Request-Id`"
                [%$account.request.id]
            trace_id "the id of the [trace](traces.md), if traces are exported or the client has begun one"
                [$account.request.logged_trace_id()]
            correlation_id "the client's own `X-Request-Id`, if it has 1 to 128 visible ASCII characters (`!` to `~`)"
                [$account.request.head.correlation().map(|id| shown(&$account.request, id.as_bytes(), FIELD_LEN_MAX))]
            client "the client's address"
                [%ShownClient(&$account.request)]
            protocol "the version of HTTP: `1.0`, `1.1` or `2`"
                [$account.request.protocol()]
            method "the method, at most 32 bytes"
                [cut_text($account.request.head.method(), METHOD_LEN_MAX)]
            host "the requested host, at most 256 bytes, without keys, as are the next fields of the client"
                [%MaskedText::new(&$account.request, $account.request.head.host(), FIELD_LEN_MAX)]
            path "the path without the query, at most 512 bytes"
                [%MaskedText::new(&$account.request, $account.request.head.path().as_bytes(), PATH_LEN_MAX)]
            user_agent "`User-Agent`, at most 256 bytes"
                [$account.request.head.get(KnownName::UserAgent).map(|agent| shown(&$account.request, agent, FIELD_LEN_MAX))]
            route "the name of the route"
                [%$account.policy().name]
            labels "the [labels](metrics.md#labels-of-routes) of the route: `team=accounts,tier=gold`"
                [Some(&*$account.policy().labels.text).filter(|labels| !labels.is_empty())]
            status "the client's status; 499 if it disconnected before"
                [$account.ending.status]
            outcome "`completed`; `refused` or `failed` with a `code`; or why it ended early: `caller_gone`, `upstream_cut`, `timed_out`, `budget_cut`, `drained`"
                [outcome($account, $summary)]
            code "the code of Tollgate's error"
                [$account.ending.refusal.as_ref().map(|(refusal, _)| refusal.code())]
            cause "the reason for that error, or for an incomplete response of an upstream"
                [$account.ending.cause()]
            refusals "the number of requests refused with this `code` since its last line, if there is [one line a second](#refusals)"
                [$summary.refusals]
            user "the id of the user"
                [$account.identity.caller_ids.map(|caller| tracing::field::display(caller.user))]
            key "the id of the key"
                [$account.identity.caller_ids.map(|caller| tracing::field::display(caller.key))]
            key_last4 "the last four characters of the key"
                [$account.identity.caller_ids.as_ref().and_then(|caller| caller.last4.as_ref()).map(Last4::as_str)]
            upstream "the last upstream or provider"
                [$account.destination.as_ref().map(|destination| &*destination.name)]
            backend "the URL of its backend, if the upstream has several"
                [$account.destination.as_ref().and_then(|destination| destination.backend_url())]
            cache "the part of the [cache](cache.md): `hit`, `stale`, `collapsed`, `revalidated`, `expired`, `miss` or `bypass`"
                [$account.cache.map(CacheResult::as_str)]
            attempts "the number of attempts"
                [$account.destination.as_ref().map(|_| $account.retries + 1)]
            model "the requested model of an LLM call"
                [$account.call().map(|call| &*call.requested_model)]
            upstream_id "the provider's id of the call"
                [$summary.upstream_id.as_deref()]
            request_bytes "the bytes of the body sent to the upstream"
                [$account.ending.request_bytes]
            response_bytes "the bytes of the body sent to the client, before compression"
                [$account.ending.response_bytes]
            duration_us "the time until the end of the response, in microseconds"
                [$summary.duration_us]
        }
    };
}

macro_rules! line {
    ($level:ident; $($name:ident $meaning:literal [$($value:tt)+])+) => {
        tracing::$level!($($name = $($value)+,)+ "request")
    };
}

#[cfg(test)]
macro_rules! meanings {
    (; $($name:ident $meaning:literal [$($value:tt)+])+) => { &[$((stringify!($name), $meaning)),+] };
}

/// Writes the line at `info`; at `warn` if the upstream failed or the gateway's failure is expected, and at `error` for
/// any other failure of the gateway. Refusals for a state of the gateway share lines.
pub(super) fn end(account: &RequestAccount, summary: &mut RequestSummary, now: Instant) {
    if let Some((refusal, _)) = &account.ending.refusal {
        match account.request.worker().shared.capacity.refusal_log.count(*refusal, now) {
            LineDecision::Single => {}
            LineDecision::Repeated(refusals) => summary.refusals = Some(refusals),
            LineDecision::Omitted => return,
        }
    }
    match (account.ending.refusal.as_ref().map(|(refusal, _)| refusal.side()), summary.outcome) {
        (Some(Side::Gateway), _) if !is_of_the_moment(account) => with_fields!(line, account, summary, error),
        (Some(Side::Upstream | Side::Gateway), _) | (_, Outcome::UpstreamCut | Outcome::TimedOut) => {
            with_fields!(line, account, summary, warn);
        }
        (
            Some(Side::Client) | None,
            Outcome::Completed | Outcome::CallerGone | Outcome::BudgetCut | Outcome::Drained | Outcome::Interrupted,
        ) => {
            with_fields!(line, account, summary, info);
        }
    }
}

/// Returns the event of the line. Each request has one.
fn event(account: &RequestAccount, summary: &RequestSummary) -> &'static str {
    const OF_LIMITS: [Refusal; 3] = [Refusal::RateLimited, Refusal::QuotaExceeded, Refusal::BudgetExceeded];
    let is_cut = matches!(summary.outcome, Outcome::UpstreamCut | Outcome::TimedOut);
    match account.ending.refusal.as_ref().map(|(refusal, _)| *refusal) {
        Some(refusal) if refusal.status() == UNAUTHORIZED => events::AUTHENTICATION_FAILED,
        Some(refusal) if OF_LIMITS.contains(&refusal) => events::LIMIT_REFUSED,
        None if summary.outcome == Outcome::BudgetCut => events::LIMIT_REFUSED,
        Some(refusal) if refusal.side() == Side::Upstream => events::UPSTREAM_FAILED,
        None if is_cut => events::UPSTREAM_FAILED,
        Some(_) | None => events::REQUEST_ENDS,
    }
}

/// Returns how the request ended: a refused one that ended in good order is named by its result.
pub(super) fn outcome(account: &RequestAccount, summary: &RequestSummary) -> &'static str {
    let is_refused = account.ending.refusal.is_some() && summary.outcome == Outcome::Completed;
    if is_refused { summary.result.as_str() } else { summary.outcome.as_str() }
}

/// Shows the address of the client. Behind a trusted proxy, it is read from the head only for a line that is written.
struct ShownClient<'a>(&'a RequestContext);

impl Display for ShownClient<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin(self.0.is_peer_trusted()).address)
    }
}

/// Returns the first bytes, at most `len_max`, of a text of a client, which may be as long as a head.
pub(super) fn cut_text(text: &str, len_max: usize) -> &str {
    text.get(..text.floor_char_boundary(len_max)).unwrap_or_default()
}

/// Shows the first bytes of a value of a client, which may be as long as a head, with the keys of this gateway masked.
pub(super) struct MaskedText<'a> {
    value: &'a [u8],
    prefix: &'a str,
    len_max: usize,
}

impl<'a> MaskedText<'a> {
    /// Shows at most `len_max` bytes.
    pub(super) fn new(request: &'a RequestContext, value: &'a [u8], len_max: usize) -> Self {
        Self { value, prefix: &request.snapshot.process.brand.key_prefix, len_max }
    }
}

impl Display for MaskedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(self.value);
        // A cut key would be shown in part.
        f.write_str(cut_text(&masked(&text, self.prefix), self.len_max))
    }
}

/// Returns a value of a client for the line.
fn shown<'a>(
    request: &'a RequestContext,
    value: &'a [u8],
    len_max: usize,
) -> tracing::field::DisplayValue<MaskedText<'a>> {
    tracing::field::display(MaskedText::new(request, value, len_max))
}

/// Returns whether the gateway's failure is expected: it reached a bound, or it shuts down.
fn is_of_the_moment(account: &RequestAccount) -> bool {
    let expected = [Refusal::Draining, Refusal::Overloaded, Refusal::DirectoryBusy];
    account.ending.refusal.as_ref().is_some_and(|(refusal, _)| expected.contains(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the fields with their meanings.
    const FIELDS: &[(&str, &str)] = with_fields!(meanings, account, summary);
    /// Writes the list instead of comparing it.
    const UPDATE: &str = "UPDATE_LOG_DOCS";
    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/logs.md");
    const BEGIN: &str = "<!-- begin: fields -->\n";
    const END: &str = "<!-- end: fields -->\n";

    #[test]
    fn the_document_lists_the_fields_of_a_line() {
        let document = std::fs::read_to_string(PAGE).unwrap();
        let (head, rest) = document.split_once(BEGIN).unwrap();
        let (_, tail) = rest.split_once(END).unwrap();
        let list: String = FIELDS.iter().map(|(name, meaning)| format!("- `{name}`: {meaning}\n")).collect();
        let expected = format!("{head}{BEGIN}{list}{END}{tail}");
        if std::env::var_os(UPDATE).is_some() {
            std::fs::write(PAGE, expected).unwrap();
        } else {
            assert!(document == expected, "run {UPDATE}=1 cargo test --workspace --lib the_document_lists");
        }
    }

    #[test]
    fn the_line_in_the_document_has_the_fields_in_their_order() {
        const OF_EACH_LINE: [&str; 4] = ["timestamp", "level", "message", "target"];
        let document = std::fs::read_to_string(PAGE).unwrap();
        let line = document.lines().find_map(|line| line.strip_prefix("{\"")).unwrap();
        let keys = line.split(",\"").map(|field| field.split_once('"').unwrap().0);
        let keys = keys.filter(|key| !OF_EACH_LINE.contains(key));
        let places: Vec<_> = keys.map(|key| FIELDS.iter().position(|(name, _)| *name == key)).collect();
        assert!(places.len() > 9 && places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} of {line}");
    }

    #[test]
    fn values_of_clients_are_cut() {
        let shown = |value: &[u8]| MaskedText { value, prefix: "tollgate", len_max: FIELD_LEN_MAX }.to_string();
        assert_eq!(shown(&[b'a'; 999]).len(), FIELD_LEN_MAX);
        assert_eq!(shown(b"curl/8 \xff"), "curl/8 \u{fffd}");
        let key = "tollgate_0123456789abcdef0123456789abcdef";
        assert_eq!(shown(format!("curl/{key} (x)").as_bytes()), "curl/tollgate_*** (x)");
        let cut = shown(format!("{}{key}", "a".repeat(FIELD_LEN_MAX - 20)).as_bytes());
        assert!(cut.ends_with("tollgate_***"), "{cut}");
        assert_eq!(cut_text(&"é".repeat(300), PATH_LEN_MAX).len(), PATH_LEN_MAX);
        assert_eq!(cut_text("VERSION-CONTROL", 7), "VERSION");
    }
}
