//! Headers on both ways: what is ours to change, and nothing else.

mod provider;
mod trusted;

use std::sync::Arc;

use access::{ApiKey, RequestId, Secret};
use ai::{Dialect, EndpointCall, ProviderKind};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::admit::X_REQUEST_ID;
use crate::exchange::InferenceCall;
use crate::identify::bearer;
use crate::transform::trusted::{begins_like, is_like, is_trusted_by_backends};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACEPARENT_LEN: usize = 55;
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const X_CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who asks, as an ordinary upstream is told.
pub(crate) struct ForwardedClient<'a> {
    /// The caller's address.
    pub(crate) forwarded_for: &'a HeaderValue,
    pub(crate) id: RequestId,
    pub(crate) id_value: &'a HeaderValue,
    /// The caller's own id of the request.
    pub(crate) correlation: Option<&'a HeaderValue>,
    pub(crate) trust: Trust<'a>,
}

/// Which of the headers that backends may trust go on.
pub(crate) enum Trust<'a> {
    /// All: the peer is a trusted proxy.
    Peer,
    /// Those that the route allows; names in lowercase.
    Route(&'a [Box<str>]),
}

impl Trust<'_> {
    fn allows(&self, name: &str) -> bool {
        match self {
            Self::Peer => true,
            Self::Route(allowed) => allowed.iter().any(|allowed| **allowed == *name),
        }
    }
}

/// The request's headers for an ordinary upstream; `host` is its authority.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn to_upstream(headers: &mut HeaderMap, host: &HeaderValue, asker: &ForwardedClient<'_>) {
    remove(headers, |name, value| match name {
        "authorization" => value.to_str().ok().and_then(bearer).is_some_and(is_ours),
        "x-api-key" | "api-key" | "x-goog-api-key" => value.to_str().is_ok_and(is_ours),
        "expect" => true,
        _ => is_hop_by_hop(name) || is_forwarded(name) || (is_trusted_by_backends(name) && !asker.trust.allows(name)),
    });
    headers.insert(X_FORWARDED_FOR, asker.forwarded_for.clone());
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    if let Some(asked) = headers.insert(header::HOST, host.clone()) {
        headers.insert(X_FORWARDED_HOST, asked);
    }
    headers.insert(X_REQUEST_ID, asker.id_value.clone());
    if let Some(correlation) = asker.correlation {
        headers.insert(X_CORRELATION_ID, correlation.clone());
    }
    trace(headers, asker.id);
}

/// Who an LLM call goes to, and with what.
pub(crate) struct ProviderTarget<'a> {
    /// The provider's authority.
    pub(crate) host: &'a HeaderValue,
    pub(crate) kind: ProviderKind,
    /// Whose API is called.
    pub(crate) dialect: Dialect,
    /// Of the caller's own or shared; none is sent where there is none.
    pub(crate) credential: Option<&'a Secret>,
}

/// The request's headers for an LLM provider.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn to_provider(headers: &mut HeaderMap, to: &ProviderTarget<'_>, id: RequestId) {
    remove(headers, |name, _| !provider::is_allowed(to.dialect, name));
    headers.insert(header::HOST, to.host.clone());
    // The tap must be able to read the answer.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some((name, mut value)) = to.credential.and_then(|secret| credential(to, secret)) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    trace(headers, id);
}

/// The answer's headers for the caller of an ordinary route.
pub(crate) fn to_caller(headers: &mut HeaderMap) {
    remove(headers, |name, _| is_hop_by_hop(name));
}

/// The answer's headers for the caller of an LLM; answers the provider's own id of the request.
pub(crate) fn from_provider(headers: &mut HeaderMap) -> Option<Arc<str>> {
    const UPSTREAM_ID_LEN_MAX: usize = 128;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let upstream_id = text("x-request-id").or_else(|| text("request-id")).filter(|id| id.len() <= UPSTREAM_ID_LEN_MAX);
    remove(headers, |name, _| is_hop_by_hop(name) || is_of_the_account(name));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    upstream_id.map(Arc::from)
}

/// A caller's credential is never forwarded, also where it was not asked for.
fn is_ours(text: &str) -> bool {
    ApiKey::parse(text.trim()).is_ok()
}

/// Fields of one connection (RFC 9110, 7.6.1), besides those that `Connection` names.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The client's address and target, which the gateway writes itself.
fn is_forwarded(name: &str) -> bool {
    name == "forwarded" || is_like(name, "x-real-ip") || begins_like(name, "x-forwarded-")
}

/// What a provider says of the shared account behind its key, and its id of the request.
fn is_of_the_account(name: &str) -> bool {
    let account = ["set-cookie", "openai-organization", "anthropic-organization-id", "x-request-id", "request-id"];
    account.contains(&name) || name.starts_with("x-ratelimit-") || name.starts_with("anthropic-ratelimit-")
}

/// Removes every field that `goes` says, and those that `Connection` names. One walk: most requests lose none or one.
fn remove(headers: &mut HeaderMap, goes: impl Fn(&str, &HeaderValue) -> bool) {
    let mut gone: Vec<HeaderName> =
        headers.iter().filter(|(name, value)| goes(name.as_str(), value)).map(|(name, _)| name.clone()).collect();
    for value in headers.get_all(header::CONNECTION) {
        let named = value.as_bytes().split(|byte| *byte == b',');
        gone.extend(named.filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok()));
    }
    for name in gone {
        headers.remove(name);
    }
}

/// The header in which a provider takes its credential.
fn credential(to: &ProviderTarget<'_>, secret: &Secret) -> Option<(HeaderName, HeaderValue)> {
    let (name, scheme) = to.kind.credential_header(to.dialect);
    let secret = secret.expose();
    let mut text = String::with_capacity(scheme.len() + secret.len());
    text.push_str(scheme);
    text.push_str(secret);
    // The same bytes become the header's: there is no second copy.
    HeaderValue::from_maybe_shared(Bytes::from(text)).ok().map(|value| (HeaderName::from_static(name), value))
}

/// The trace goes on under the caller's trace id; without a valid one it begins with the request's own id (W3C Trace
/// Context, 3.2). Our span's id is the random half of the request's.
fn trace(headers: &mut HeaderMap, id: RequestId) {
    let mut ours = [0; 32];
    let ours: &str = id.0.simple().encode_lower(&mut ours);
    let span = ours.get(16..).unwrap_or_default();
    let theirs = headers.get(&TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(parse_trace);
    let (trace_id, flags) = theirs.unwrap_or((ours, "00"));
    let mut value = String::with_capacity(TRACEPARENT_LEN);
    for part in ["00-", trace_id, "-", span, "-", flags] {
        value.push_str(part);
    }
    if theirs.is_none() {
        headers.remove(&TRACESTATE);
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(value)) {
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

/// The target of a request to an origin with the path `base`: the caller's path and query as they were written, without
/// `prefix`, which it begins with.
pub(crate) fn target(uri: &Uri, prefix: &str, base: &str) -> Option<Uri> {
    let asked = uri.path_and_query()?;
    if prefix.is_empty() && base.is_empty() {
        return Some(Uri::from(asked.clone()));
    }
    format!("{base}{}", asked.as_str().strip_prefix(prefix)?).parse().ok()
}

/// The target of an LLM call: the endpoint's at the provider, which has its own name of the model, and of the query what
/// the format allows.
pub(crate) fn to_endpoint(called: &EndpointCall<'_>, uri: &Uri, prefix: &str, call: &InferenceCall) -> Option<Uri> {
    let base = &call.provider.origin.path;
    if called.is_verbatim() && uri.query().is_none() {
        return target(uri, prefix, base);
    }
    format!("{base}{}", called.target(&call.model, uri.query())).parse().ok()
}

#[cfg(test)]
mod tests;
