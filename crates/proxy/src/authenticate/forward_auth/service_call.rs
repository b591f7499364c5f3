//! One request to a service: a GET with the fields of the client's request, over a connection of the worker's pool.

use std::time::Duration;

use bytes::Bytes;
use config::snapshot::ServiceEntry;
use http1::{HeadEdits, InvalidPart, KnownName, write_field};

use crate::account::request::RequestContext;
use crate::client::head::Head;
use crate::client::trusted::{Trust, TrustRule};
use crate::transform::control_cookies::ControlCookies;
use crate::upstream::pool::PoolBounds;
use crate::upstream::response_head::UpstreamHead;
use crate::upstream::short_call::{BODY_BYTES_MAX, ShortCall, ShortResponse};
use crate::worker::decisions::ServiceError;

/// Asks the service about a request.
pub(super) async fn exchange(request: &RequestContext, entry: &ServiceEntry) -> Result<ShortResponse, ServiceError> {
    let worker = request.worker();
    let pool = worker.pools.pool_for(&entry.url.origin, entry.tls.as_ref(), &PoolBounds::UNLIMITED);
    let call = ShortCall {
        head: head(request, entry)?,
        body: Bytes::new(),
        connect_within: entry.timeout,
        body_bytes_max: BODY_BYTES_MAX,
    };
    call.send(&worker.connector, &pool).await.map_err(ServiceError::Call)
}

/// Returns the head of the request to the service.
fn head(request: &RequestContext, entry: &ServiceEntry) -> Result<Head, ServiceError> {
    let received = &request.head;
    let mut bytes = [b"GET ", entry.url.target.as_bytes(), b" HTTP/1.1\r\n"].concat();
    let mut write =
        |name: &str, value: &[u8]| write_field(&mut bytes, name.as_bytes(), value).map_err(ServiceError::Request);
    write("host", entry.url.origin.authority.as_bytes())?;
    let mut edits = HeadEdits::for_forwarding();
    let is_trusted = request.is_peer_trusted();
    edits.remove_fields(received.fields(), |field| !is_passed(field.name));
    // `allow_headers` of a route is for its upstream: the service decides by nothing that the client claims.
    let trust = TrustRule {
        trust: if is_trusted { Trust::Peer(&[]) } else { Trust::Route(&[]) },
        claim_headers: &request.snapshot.traffic.claim_headers,
        withholds_claims: true,
        certificate: request.at.peer.certificate_subject(),
    };
    trust.apply(&mut edits, received.fields()).map_err(ServiceError::Request)?;
    let control_cookies = ControlCookies::from_key_prefix(request.snapshot.process.brand.slug());
    control_cookies.withhold(&mut edits, received.fields()).map_err(ServiceError::Request)?;
    for field in edits.kept(received.fields()).chain(edits.added()) {
        write(&String::from_utf8_lossy(field.name), field.value)?;
    }
    let origin = request.origin(is_trusted);
    write("x-forwarded-method", received.method_bytes())?;
    write("x-forwarded-uri", &received.path_and_query().concat())?;
    write("x-forwarded-proto", origin.scheme.as_bytes())?;
    write("x-forwarded-for", origin.address.as_bytes())?;
    write("x-request-id", request.id_text.as_bytes())?;
    if !received.host().is_empty() {
        write("x-forwarded-host", received.host())?;
    }
    bytes.extend_from_slice(b"\r\n");
    Head::written(bytes).ok_or(ServiceError::Request(InvalidPart::Value))
}

/// Whether a field of the client's request is passed to the service. Fields of the body and its transfer, those that make
/// a response conditional or partial, and those that the gateway writes are not.
fn is_passed(name: &[u8]) -> bool {
    const REMOVED: [&str; 6] = ["host", "expect", "forwarded", "range", "x-real-ip", "x-request-id"];
    const PREFIXES: [&str; 3] = ["content-", "if-", "x-forwarded-"];
    let plain: Vec<u8> = name.iter().map(|byte| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }).collect();
    !REMOVED.iter().any(|removed| removed.as_bytes() == plain)
        && !PREFIXES.iter().any(|prefix| plain.starts_with(prefix.as_bytes()))
}

/// Whether the gateway writes this field of its responses itself.
pub(super) fn is_of_gateway(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "date",
        "x-request-id",
        "request-id",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "ratelimit",
        "ratelimit-policy",
    ];
    NAMES.contains(&name)
}

/// Returns the time for which the response may be cached: `max-age` without `no-store` and `no-cache` (RFC 9111, 5.2.2).
pub(super) fn max_age(head: &UpstreamHead) -> Duration {
    let values = head.fields().all(KnownName::CacheControl).filter_map(|value| std::str::from_utf8(value).ok());
    let mut age = None;
    for directive in values.flat_map(|value| value.split(',')) {
        let (name, value) = directive.trim().split_once('=').unwrap_or((directive.trim(), ""));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Duration::ZERO;
        }
        let digits = value.trim_matches('"');
        if name.eq_ignore_ascii_case("max-age") && age.is_none() {
            age = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().unwrap_or(0));
        }
    }
    Duration::from_secs(age.unwrap_or(0))
}
