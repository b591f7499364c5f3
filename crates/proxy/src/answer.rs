//! Answers of our own: a refusal in the words of the path that was called.

use std::borrow::Cow;
use std::time::Duration;

use access::{Clock, Refusal, RequestId};
use ai::Dialect;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use meter::rate::Level;
use meter::{BudgetId, Exceeded, LimitOf, Measure, Outcome, Per, Refused, Subject};

use crate::body::Body;

/// Written to a connection for which there is no room, before it is closed.
pub(crate) const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 102\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"error\":{\"code\":\"overloaded\",\"message\":\"too many connections are open: try again soon\",\"status\":503}}";

const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request is not served, and what its caller is told.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) refusal: Refusal,
    pub(crate) message: Cow<'static, str>,
    /// What the log says besides; never shown.
    pub(crate) source: Option<String>,
    /// How a request ends that was sent before it failed.
    pub(crate) outcome: Outcome,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(refusal: Refusal, message: impl Into<Cow<'static, str>>) -> Self {
        Self { refusal, message: message.into(), source: None, outcome: outcome(refusal), headers: Vec::new() }
    }

    /// The caller went away in the middle of its request.
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

    /// The methods that are served where this one is not (RFC 9110, 10.2.1).
    pub(crate) fn allowing(self, allow: &str) -> Self {
        match HeaderValue::from_str(allow) {
            Ok(value) => self.header(header::ALLOW, value),
            Err(_) => self,
        }
    }

    /// The refusal of a limit, a quota included.
    pub(crate) fn of_limit(refused: &Refused, clock: &Clock) -> Self {
        match refused {
            Refused::Rate(empty, of) => {
                let seconds = seconds_up(empty.retry_after).max(1);
                let whose = match of {
                    LimitOf::Plan => "",
                    LimitOf::Key => " with this key",
                };
                let message =
                    format!("more than {} requests a minute{whose}: try again in {seconds} seconds", empty.limit);
                let level = Level { limit: empty.limit, remaining: 0, reset: empty.reset };
                let mut problem =
                    Self::new(Refusal::RateLimited, message).header(header::RETRY_AFTER, HeaderValue::from(seconds));
                problem.headers.extend(limit_headers(level, clock));
                problem
            }
            Refused::Budget(exceeded) => {
                let message = used_up(exceeded);
                let until = exceeded.resets_at().0.saturating_sub(clock.now().0);
                let seconds = seconds_up(Duration::from_micros(until));
                let is_quota = exceeded.budget.measure == Measure::Credits && exceeded.budget.per == Per::Day;
                let refusal = if is_quota { Refusal::QuotaExceeded } else { Refusal::BudgetExceeded };
                Self::new(refusal, message).header(header::RETRY_AFTER, HeaderValue::from(seconds))
            }
        }
    }

    /// The answer in the words of `dialect`, or in the gateway's own shape.
    pub(crate) fn into_response(self, dialect: Option<Dialect>, id: RequestId) -> Response<Body> {
        let request_id = id.to_string();
        let problem = ai::Problem { refusal: self.refusal, message: &self.message, request_id: &request_id };
        let bytes = Bytes::from(ai::error::body(dialect, &problem));
        let mut response = Response::new(Body::whole(bytes));
        *response.status_mut() =
            StatusCode::from_u16(self.refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        if self.refusal.status() == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        if dialect.is_some() && matches!(self.refusal, Refusal::QuotaExceeded | Refusal::BudgetExceeded) {
            // With it LLM clients would wait and ask again, until midnight.
            headers.remove(header::RETRY_AFTER);
        }
        for (name, value) in ai::error::headers(dialect, self.refusal) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

/// A budget that does not hold what was asked for, in words.
fn used_up(exceeded: &Exceeded) -> String {
    let Exceeded { budget: BudgetId { subject, measure, per }, limit, used, .. } = *exceeded;
    let (period, again) = match per {
        Per::Day => ("day", "at midnight UTC"),
        Per::Month => ("month", "on the first of the next month, UTC"),
    };
    let (limit, used, unit) = match measure {
        Measure::Credits => (limit.to_string(), used.to_string(), "credits"),
        Measure::Tokens => (limit.to_string(), used.to_string(), "tokens"),
        Measure::Money => (cents(limit), cents(used), "USD"),
    };
    let what = match subject {
        Subject::Key(_) => format!("this key's own quota of {limit} {unit} a {period}"),
        Subject::User(_) => format!("the {period}'s quota of {limit} {unit}"),
        Subject::Plan(_) => format!("the {period}'s quota of {limit} {unit} for everybody on this plan"),
        Subject::Global => format!("the {period}'s quota of {limit} {unit} for this gateway"),
    };
    format!("{what} is used up ({used} used): it is full again {again}")
}

/// Billionths of a dollar as dollars, down to whole cents.
fn cents(nano_usd: u64) -> String {
    format!("{}.{:02}", nano_usd / 1_000_000_000, nano_usd / 10_000_000 % 100)
}

/// `X-RateLimit-*` of a caller's rate limit; `-Reset` is in Unix seconds (GW-3.3).
pub(crate) fn limit_headers(level: Level, clock: &Clock) -> [(HeaderName, HeaderValue); 3] {
    let reset = clock.now().unix_seconds() + seconds_up(level.reset);
    [
        (X_RATELIMIT_LIMIT, HeaderValue::from(level.limit)),
        (X_RATELIMIT_REMAINING, HeaderValue::from(level.remaining)),
        (X_RATELIMIT_RESET, HeaderValue::from(reset)),
    ]
}

/// A JSON answer of ours.
pub(crate) fn json(bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::from(bytes)));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// Puts our request id in, over what stands there: OpenAI's clients read the one header, Anthropic's the other.
pub(crate) fn stamp(headers: &mut HeaderMap, value: HeaderValue) {
    const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
    headers.insert(crate::admit::X_REQUEST_ID, value.clone());
    headers.insert(REQUEST_ID, value);
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

/// Whole seconds, rounded up.
pub(crate) fn seconds_up(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_without_room_has_the_length_it_says() {
        let text = std::str::from_utf8(TOO_MANY_CONNECTIONS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }

    #[test]
    fn a_budget_that_is_used_up_says_whose_how_much_and_until_when() {
        let exceeded = |subject, measure, per| {
            let budget = BudgetId { subject, measure, per };
            let period = meter::Period::of(per, access::Day(20_000));
            let (limit, used, asked) = (2_505_000_000, 2_600_000_000, 1);
            used_up(&Exceeded { budget, period, limit, used, asked, by: meter::cell::By::Limit })
        };
        let key = Subject::Key(access::KeyNo(1));
        for (said, expected) in [
            (
                exceeded(Subject::User(access::UserNo(1)), Measure::Credits, Per::Day),
                "the day's quota of 2505000000 credits is used up (2600000000 used): it is full again at midnight UTC",
            ),
            (
                exceeded(key, Measure::Money, Per::Month),
                "this key's own quota of 2.50 USD a month is used up (2.60 used): it is full again on the first of the \
                next month, UTC",
            ),
            (
                exceeded(Subject::Global, Measure::Tokens, Per::Day),
                "the day's quota of 2505000000 tokens for this gateway is used up (2600000000 used): it is full again at \
                midnight UTC",
            ),
        ] {
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn waiting_times_are_whole_seconds_rounded_up() {
        assert_eq!(seconds_up(Duration::from_millis(1)), 1);
        assert_eq!(seconds_up(Duration::from_millis(1_000)), 1);
        assert_eq!(seconds_up(Duration::from_millis(1_001)), 2);
    }
}
