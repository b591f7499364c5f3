//! Responses of the gateway: each refusal is written in the format of the requested path.

use std::borrow::Cow;
use std::time::Duration;

use access::{ClientProgram, Clock, Refusal, RequestId, Timestamp};
use ai::Dialect;
use bytes::Bytes;
use config::snapshot::QuotaStatus;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http1::KnownName;
use meter::counter::RefusalCause;
use meter::rate::RateLevel;
use meter::{AdmissionRefusal, BudgetExceeded, BudgetId, BudgetScope, Measure, Outcome, Per, RateOwner};

use crate::refusal::challenge;
use crate::refusal::counted_limits::{FieldText, ReportedLimit};
use crate::refusal::seconds::seconds_up;

/// The response to a connection that exceeds a limit of connections. The connection is then closed.
pub(crate) const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 102\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"error\":{\"code\":\"overloaded\",\"message\":\"too many connections are open: try again soon\",\"status\":503}}";

const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// The header that contains the kind of an error for Amazon's clients.
const X_AMZN_ERRORTYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The reason why a request is not served, and the content of the response.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) refusal: Refusal,
    pub(crate) message: Cow<'static, str>,
    /// The cause for the log. Clients never see it.
    pub(crate) source: Option<String>,
    /// The outcome that the request ends with.
    pub(crate) outcome: Outcome,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The name of the invalid field of the request.
    param: Option<&'static str>,
    /// The shape of the body if it differs from that of the requested endpoint.
    format: Option<ErrorFormat>,
}

/// The settings that determine the body and status of a refusal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rendering<'a> {
    /// The format of the requested endpoint; `None` is the gateway's own format.
    pub(crate) dialect: Option<Dialect>,
    /// The status for a quota or budget that is used up.
    pub(crate) quota_status: QuotaStatus,
    /// The program of the client, which may determine that status.
    pub(crate) client: ClientProgram,
    /// The brand's name for machines: the `domain` of Google's `ErrorInfo`.
    pub(crate) domain: &'a str,
}

/// The shape of a refusal's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorFormat {
    /// The format of an LLM API.
    Dialect(Dialect),
    /// The format of Amazon Bedrock.
    Bedrock,
}

impl Problem {
    pub(crate) fn new(refusal: Refusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            refusal,
            message: message.into(),
            source: None,
            outcome: outcome(refusal),
            headers: Vec::new(),
            param: None,
            format: None,
        }
    }

    /// Names the invalid field of the request.
    pub(crate) fn of_param(mut self, param: Option<&'static str>) -> Self {
        self.param = param;
        self
    }

    /// Sets a body shape that differs from that of the requested endpoint.
    pub(crate) fn in_format(mut self, format: ErrorFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the outcome of a client that disconnected within its request.
    pub(crate) fn caller_gone(mut self) -> Self {
        self.outcome = Outcome::CallerGone;
        self
    }

    pub(crate) fn because(mut self, source: &dyn std::error::Error) -> Self {
        let mut text = source.to_string();
        let mut next = source.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        self.source = Some(text);
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds a challenge, unless the status is not 401 or there is one with the same scheme.
    pub(crate) fn challenge(self, value: HeaderValue) -> Self {
        let challenges =
            self.headers.iter().filter(|(name, _)| name == header::WWW_AUTHENTICATE).map(|(_, value)| value);
        if self.refusal.status() != 401 || challenge::has_scheme_of(challenges, &value) {
            return self;
        }
        self.header(header::WWW_AUTHENTICATE, value)
    }

    /// Adds `Allow` with the methods that are served at this path (RFC 9110, 10.2.1).
    pub(crate) fn allowing(self, allow: &str) -> Self {
        match HeaderValue::from_str(allow) {
            Ok(value) => self.header(header::ALLOW, value),
            Err(_) => self,
        }
    }

    /// Returns the refusal of a rate limit, a quota or a budget.
    pub(crate) fn of_limit(refused: &AdmissionRefusal, clock: &Clock) -> Self {
        match refused {
            AdmissionRefusal::Rate(empty, of) => {
                let seconds = seconds_up(empty.retry_after).max(1);
                let whose = match of {
                    RateOwner::Plan => "",
                    RateOwner::Key => " with this key",
                };
                let message =
                    format!("more than {} requests a minute{whose}: try again in {seconds} seconds", empty.limit);
                let level = RateLevel { limit: empty.limit, remaining: 0, reset: empty.reset };
                let mut problem =
                    Self::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(seconds));
                problem.headers.extend(limit_headers(level, clock.now()));
                problem.headers.extend(
                    ReportedLimit::of_plan(level)
                        .draft_fields()
                        .into_iter()
                        .filter_map(|(name, value)| field(name, &value)),
                );
                problem
            }
            AdmissionRefusal::Budget(exceeded) => {
                let message = too_little(exceeded);
                let until = exceeded.resets_at().0.saturating_sub(clock.now().0);
                let seconds = seconds_up(Duration::from_micros(until));
                let is_quota = exceeded.budget.measure == Measure::Credits && exceeded.budget.per == Per::Day;
                let refusal = if is_quota { Refusal::QuotaExceeded } else { Refusal::BudgetExceeded };
                let mut problem = Self::new(refusal, message).header(header::RETRY_AFTER, HeaderValue::from(seconds));
                problem.headers.extend(budget_headers(exceeded));
                problem
            }
        }
    }

    /// Returns the response in the format of `rendering.dialect`, or in the gateway's own format.
    pub(crate) fn into_response(self, rendering: Rendering<'_>, id: RequestId) -> Response<Bytes> {
        let is_quota = matches!(self.refusal, Refusal::QuotaExceeded | Refusal::BudgetExceeded);
        let status = if is_quota { rendering.quota_status.for_client(rendering.client) } else { self.refusal.status() };
        let request_id = id.to_string();
        let reporter = ai::Reporter { domain: rendering.domain, request_id: &request_id };
        let problem = ai::Problem::new(self.refusal, &self.message, reporter);
        let problem = ai::Problem { status, param: self.param, ..problem };
        let (dialect, bytes) = match self.format {
            None => (rendering.dialect, ai::error::body(rendering.dialect, &problem)),
            Some(ErrorFormat::Dialect(dialect)) => (Some(dialect), ai::error::body(Some(dialect), &problem)),
            Some(ErrorFormat::Bedrock) => (None, ai::error::bedrock_body(&problem)),
        };
        let mut response = Response::new(Bytes::from(bytes));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        for (name, value) in self.headers {
            if name == header::WWW_AUTHENTICATE {
                // A response has a challenge of each scheme that the route accepts (RFC 9110, 11.6.1).
                headers.append(name, value);
            } else {
                headers.insert(name, value);
            }
        }
        if self.refusal.status() == 401 && !headers.contains_key(header::WWW_AUTHENTICATE) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.format == Some(ErrorFormat::Bedrock) {
            headers.insert(X_AMZN_ERRORTYPE, HeaderValue::from_static("ResourceNotFoundException"));
        }
        if dialect.is_some() && is_quota {
            // With this header, LLM clients would wait until midnight and repeat the request.
            headers.remove(header::RETRY_AFTER);
        }
        for (name, value) in ai::error::headers(dialect, self.refusal) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

/// Returns whether several users share a budget. Its amounts reveal the usage of others, so clients do not see them. An
/// admin reads them over the control API.
const fn is_shared(budget: BudgetId) -> bool {
    match budget.scope {
        BudgetScope::Plan(_) | BudgetScope::Global => true,
        BudgetScope::Key(_) | BudgetScope::User(_) | BudgetScope::Subject(_) => false,
    }
}

/// Returns the message for a budget that has less left than the request needs.
fn too_little(exceeded: &BudgetExceeded) -> String {
    let BudgetExceeded { budget: BudgetId { scope, measure, per }, limit, used, requested, by, .. } = *exceeded;
    let (period, again) = match per {
        Per::Day => ("day", "at midnight UTC"),
        Per::Month => ("month", "on the first of the next month, UTC"),
    };
    let [limit_written, requested_written] = [limit, requested].map(|amount| measure.written(amount));
    let of = measure_word(measure);
    let quota = match scope {
        BudgetScope::Key(_) => format!("this key's own quota of {limit_written} a {period}"),
        BudgetScope::User(_) | BudgetScope::Subject(_) => format!("the {period}'s quota of {limit_written}"),
        BudgetScope::Plan(_) => format!("the {period}'s quota of {of} for all users of this plan"),
        BudgetScope::Global => format!("the {period}'s quota of {of} for this gateway"),
    };
    let is_shared = is_shared(exceeded.budget);
    if limit.is_zero() {
        return format!("{quota} allows only requests without a cost");
    }
    if used >= limit {
        let used = if is_shared { String::new() } else { format!(" ({} used)", measure.written(used)) };
        return format!("{quota} is used up{used}: it is full again {again}");
    }
    let call = match measure {
        Measure::Credits => format!("this call costs {requested_written}"),
        Measure::Tokens | Measure::Money => format!("this call may use up to {requested_written}"),
    };
    let left = match (by, measure) {
        _ if is_shared => "less is left".to_owned(),
        (RefusalCause::Limit, Measure::Credits | Measure::Tokens) => {
            format!("{} are left", measure.written(exceeded.left()))
        }
        (RefusalCause::Limit, Measure::Money) => format!("{} is left", measure.written(exceeded.left())),
        // Only the lease server knows the amount that is left; this node has a part of it.
        (RefusalCause::Lease, _) => "less is left".to_owned(),
    };
    // Waiting does not help a request that exceeds the whole budget. For a shared budget this advice would reveal its
    // amount.
    let is_over = requested > limit && !is_shared;
    let advice =
        if is_over { "ask for less; it is full again" } else { "ask for less, or wait until it is full again" };
    format!("{call}, and {left} of {quota}: {advice} {again}")
}

/// Returns the name of the measure for a message without an amount.
const fn measure_word(measure: Measure) -> &'static str {
    match measure {
        Measure::Credits => "credits",
        Measure::Tokens => "tokens",
        Measure::Money => "money",
    }
}

/// Returns the `X-RateLimit-*` headers of a client's rate limit; `-Reset` is in Unix seconds (GW-3.3).
pub(crate) fn limit_headers(level: RateLevel, now: Timestamp) -> [(HeaderName, HeaderValue); 3] {
    limit_figures(level, now).map(|(name, figure)| (HeaderName::from_static(name.as_str()), HeaderValue::from(figure)))
}

/// Returns a field of a limit as a header.
fn field(name: &'static str, value: &FieldText) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?))
}

/// Returns the values of [`limit_headers`].
pub(crate) fn limit_figures(level: RateLevel, now: Timestamp) -> [(KnownName, u64); 3] {
    let reset = now.unix_seconds() + seconds_up(level.reset);
    [
        (KnownName::XRatelimitLimit, u64::from(level.limit)),
        (KnownName::XRatelimitRemaining, u64::from(level.remaining)),
        (KnownName::XRatelimitReset, reset),
    ]
}

/// Returns the `X-RateLimit-*` headers of a budget. `-Limit` and `-Remaining` are in credits: they are omitted for budgets
/// of tokens and money, whose figures clients would read as requests, and for a budget that several users share.
/// `-Remaining` is omitted if only other nodes know it.
fn budget_headers(exceeded: &BudgetExceeded) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let left = exceeded.left();
    let is_own = exceeded.budget.measure == Measure::Credits && !is_shared(exceeded.budget);
    let remaining =
        (is_own && (left.is_zero() || exceeded.by == RefusalCause::Limit)).then_some((X_RATELIMIT_REMAINING, left.0));
    let known = [
        is_own.then_some((X_RATELIMIT_LIMIT, exceeded.limit.0)),
        remaining,
        Some((X_RATELIMIT_RESET, exceeded.resets_at().unix_seconds())),
    ];
    known.into_iter().flatten().map(|(name, figure)| (name, HeaderValue::from(figure)))
}

/// Returns a JSON response of the gateway.
pub(crate) fn json(bytes: Vec<u8>) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

fn outcome(refusal: Refusal) -> Outcome {
    const BROKEN_OFF: [(Refusal, Outcome); 5] = [
        (Refusal::UpstreamTimeout, Outcome::TimedOut),
        (Refusal::RequestTimeout, Outcome::TimedOut),
        (Refusal::UpstreamReset, Outcome::UpstreamCut),
        (Refusal::UpstreamProtocol, Outcome::UpstreamCut),
        (Refusal::Draining, Outcome::Drained),
    ];
    BROKEN_OFF.iter().find(|(of, _)| *of == refusal).map_or(Outcome::Completed, |(_, outcome)| *outcome)
}

#[cfg(test)]
mod tests {
    use access::Amount;

    use super::*;

    #[test]
    fn the_refusal_without_room_has_the_length_it_says() {
        let text = std::str::from_utf8(TOO_MANY_CONNECTIONS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }

    fn refusal(
        scope: BudgetScope,
        measure: Measure,
        per: Per,
        [limit, used, requested]: [u64; 3],
        by: RefusalCause,
    ) -> String {
        let budget = BudgetId { scope, measure, per };
        let period = meter::Period::of(per, access::Day(20_000));
        let [limit, used, requested] = [limit, used, requested].map(Amount);
        too_little(&BudgetExceeded { budget, period, limit, used, requested, by })
    }

    #[test]
    fn a_budget_that_is_used_up_says_whose_how_much_and_until_when() {
        let amounts = [2_505_000_000, 2_600_000_000, 1];
        let message = |scope, measure, per| refusal(scope, measure, per, amounts, RefusalCause::Limit);
        let key = BudgetScope::Key(access::KeyNo(1));
        for (message, expected) in [
            (
                message(BudgetScope::User(access::UserNo(1)), Measure::Credits, Per::Day),
                "the day's quota of 2505000000 credits is used up (2600000000 credits used): it is full again at midnight UTC",
            ),
            (
                message(key, Measure::Money, Per::Month),
                "this key's own quota of 2.505 USD a month is used up (2.6 USD used): it is full again on the first of the \
                next month, UTC",
            ),
            (
                message(BudgetScope::Global, Measure::Tokens, Per::Day),
                "the day's quota of tokens for this gateway is used up: it is full again at midnight UTC",
            ),
            (
                message(BudgetScope::Plan(access::PlanId::NIL), Measure::Money, Per::Month),
                "the month's quota of money for all users of this plan is used up: it is full again on the first of the \
                next month, UTC",
            ),
        ] {
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn a_refusal_of_a_budget_says_limit_rest_and_reset_in_headers() {
        let of = |scope, measure, [limit, used, requested]: [u64; 3], by| {
            let budget = BudgetId { scope, measure, per: Per::Day };
            let period = meter::Period::of(Per::Day, access::Day(20_000));
            let [limit, used, requested] = [limit, used, requested].map(Amount);
            let refused = AdmissionRefusal::Budget(BudgetExceeded { budget, period, limit, used, requested, by });
            let clock = Clock::manual(access::Day(20_000).start());
            let problem = Problem::of_limit(&refused, &clock);
            let (dialect, client) = (Some(Dialect::OpenAi), ClientProgram::Unknown);
            let quota_status = QuotaStatus::TooManyRequests;
            let rendering = Rendering { dialect, quota_status, client, domain: "tollgate" };
            let response = problem.into_response(rendering, RequestId::NIL);
            [X_RATELIMIT_LIMIT, X_RATELIMIT_REMAINING, X_RATELIMIT_RESET]
                .map(|name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()))
        };
        let of_user = |measure, amounts, by| of(BudgetScope::User(access::UserNo(1)), measure, amounts, by);
        let headers = |limit: &str, remaining: Option<&str>| {
            // 20,001 days after 1970-01-01.
            [Some(limit.to_owned()), remaining.map(str::to_owned), Some("1728086400".to_owned())]
        };
        assert_eq!(of_user(Measure::Credits, [5, 5, 1], RefusalCause::Limit), headers("5", Some("0")));
        assert_eq!(of_user(Measure::Credits, [1_000, 400, 601], RefusalCause::Limit), headers("1000", Some("600")));
        assert_eq!(
            of_user(Measure::Credits, [1_000, 400, 601], RefusalCause::Lease),
            headers("1000", None),
            "other nodes have a part"
        );
        assert_eq!(of_user(Measure::Credits, [1_000, 1_000, 1], RefusalCause::Lease), headers("1000", Some("0")));
        let reset_alone = [None, None, Some("1728086400".to_owned())];
        for measure in [Measure::Tokens, Measure::Money] {
            let refused = of_user(measure, [20_000_000_000, 19_999_999_000, 30_000_000_000], RefusalCause::Limit);
            assert_eq!(refused, reset_alone, "a client would read 1000 as requests");
        }
        let key = BudgetScope::Key(access::KeyNo(1));
        assert_eq!(of(key, Measure::Credits, [5, 5, 1], RefusalCause::Limit), headers("5", Some("0")));
        for shared in [BudgetScope::Global, BudgetScope::Plan(access::PlanId::NIL)] {
            for amounts in [[5, 5, 1], [1_000, 400, 601], [0, 0, 1]] {
                assert_eq!(of(shared, Measure::Credits, amounts, RefusalCause::Limit), reset_alone);
            }
        }
    }

    #[test]
    fn a_refusal_of_a_shared_budget_tells_no_amount_but_the_calls_own() {
        for scope in [BudgetScope::Global, BudgetScope::Plan(access::PlanId::NIL)] {
            for measure in [Measure::Credits, Measure::Tokens, Measure::Money] {
                for (limit, used) in
                    [(8_000_000_000, 8_000_000_000), (8_000_000_000, 7_000_000_000), (8_000_000_000, 0)]
                {
                    for by in [RefusalCause::Limit, RefusalCause::Lease] {
                        // The second request is larger than the whole budget.
                        let messages = [1_500_000_000, 9_500_000_000]
                            .map(|requested| refusal(scope, measure, Per::Month, [limit, used, requested], by));
                        let shape = messages.each_ref().map(|text| {
                            text.replace("1500000000", "N")
                                .replace("9500000000", "N")
                                .replace("1.5 USD", "N")
                                .replace("9.5 USD", "N")
                        });
                        assert_eq!(shape[0], shape[1], "the text depends on the amount");
                        assert!(!shape[0].contains(|letter: char| letter.is_ascii_digit()), "{}", shape[0]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_call_that_is_larger_than_what_is_left_is_told_both_and_when_there_is_more() {
        let user = BudgetScope::User(access::UserNo(1));
        for (message, expected) in [
            (
                refusal(user, Measure::Money, Per::Day, [0, 0, 1], RefusalCause::Limit),
                "the day's quota of 0 USD allows only requests without a cost",
            ),
            (
                refusal(user, Measure::Tokens, Per::Day, [1_000, 400, 601], RefusalCause::Limit),
                "this call may use up to 601 tokens, and 600 tokens are left of the day's quota of 1000 tokens: ask for \
                less, or wait until it is full again at midnight UTC",
            ),
            (
                refusal(user, Measure::Tokens, Per::Day, [1_000, 0, 1_001], RefusalCause::Limit),
                "this call may use up to 1001 tokens, and 1000 tokens are left of the day's quota of 1000 tokens: ask \
                for less; it is full again at midnight UTC",
            ),
            (
                refusal(
                    BudgetScope::Global,
                    Measure::Money,
                    Per::Month,
                    [5_000_000_000, 4_999_000_000, 1_250_000],
                    RefusalCause::Limit,
                ),
                "this call may use up to 0.00125 USD, and less is left of the month's quota of money for this gateway: ask \
                for less, or wait until it is full again on the first of the next month, UTC",
            ),
            (
                refusal(BudgetScope::Key(access::KeyNo(1)), Measure::Credits, Per::Day, [5, 3, 4], RefusalCause::Limit),
                "this call costs 4 credits, and 2 credits are left of this key's own quota of 5 credits a day: ask for \
                less, or wait until it is full again at midnight UTC",
            ),
            (
                refusal(user, Measure::Tokens, Per::Day, [1_000, 400, 601], RefusalCause::Lease),
                "this call may use up to 601 tokens, and less is left of the day's quota of 1000 tokens: ask for less, or \
                wait until it is full again at midnight UTC",
            ),
        ] {
            assert_eq!(message, expected);
        }
    }
}
