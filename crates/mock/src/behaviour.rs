//! The behaviour that a model's name selects. [`BEHAVIOURS`] is the list in the help text; `docs/mock.md` has a part of it.

use std::time::Duration;

use http::StatusCode;

use crate::error::MockError;
use crate::faults::damage::BodyDamage;
use crate::faults::http_violation::HttpViolation;
use crate::timing::MockTiming;

const TOKENS_MAX: u32 = 100_000;
const EVERY_MAX_MS: u64 = 10_000;
const RETRY_AFTER_MAX_S: u32 = 3_600;
const FLAKY_MAX: u32 = 100;
const HEADERS_MAX: u32 = 20_000;

/// Model names and their behaviour; `N` is a number. Any other name responds as a provider does.
pub const BEHAVIOURS: &[(&str, &str)] = &[
    ("mock", "a normal response, as every other name"),
    ("slow", "sends the first byte after 3 s"),
    ("long", "streams for ten minutes"),
    (
        "tokens-N",
        "N output tokens, one event each; tokens-N-MS: one every MS milliseconds; tokens-N-MS-WORD is recorded apart",
    ),
    ("echo", "the last user message"),
    ("tool", "calls the first function, then responds with text"),
    ("instant", "a fixed response without delay"),
    ("no-usage", "reports no usage"),
    ("N", "error status N (429, 500, 529, …) in the provider's format; status-N: any status from 200 to 599"),
    ("retry-after-N", "429 with Retry-After: N"),
    ("quota", "429 that a client must not retry"),
    ("flaky-N", "503 for the first N requests of each x-request-id; flaky-N-WORD counts apart"),
    ("html", "200 with an HTML page; html-N: with status N"),
    ("empty", "200 without a body"),
    ("headers-N", "N additional header fields"),
    ("hang", "reads the request and never responds"),
    ("stall", "stops in the middle of the body"),
    ("cut", "closes in the middle of the body"),
    ("error-event", "ends the stream with the provider's error event"),
    ("unfinished", "ends the stream without its final event"),
    ("open-event", "the last event of the stream is incomplete"),
    ("event-N", "one event of N bytes of text, at most 1,000,000,000"),
    ("crlf", "events end in CR LF"),
    ("comments", "comments between events, except in Google's format"),
    ("bytewise", "each byte is one chunk"),
    ("joined", "all events are one chunk"),
    ("broken-json", "the JSON ends early"),
    ("deep-N", "a value nested N levels; deep: 10,000"),
    ("duplicate-keys", "each token count appears twice, first with another value"),
    ("invalid-utf8", "strings contain invalid UTF-8"),
    ("usage-backwards", "token counts decrease during the stream"),
    ("usage-negative", "token counts below zero"),
    ("usage-huge", "token counts of 10^19"),
    ("usage-nan", "token counts are NaN"),
    ("usage-text", "token counts are strings"),
    ("usage-fraction", "token counts have a fraction"),
    ("1xx", "100 Continue for ten minutes; 1xx-N: N times, then a normal response"),
    ("twice", "sends two responses"),
    ("too-short", "Content-Length is smaller than the body"),
    ("two-lengths", "two different Content-Length fields"),
    ("length-and-chunked", "Content-Length and Transfer-Encoding"),
    ("bare-lf", "lines of the head end in LF"),
    ("not-http", "bytes that are not HTTP"),
    ("slow-head", "one byte of the head every 100 ms"),
    ("close", "closes the connection without a response"),
    ("reset", "resets without a response"),
    ("reset-head", "resets within the head"),
    ("reset-body", "resets within the body"),
];

/// The way in which the mock responds to one model name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Respond as a provider does: `mock`, and every name without a behaviour.
    Normal,
    /// Delay the first byte.
    Slow,
    /// Stream the response for minutes.
    Long,
    /// Send `count` tokens: `tokens-N`, `tokens-N-MS`, `tokens-N-MS-WORD`.
    Tokens { count: u32, every: Duration },
    /// Respond with another status; an error status is a refusal.
    Status { status: StatusCode, retry_after_s: Option<u32> },
    /// Refuse with an exhausted quota, which a retry does not change.
    Quota,
    /// Refuse the first `times` requests, then respond.
    Flaky { times: u32 },
    /// Respond with an HTML page and this status.
    Html(StatusCode),
    /// Respond with an empty body.
    Empty,
    /// Add this many response headers.
    Headers(u32),
    /// Send no response for as long as `long` takes.
    Hang,
    /// Send half of a response, then nothing more.
    Stall,
    /// Close the connection in the middle of the response.
    Cut,
    /// Respond without a usage report.
    NoUsage,
    /// Call a tool, unless the request ends with a tool's result.
    Tool,
    /// Respond with the last user message.
    Echo,
    /// Send a fixed response at once, unstreamed, for benchmarks.
    Instant,
    /// Damage the body of the response.
    Damaged(BodyDamage),
    /// Violate HTTP, or send none.
    HttpViolation(HttpViolation),
}

impl Behaviour {
    /// The behaviour of `name`, which has no provider prefix. At most 100,000 tokens, and 10 s between two events.
    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "slow" => Self::Slow,
            "long" => Self::Long,
            "quota" => Self::Quota,
            "html" => Self::Html(StatusCode::OK),
            "empty" => Self::Empty,
            "hang" => Self::Hang,
            "stall" => Self::Stall,
            "cut" => Self::Cut,
            "no-usage" => Self::NoUsage,
            "tool" => Self::Tool,
            "echo" => Self::Echo,
            "instant" => Self::Instant,
            _ => Self::numbered(name)
                .or_else(|| BodyDamage::from_name(name).map(Self::Damaged))
                .or_else(|| HttpViolation::from_name(name).map(Self::HttpViolation))
                .unwrap_or(Self::Normal),
        }
    }

    fn numbered(name: &str) -> Option<Self> {
        if let Some(status) = status(name, 400) {
            return Some(status);
        }
        let (word, rest) = match name.split_once('-')? {
            ("retry", rest) => ("retry-after", rest.strip_prefix("after-")?),
            split => split,
        };
        match word {
            "tokens" => Self::tokens(rest),
            "status" => status(rest, 200),
            "html" => Some(Self::Html(StatusCode::from_u16(rest.parse().ok()?).ok()?)),
            "headers" => Some(Self::Headers(rest.parse::<u32>().ok()?.min(HEADERS_MAX))),
            "flaky" => {
                let times = rest.split('-').next()?.parse::<u32>().ok()?.min(FLAKY_MAX);
                Some(Self::Flaky { times })
            }
            "retry-after" => {
                let retry_after_s = Some(rest.parse::<u32>().ok()?.min(RETRY_AFTER_MAX_S));
                Some(Self::Status { status: StatusCode::TOO_MANY_REQUESTS, retry_after_s })
            }
            _ => None,
        }
    }

    /// The refusal, if the behaviour is one.
    pub(crate) fn error(self) -> Option<MockError> {
        match self {
            Self::Status { status, retry_after_s } if !status.is_success() => {
                Some(MockError::Status { status, retry_after_s })
            }
            Self::Quota => Some(MockError::Quota),
            _ => None,
        }
    }

    /// The time between two events of the stream.
    pub(crate) fn pace(self, options: &MockTiming) -> Duration {
        match self {
            Self::Long => options.long_pace,
            Self::Tokens { every, .. } => every,
            Self::Damaged(damage) if damage.is_in_haste() => Duration::ZERO,
            _ => options.pace,
        }
    }

    fn tokens(rest: &str) -> Option<Self> {
        let (count, every) = rest.split_once('-').unwrap_or((rest, "0"));
        let every = every.split('-').next()?.parse::<u64>().ok()?.min(EVERY_MAX_MS);
        Some(Self::Tokens { count: count.parse::<u32>().ok()?.min(TOKENS_MAX), every: Duration::from_millis(every) })
    }
}

fn status(digits: &str, least: u16) -> Option<Behaviour> {
    let number = digits.parse().ok().filter(|number| (least..600).contains(number))?;
    let retry_after_s = (number == 429).then_some(1);
    Some(Behaviour::Status { status: StatusCode::from_u16(number).ok()?, retry_after_s })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_select_behaviours() {
        let check = |model: &str, expected: Behaviour| assert_eq!(Behaviour::from_name(model), expected, "{model}");
        let tokens = |count, ms| Behaviour::Tokens { count, every: Duration::from_millis(ms) };
        let status = |status, retry_after_s| Behaviour::Status { status, retry_after_s };
        check("mock", Behaviour::Normal);
        check("gpt-5-mini", Behaviour::Normal);
        check("slow", Behaviour::Slow);
        check("529", status(StatusCode::from_u16(529).unwrap(), None));
        check("429", status(StatusCode::TOO_MANY_REQUESTS, Some(1)));
        check("retry-after-20", status(StatusCode::TOO_MANY_REQUESTS, Some(20)));
        check("status-302", status(StatusCode::FOUND, None));
        check("status-99", Behaviour::Normal);
        check("200", Behaviour::Normal);
        check("html-502", Behaviour::Html(StatusCode::BAD_GATEWAY));
        check("flaky-2-abc", Behaviour::Flaky { times: 2 });
        check("tokens-7", tokens(7, 0));
        check("tokens-7-2", tokens(7, 2));
        check("tokens-4000000000", tokens(TOKENS_MAX, 0));
        check("tokens-many", Behaviour::Normal);
        check("tokens-7-2-00000001", tokens(7, 2));
        check("tokens-1-many", Behaviour::Normal);
    }

    #[test]
    fn the_page_describes_behaviours_as_the_help_text_does() {
        let page = include_str!("../../../docs/mock.md");
        let items: Vec<&str> = page.lines().filter(|line| line.starts_with("- `")).collect();
        assert!(items.len() > 10, "{items:?}");
        for item in items {
            let is_listed = BEHAVIOURS.iter().any(|(name, does)| item == format!("- `{name}`: {does}"));
            assert!(is_listed, "docs/mock.md has an item that BEHAVIOURS lacks: {item}");
        }
    }

    #[test]
    fn every_listed_name_except_mock_selects_a_behaviour() {
        for (name, _) in BEHAVIOURS {
            let name_with_number = if *name == "N" { String::from("500") } else { name.replace("-N", "-7") };
            let name_with_number = if *name == "status-N" { String::from("status-404") } else { name_with_number };
            assert_eq!(Behaviour::from_name(&name_with_number) == Behaviour::Normal, *name == "mock", "{name}");
        }
    }
}
