//! Headers on both ways: what is ours to change, and nothing else.

use std::net::IpAddr;

use access::{ApiKey, RequestId};
use ai::ProviderKind;
use config::snapshot::{Origin, Provider};
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::admit::{X_REQUEST_ID, id_value};
use crate::identify::{KEY_HEADERS, bearer};

/// Fields of one connection (RFC 9110, 7.6.1), besides those that `Connection` names.
static HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    KEEP_ALIVE,
];
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// What others may say of the caller; believed only from trusted proxies, of which there are none yet.
static FORWARDED: [HeaderName; 6] = [
    header::FORWARDED,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
];

/// What a provider says of the shared account behind its key.
static ACCOUNT: [HeaderName; 3] = [
    header::SET_COOKIE,
    HeaderName::from_static("openai-organization"),
    HeaderName::from_static("anthropic-organization-id"),
];
const ACCOUNT_PREFIXES: [&str; 2] = ["x-ratelimit-", "anthropic-ratelimit-"];
static UPSTREAM_IDS: [HeaderName; 2] = [X_REQUEST_ID, HeaderName::from_static("request-id")];

/// Who asks, as an ordinary upstream is told.
pub(crate) struct Asker<'a> {
    pub(crate) address: IpAddr,
    pub(crate) id: RequestId,
    pub(crate) correlation: Option<&'a HeaderValue>,
}

/// The request's headers for an ordinary upstream.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn to_upstream(headers: &mut HeaderMap, origin: &Origin, asker: &Asker<'_>) {
    let host = headers.get(header::HOST).cloned();
    to_anybody(headers, origin);
    remove_our_keys(headers);
    if let Ok(address) = HeaderValue::from_str(&asker.address.to_string()) {
        headers.insert(X_FORWARDED_FOR, address);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Some(host) = host {
        headers.insert(X_FORWARDED_HOST, host);
    }
    headers.insert(X_REQUEST_ID, id_value(asker.id));
    if let Some(correlation) = asker.correlation {
        headers.insert(X_CORRELATION_ID, correlation.clone());
    }
    trace(headers, asker.id);
}

/// The request's headers for an LLM provider.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn to_provider(headers: &mut HeaderMap, provider: &Provider, id: RequestId) {
    to_anybody(headers, &provider.origin);
    headers.remove(header::AUTHORIZATION);
    headers.remove(header::COOKIE);
    headers.remove(header::CONTENT_LENGTH);
    for name in &KEY_HEADERS {
        headers.remove(name);
    }
    // The tap must be able to read the answer.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some((name, mut value)) = credential(provider) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    trace(headers, id);
}

fn credential(provider: &Provider) -> Option<(HeaderName, HeaderValue)> {
    let secret = provider.credential.as_ref()?.expose();
    let (name, text) = match provider.kind {
        ProviderKind::OpenAi => (header::AUTHORIZATION, format!("Bearer {secret}")),
        ProviderKind::Anthropic => (HeaderName::from_static("x-api-key"), secret.to_owned()),
        ProviderKind::Mock => return None,
    };
    HeaderValue::from_str(&text).ok().map(|value| (name, value))
}

fn to_anybody(headers: &mut HeaderMap, origin: &Origin) {
    remove_hop_by_hop(headers);
    for name in &FORWARDED {
        headers.remove(name);
    }
    // Answered by us: the body is asked for when the upstream takes it.
    headers.remove(header::EXPECT);
    if let Ok(host) = HeaderValue::from_str(&origin.authority) {
        headers.insert(header::HOST, host);
    }
}

/// A caller's credential is never forwarded, also where it was not asked for.
fn remove_our_keys(headers: &mut HeaderMap) {
    let is_ours = |text: &str| ApiKey::parse(text.trim()).is_ok();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(bearer);
    if authorization.is_some_and(is_ours) {
        headers.remove(header::AUTHORIZATION);
    }
    for name in &KEY_HEADERS {
        if headers.get_all(name).iter().any(|value| value.to_str().is_ok_and(is_ours)) {
            headers.remove(name);
        }
    }
}

/// The answer's headers for the caller of an ordinary route.
pub(crate) fn to_caller(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

/// The answer's headers for the caller of an LLM; answers the provider's own id of the request.
pub(crate) fn from_provider(headers: &mut HeaderMap) -> Option<std::sync::Arc<str>> {
    const UPSTREAM_ID_LEN_MAX: usize = 128;
    remove_hop_by_hop(headers);
    for name in &ACCOUNT {
        headers.remove(name);
    }
    let limits: Vec<HeaderName> = headers
        .keys()
        .filter(|name| ACCOUNT_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)))
        .cloned()
        .collect();
    for name in limits {
        headers.remove(name);
    }
    let mut upstream_id = None;
    for name in &UPSTREAM_IDS {
        let value = headers.remove(name);
        let text = value.as_ref().and_then(|value| value.to_str().ok());
        upstream_id = upstream_id.or_else(|| text.filter(|text| text.len() <= UPSTREAM_ID_LEN_MAX).map(Into::into));
    }
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    upstream_id
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP.iter().chain([&PROXY_CONNECTION]) {
        headers.remove(name);
    }
}

/// The trace goes on under the caller's trace id; without a valid one it begins with the request's own id (W3C Trace
/// Context, 3.2).
fn trace(headers: &mut HeaderMap, id: RequestId) {
    let (whole, span) = (id.0.simple().to_string(), id.0.as_u64_pair().1);
    let value = match headers.get(&TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parse_trace) {
        Some((trace_id, flags)) => format!("00-{trace_id}-{span:016x}-{flags}"),
        None => {
            headers.remove(&TRACESTATE);
            format!("00-{whole}-{span:016x}-00")
        }
    };
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(TRACEPARENT, value);
    }
}

/// Trace id and flags of a valid `traceparent`.
fn parse_trace(value: &str) -> Option<(&str, &str)> {
    let hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |text: &str| text.bytes().all(|byte| byte == b'0');
    let mut parts = value.split('-');
    let (version, trace_id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = version != "00" || parts.next().is_none();
    let valid = hex(version, 2) && version != "ff" && hex(trace_id, 32) && hex(parent, 16) && hex(flags, 2);
    (whole && valid && !zero(trace_id) && !zero(parent)).then_some((trace_id, flags))
}

/// The target of a request to `origin`: its path, then the caller's path and query as they were written.
pub(crate) fn target(origin: &Origin, path: &str, query: Option<&str>) -> Option<Uri> {
    let text = match query {
        Some(query) => format!("{}{path}?{query}", origin.path),
        None => format!("{}{path}", origin.path),
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests;
