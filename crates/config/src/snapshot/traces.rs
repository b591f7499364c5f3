//! The section `traces` of the file.

use std::fmt;
use std::time::Duration;

use access::Secret;

use super::Origin;

/// The export of traces to a receiver of OTLP.
#[derive(Debug, Clone)]
pub struct Traces {
    /// The receiver, with the path of its endpoint.
    pub receiver: Origin,
    /// Additional headers of requests to the receiver.
    pub headers: Vec<(String, Secret)>,
    /// The share of requests that are sampled.
    pub sample: TraceSample,
    /// Whether a request is sampled if its client has sampled the trace.
    pub parent: bool,
    /// Whether requests that failed are exported although they were not sampled.
    pub errors: bool,
    /// The duration from which requests are exported although they were not sampled.
    pub slow: Option<Duration>,
    /// Maximum number of requests whose spans wait for the receiver.
    pub queue_max: usize,
    /// The name of the service in exported traces; `None` means that of the brand.
    pub service: Option<String>,
}

/// The URL of a trace's page in a tracing system, with a place for the id of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLink {
    /// The URL before the id.
    before: String,
    /// The URL behind the id.
    after: String,
}

impl TraceLink {
    /// The place of the id.
    const PLACE: &str = "{trace_id}";
    /// Maximum length in bytes.
    const LEN_MAX: usize = 2_048;

    /// Parses an `http` or `https` URL that contains `{trace_id}` once, behind its host; `None` for other texts.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once(Self::PLACE)?;
        let is_once = !after.contains(Self::PLACE);
        let is_visible = text.len() <= Self::LEN_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
        let (scheme, rest) = before.split_once("://")?;
        let (host, _) = rest.split_at(rest.find(['/', '?', '#'])?);
        let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        let is_host = !host.contains('@') && host.parse::<http::uri::Authority>().is_ok();
        let link = || Self { before: before.to_owned(), after: after.to_owned() };
        (is_once && is_visible && is_web && is_host).then(link)
    }

    /// Returns the URL of a trace, whose id is given in hexadecimal digits.
    #[must_use]
    pub fn url(&self, trace_id: &str) -> String {
        [&self.before, trace_id, &self.after].concat()
    }
}

impl fmt::Display for TraceLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.before, Self::PLACE, self.after)
    }
}

/// A share of all traces, which the id of a trace belongs to or not. All services with the same share select the same
/// traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceSample(u32);

impl TraceSample {
    /// All traces, in parts per million.
    pub const PPM_MAX: u32 = 1_000_000;

    /// Returns a share in parts per million; more than all is all.
    #[must_use]
    pub const fn of_ppm(ppm: u32) -> Self {
        Self(if ppm > Self::PPM_MAX { Self::PPM_MAX } else { ppm })
    }

    /// Returns the share in parts per million.
    #[must_use]
    pub const fn ppm(self) -> u32 {
        self.0
    }

    /// Returns whether the share contains the trace. Only the last seven bytes of the id decide: they are random also in ids
    /// that begin with a time (W3C Trace Context Level 2, "Random Trace ID Flag").
    #[must_use]
    pub fn contains(self, trace_id: [u8; 16]) -> bool {
        const RANDOM_BITS: u32 = 56;
        let random = u128::from_be_bytes(trace_id) & ((1 << RANDOM_BITS) - 1);
        // The highest values are selected, as OpenTelemetry's samplers do.
        let rejected = u128::from(Self::PPM_MAX - self.0) << RANDOM_BITS;
        random * u128::from(Self::PPM_MAX) >= rejected && self.0 > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_web_address_with_one_place_for_the_id() {
        for (text, expected) in [
            ("https://jaeger.example/trace/{trace_id}", Some("https://jaeger.example/trace/7f")),
            ("HTTP://[::1]:16686/trace/{trace_id}?ui=1#a", Some("HTTP://[::1]:16686/trace/7f?ui=1#a")),
            ("https://g.example?left={\"q\":\"{trace_id}\"}", Some("https://g.example?left={\"q\":\"7f\"}")),
            ("https://g.example#{trace_id}", Some("https://g.example#7f")),
            ("https://jaeger.example/trace", None),
            ("https://a.example/{trace_id}/{trace_id}", None),
            ("https://{trace_id}.example/", None),
            ("https://a@b.example/{trace_id}", None),
            ("https:///{trace_id}", None),
            ("https://a.example/ {trace_id}", None),
            ("https://a.example/é{trace_id}", None),
            ("javascript://a/{trace_id}", None),
            ("/trace/{trace_id}", None),
            ("", None),
        ] {
            let link = TraceLink::parse(text);
            assert_eq!(link.as_ref().map(|link| link.url("7f")).as_deref(), expected, "{text}");
            assert!(link.is_none_or(|link| link.to_string() == text));
        }
        let long = format!("https://a.example/{}{{trace_id}}", "x".repeat(2_048));
        assert_eq!(TraceLink::parse(&long), None);
    }

    #[test]
    fn the_last_seven_bytes_of_an_id_decide() {
        let id = |prefix: u8, last: u64| (u128::from(prefix) << 120 | u128::from(last)).to_be_bytes();
        let whole = (1_u64 << 56) - 1;
        for (ppm, last, expected) in [
            (0, 0, false),
            (0, whole, false),
            (1_000_000, 0, true),
            (1_000_000, whole, true),
            (1, whole, true),
            (1, whole / 2, false),
            (500_000, 1 << 55, true),
            (500_000, (1 << 55) - 1, false),
            (10_000, whole / 100 * 99 + 100, true),
            (10_000, whole / 100 * 98, false),
        ] {
            for prefix in [0, 0xff] {
                assert_eq!(TraceSample::of_ppm(ppm).contains(id(prefix, last)), expected, "{ppm} {last}");
            }
        }
        assert_eq!(TraceSample::of_ppm(2_000_000).ppm(), TraceSample::PPM_MAX);
    }
}
