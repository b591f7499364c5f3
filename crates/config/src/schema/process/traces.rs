//! The keys of `traces`.

use std::time::Duration;

use crate::snapshot::{Origin, Scheme, TraceLink, TraceSample};
use access::Secret;
use access::amounts::usd;
use http::{HeaderName, HeaderValue};
use settings::field::{Map, default, optional, or_empty};
use settings::form::{Boolean, DurationForm, FormRefusal, Scalar, TextForm, Whole, WordOr, accept, bad};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;

section! {
    TracesInput {
        /// The base URL of an OTLP receiver: `http://127.0.0.1:4318`.
        otlp: Option<Input<Origin>> = or_empty(OTLP, "none: traces are off");
        /// Headers of each request to the receiver.
        headers: Vec<(String, Input<Secret>)> = Map::new(HEADER, is_header, HEADER_EXPECTED, HEADER_PATTERN);
        /// The share of exported requests, by the id of the trace.
        sample: Input<TraceSample> = default(SAMPLE, || TraceSample::of_ppm(10_000));
        /// Whether the client's `traceparent` can export a request.
        parent: Input<bool> = default(Boolean, || true);
        /// Whether failed requests are always exported.
        errors: Input<bool> = default(Boolean, || true);
        /// Requests of at least this duration are exported.
        slow: Input<Option<Duration>> = default(SLOW, || Some(Duration::from_secs(1)));
        /// Maximum of waiting requests; more are dropped.
        queue: Input<u32> = default(QUEUE, || 8_192);
        /// The name of the service in exported traces.
        service: Option<Input<String>> = optional(SERVICE, "the name of the brand in lower case");
        /// The [page of a trace](traces.md#trace-of-a-request): `https://…/{trace_id}`.
        link: Option<Input<TraceLink>> = or_empty(LINK, "none");
    }
}

/// A request that waits uses up to four kilobytes of memory.
const QUEUE: Whole<u32> = Whole::new(1, 1_000_000);
const SLOW: WordOr<DurationForm> = WordOr::new("never", DurationForm::POSITIVE);
const OTLP: TextForm<Origin> = TextForm {
    parse: |text| match Origin::parse(text) {
        Ok(origin) if origin.scheme != Scheme::H2c => Ok(origin),
        Ok(_) => Err(bad("http://HOST[:PORT][/PATH] or https://…")),
        Err(error) => Err(FormRefusal::Bad(error.to_string())),
    },
    shown: |origin| Value::text(origin),
    cell: "URL",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$",
    scalar: Scalar::Text,
};
const HEADER_EXPECTED: &str = "names of headers, except those that Tollgate writes";
const HEADER_PATTERN: &str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$";
const HEADER: TextForm<Secret> = TextForm {
    parse: |value| {
        let is_value = value.len() <= 4_096 && HeaderValue::from_str(value).is_ok();
        accept(value, is_value, "1 to 4,096 characters of a header's value").map(Secret::new)
    },
    shown: Value::secret,
    cell: "text",
    pattern: "^.{0,4096}$",
    scalar: Scalar::Any,
};

const SERVICE: TextForm<String> = TextForm {
    parse: |name| {
        let is_name = (1..=255).contains(&name.chars().count()) && !name.contains(char::is_control);
        accept(name, is_name, "1 to 255 characters without control characters")
    },
    shown: |name| Value::text(name),
    cell: "name",
    pattern: r"^[^\x00-\x1f\x7f-\x9f]{1,255}$",
    scalar: Scalar::Any,
};
const LINK: TextForm<TraceLink> = TextForm {
    parse: |text| {
        TraceLink::parse(text).ok_or_else(|| {
            bad("`http://HOST[:PORT]/…` or `https://…`, which contains `{trace_id}` once behind the host")
        })
    },
    shown: |link| Value::text(link),
    cell: "URL with `{trace_id}`",
    pattern: r"^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+[/?#].*\{trace_id\}.*$",
    scalar: Scalar::Text,
};

/// Whether an operator may set the header. The others describe the body or the connection.
fn is_header(name: &str) -> bool {
    const OWN: [&str; 6] = ["connection", "content-length", "content-type", "host", "te", "transfer-encoding"];
    let lower = name.to_ascii_lowercase();
    name.len() <= 64 && HeaderName::from_bytes(name.as_bytes()).is_ok() && !OWN.contains(&&*lower)
}

const SAMPLE: TextForm<TraceSample> = TextForm {
    parse: |text| {
        let ppm = text.strip_suffix('%').and_then(|number| usd::parse(number, 4).ok());
        let ppm = ppm.and_then(|ppm| u32::try_from(ppm).ok()).filter(|ppm| *ppm <= TraceSample::PPM_MAX);
        ppm.map(TraceSample::of_ppm)
            .ok_or_else(|| bad("a percentage from 0% to 100%, with at most four decimal places"))
    },
    shown: |sample| Value::Text(format!("{}%", usd::written(u64::from(sample.ppm()), 4))),
    cell: "`0%` to `100%`",
    pattern: r"^[0-9]+(\.[0-9]+)?%$",
    scalar: Scalar::Text,
};
