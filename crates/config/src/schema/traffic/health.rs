//! The keys of `upstreams[].health_check`.

use std::time::Duration;

use super::breaker::SHARE;
use super::check_headers::CheckHeaders;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue};
use serde_json::{Value as Json, json};
use settings::documents::json::given;
use settings::field::{ValueList, default, list, optional};
use settings::form::{DurationForm, Form, FormRefusal, Scalar, TextForm, Whole, WordOr, accept};
use settings::input::Input;
use settings::section;
use settings::section::setting::Value;
use settings::spec::Rule;

const PANIC: WordOr<TextForm<u32>> = WordOr::new("off", SHARE);
const THRESHOLD: Whole<u32> = Whole::new(1, 100);
const PATH: TextForm<String> = TextForm {
    parse: |path| {
        let is_path = path.starts_with('/') && path.len() <= 2_048;
        accept(path, is_path && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "a path: /health")
    },
    shown: |path| Value::text(path),
    cell: "path of at most 2,048 bytes",
    pattern: "^/[!-\"$-~]{0,2047}$",
    scalar: Scalar::Text,
};
const AUTHORITY: TextForm<String> = TextForm {
    parse: |host| {
        let is_host = (1..=255).contains(&host.len());
        let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
        accept(host, is_host && is_plain, "a host, such as users.internal")
    },
    shown: |host| Value::text(host),
    cell: "host",
    pattern: r"^[A-Za-z0-9.:_\[\]-]{1,255}$",
    scalar: Scalar::Text,
};
const SERVICE: TextForm<String> = TextForm {
    parse: |name| {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        accept(name, name.len() <= 127 && is_plain, "the name of a service, such as pay.v1.Payments")
    },
    shown: |name| Value::text(name),
    cell: "name of a service; empty for the whole server",
    pattern: "^[A-Za-z0-9._-]{0,127}$",
    scalar: Scalar::Text,
};
/// A program, or one of its arguments.
const ARGUMENT: TextForm<String> = TextForm {
    parse: |text| accept(text, (1..=1_024).contains(&text.len()) && !text.contains('\0'), "1 to 1,024 bytes"),
    shown: |text| Value::text(text),
    cell: "text",
    pattern: "^[^\\x00]+$",
    scalar: Scalar::Any,
};
/// One status, or a range of them.
const STATUSES: TextForm<(u16, u16)> = TextForm {
    parse: |text| {
        let status = |text: &str| text.parse().ok().filter(|status| (100..=599).contains(status));
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = status(first).zip(status(last)).filter(|(first, last)| first <= last);
        range.ok_or_else(|| FormRefusal::Bad("a status or a range of statuses, such as 204 or 200-299".to_owned()))
    },
    shown: |(first, last)| Value::Text(if first == last { first.to_string() } else { format!("{first}-{last}") }),
    cell: "`204` or `200-299`",
    pattern: "^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$",
    scalar: Scalar::Any,
};

/// The value `true`: with `false`, a section with one kind of check would have none.
struct OnlyTrue;

impl Form for OnlyTrue {
    type Value = bool;

    fn parse(&self, text: &str) -> Result<bool, FormRefusal> {
        if text == "true" { Ok(true) } else { Err(FormRefusal::Bad("true, or another kind of check".to_owned())) }
    }

    fn shown(&self, value: &bool) -> Value {
        Value::Boolean(*value)
    }

    fn cell(&self) -> String {
        "`true`".to_owned()
    }

    fn schema(&self) -> Json {
        json!({"enum": [true, "true"]})
    }
}

section! {
    HealthCheckInput {
        /// The path of a GET request.
        path: Option<Input<String>> = optional(PATH, "");
        /// A connection, with TLS for `https`.
        tcp: Option<Input<bool>> = optional(OnlyTrue, "");
        /// The service for `grpc.health.v1.Health/Check`.
        grpc: Option<Input<String>> = optional(SERVICE, "");
        /// The value of `Host`.
        host: Option<Input<String>> = optional(AUTHORITY, "the backend's");
        /// Further fields of the request.
        headers: Vec<(String, Input<HeaderValue>)> =
            CheckHeaders::new(is_check_field, "a field name, other than the fields of framing and of connections");
        /// The port of checks, if it differs from the port of requests.
        port: Option<Input<u32>> = optional(Whole::<u32>::new(1, 65_535), "the backend's");
        /// The statuses of a healthy backend.
        status: Input<(u16, u16)> = default(STATUSES, || (200, 299));
        /// The pause between checks; after a differing result, at most 2 s.
        interval: Input<Duration> =
            default(DurationForm::new(Duration::from_millis(100), Duration::from_secs(3_600)), || Duration::from_secs(10));
        /// Maximum time of a check.
        timeout: Input<Duration> =
            default(DurationForm::new(Duration::from_millis(10), Duration::from_secs(60)), || Duration::from_secs(5));
        /// Consecutive failed checks that end requests; the first check decides alone.
        unhealthy_threshold: Input<u32> = default(THRESHOLD, || 3);
        /// Consecutive successful checks that begin them again.
        healthy_threshold: Input<u32> = default(THRESHOLD, || 2);
        /// At or below this share of healthy backends, all get requests; with `off`, unhealthy ones never do.
        panic: Input<Option<u32>> = default(PANIC, || Some(0));
        /// A program with arguments. Status 0 is healthy. Only in the file.
        script: ValueList<String> = list(ARGUMENT, 32, "").not_empty("the absolute path of a program");
        rules: Rule::ExactlyOne(&["path", "tcp", "grpc", "script"]), Rule::Values(check_fields);
    }
}

/// The keys of checks with `path`.
pub(crate) const OF_REQUESTS: [&str; 3] = ["host", "headers", "status"];

/// The conditions of [`is_check_field`] on the names in `headers`, in their usual spellings, and of `path` on
/// [`OF_REQUESTS`].
fn check_fields() -> Json {
    let own = "^([Cc]onnection|[Cc]ontent-[Ll]ength|[Hh]ost|[Tt]ransfer-[Ee]ncoding|[Uu]pgrade)$";
    json!({"allOf": [
        {"properties": {"headers": {"propertyNames": {"not": {"pattern": own}}}}},
        {"anyOf": [given("path"), {"not": {"anyOf": OF_REQUESTS.map(given)}}]},
    ]})
}

/// Whether a check may have a field of this name.
fn is_check_field(name: &str) -> bool {
    let framing = [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE];
    HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !framing.contains(&name))
}
