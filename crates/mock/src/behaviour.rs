//! What a model's name asks for. [`BEHAVIOURS`] is the list that people read.

use std::time::Duration;

use http::StatusCode;

use crate::damage::BodyDamage;
use crate::error::MockError;
use crate::http_violation::HttpViolation;
use crate::server::MockTiming;

const TOKENS_MAX: u32 = 100_000;
const EVERY_MAX_MS: u64 = 10_000;
const RETRY_AFTER_MAX_S: u32 = 3_600;
const FLAKY_MAX: u32 = 100;
const HEADERS_MAX: u32 = 20_000;

/// Each name and what it does, with `N` where a number stands. Every other name answers as a provider does.
pub const BEHAVIOURS: &[(&str, &str)] = &[
    ("mock", "answers, as does every name that is not in this list"),
    ("slow", "the first byte comes after 3 s"),
    ("long", "the response goes on for ten minutes"),
    (
        "tokens-N",
        "N tokens of output, an event each, at once; tokens-N-MS: one every MS milliseconds; tokens-N-MS-WORD keeps counts apart",
    ),
    ("echo", "the response is the last user message"),
    ("tool", "calls the first function with arguments of its schema, then answers"),
    ("instant", "a fixed response at once, for benchmarks"),
    ("no-usage", "says nothing of tokens"),
    ("N", "refused with status N (429, 500, 529, …), in the provider's words; also status-N, from 200 to 599"),
    ("retry-after-N", "429, to be asked again in N seconds"),
    ("quota", "429, and no use in asking again"),
    ("flaky-N", "503 to the first N requests of each x-request-id, then answers; flaky-N-WORD keeps counts apart"),
    ("html", "200 and a page of HTML; html-N: with status N"),
    ("empty", "200 and no body"),
    ("headers-N", "N headers more"),
    ("hang", "takes the request and says nothing"),
    ("stall", "stops in the middle and keeps the connection"),
    ("cut", "closes the connection in the middle of the response"),
    ("error-event", "the stream ends with the provider's own error event"),
    ("unfinished", "the stream ends in good order, before the event that reports its end"),
    ("open-event", "the stream's last event has no end"),
    ("event-N", "one event of N bytes of text, up to 1,000,000,000"),
    ("crlf", "events end in CR LF"),
    ("comments", "comments between events, which Google's wire never has"),
    ("bytewise", "every byte is a chunk of its own"),
    ("joined", "all events are one chunk"),
    ("broken-json", "the JSON ends early"),
    ("deep-N", "a value nested N deep before everything else; deep: 10,000"),
    ("duplicate-keys", "every count of tokens stands twice, first with another value"),
    ("invalid-utf8", "bytes that are no UTF-8 inside strings"),
    ("usage-backwards", "counts of tokens that go down"),
    ("usage-negative", "counts of tokens below zero"),
    ("usage-huge", "counts of tokens of 10^19"),
    ("usage-nan", "counts of tokens that are NaN"),
    ("usage-text", "counts of tokens in quotes"),
    ("usage-fraction", "counts of tokens with a fraction"),
    ("1xx", "100 Continue for ever; 1xx-N: N times, then answers"),
    ("twice", "answers twice"),
    ("too-short", "Content-Length is less than what comes"),
    ("two-lengths", "two Content-Length that differ"),
    ("length-and-chunked", "Content-Length beside Transfer-Encoding"),
    ("bare-lf", "the head's lines end in LF alone"),
    ("not-http", "bytes that are no HTTP"),
    ("slow-head", "the head comes byte by byte, one every 100 ms"),
    ("close", "closes without an response"),
    ("reset", "resets without an response"),
    ("reset-head", "resets within the head"),
    ("reset-body", "resets within the body"),
];

/// One way to response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// As a provider does: `mock`, and every name that is not below.
    Normal,
    /// The first byte comes late.
    Slow,
    /// The response goes on for minutes.
    Long,
    /// `tokens-N`, `tokens-N-MS`, `tokens-N-MS-WORD`.
    Tokens { count: u32, every: Duration },
    /// Refused, or answered with another status.
    Status { status: StatusCode, retry_after_s: Option<u32> },
    /// Refused for good, as who has spent all.
    Quota,
    /// Refused so many times, then answered.
    Flaky { times: u32 },
    /// HTML with this status.
    Html(StatusCode),
    /// No body.
    Empty,
    /// So many headers.
    Headers(u32),
    /// No response, for as long as `long` takes.
    Hang,
    /// The middle of an response, and no more.
    Stall,
    /// The connection is closed in the middle of the response.
    Cut,
    /// The response says nothing of tokens.
    NoUsage,
    /// The response calls a tool, unless a tool's result was just sent.
    Tool,
    /// The response is the last user message.
    Echo,
    /// A fixed response at once, not streamed: for benchmarks.
    Instant,
    /// The response, damaged.
    Damaged(BodyDamage),
    /// No HTTP, or bad HTTP.
    HttpViolation(HttpViolation),
}

impl Behaviour {
    /// What a name without the provider's prefix asks for. Counts are cut to 100,000 tokens, times to 10 s.
    pub(crate) fn of(name: &str) -> Self {
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
                .or_else(|| BodyDamage::of(name).map(Self::Damaged))
                .or_else(|| HttpViolation::of(name).map(Self::HttpViolation))
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

    /// How the request is refused, if it is.
    pub(crate) fn error(self) -> Option<MockError> {
        match self {
            Self::Status { status, retry_after_s } if !status.is_success() => {
                Some(MockError::Status { status, retry_after_s })
            }
            Self::Quota => Some(MockError::Quota),
            _ => None,
        }
    }

    /// Time between two events of its stream.
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
    fn names_ask_for_behaviours() {
        let check = |model: &str, expected: Behaviour| assert_eq!(Behaviour::of(model), expected, "{model}");
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
    fn the_page_lists_what_the_names_do() {
        let page = include_str!("../../../docs/mock.md");
        let rows: String = BEHAVIOURS.iter().map(|(name, does)| format!("| `{name}` | {does} |\n")).collect();
        assert!(page.contains(&rows), "docs/mock.md lacks these rows:\n{rows}");
    }

    #[test]
    fn every_listed_name_but_one_asks_for_something() {
        for (name, _) in BEHAVIOURS {
            let asked = if *name == "N" { String::from("500") } else { name.replace("-N", "-7") };
            let asked = if *name == "status-N" { String::from("status-404") } else { asked };
            assert_eq!(Behaviour::of(&asked) == Behaviour::Normal, *name == "mock", "{name}");
        }
    }
}
