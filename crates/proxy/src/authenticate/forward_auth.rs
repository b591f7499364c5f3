//! The identification of clients by a service that decides about each request, as the forward authentication of other
//! gateways does. The service gets the head of the request without its body.

mod service_call;

use std::rc::Rc;
use std::time::Duration;

use access::credentials::basic::CredentialDigest;
use access::{Refusal, Subject, SubjectText, only};
use bytes::Bytes;
use config::snapshot::ServiceEntry;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http1::{HeadEdits, KnownName};
use tokio::time::timeout;

use crate::account::request::RequestContext;
use crate::authenticate::identify;
use crate::refusal::phase::{EarlyResponse, Phase};
use crate::refusal::problem::Problem;
use crate::transform::control_cookies::ControlCookies;
use crate::upstream::response_head::UpstreamHead;
use crate::upstream::short_call::ShortResponse;
use crate::worker::admitted_client::ServiceClient;
use crate::worker::credential_cache::CheckedCredential;
use crate::worker::decisions::{Decision, ServiceError, WaitPermit};
use service_call::exchange;

/// Maximum time for which a response is cached.
const CACHED_FOR_MAX: Duration = Duration::from_secs(3_600);
/// Time after which a client may try again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Returns the client of a request that the service admits. Any other response of the service goes to the client.
pub(crate) async fn identify(request: &RequestContext, entry: &ServiceEntry) -> Phase<Rc<ServiceClient>> {
    let services = &request.snapshot.services;
    let decision = match digest(request, entry) {
        Some(digest) => {
            let clock = &request.worker().shared.clock;
            services.cached.find(digest, clock, || decide(request, entry)).await
        }
        None => decide(request, entry).await.result,
    };
    request.read_clock();
    match decision {
        Decision::Admitted(client) => Ok(client),
        Decision::Responded(response) => Err(EarlyResponse::Respond(Box::new((*response).clone()))),
        Decision::Failed(error) => {
            let message = "the service that decides about this request sent no valid response: try again in a moment";
            let mut problem = unavailable(message).because(&*error);
            let source = problem.source.take().unwrap_or_default();
            problem.source = Some(format!("auth entry {:?}: {source}", entry.name.as_str()));
            Err(problem.into())
        }
        Decision::Busy => Err(unavailable("too many requests wait for a decision: try again in a moment").into()),
    }
}

fn unavailable(message: &'static str) -> Problem {
    Problem::new(Refusal::AuthUnavailable, message).header(header::RETRY_AFTER, RETRY_AFTER)
}

/// Returns the keyed hash of the headers by which responses are cached; `None` if the request has none of them.
fn digest(request: &RequestContext, entry: &ServiceEntry) -> Option<CredentialDigest> {
    if entry.cache_by.is_empty() {
        return None;
    }
    let key = request.worker().digest_key.as_ref()?;
    let fields = request.head.fields();
    let mut parts: Vec<&[u8]> = Vec::new();
    let mut has_any = false;
    for name in &entry.cache_by {
        parts.push(name.as_bytes());
        for value in fields.named(name.as_bytes()) {
            has_any = true;
            parts.extend([&b"="[..], value]);
        }
    }
    // The service gets the subject of the certificate too.
    if let Some(subject) = request.at.peer.certificate_subject() {
        parts.extend([&b"certificate="[..], subject]);
    }
    let address = std::ptr::from_ref(entry).addr().to_be_bytes();
    has_any.then(|| key.digest([&address[..]].into_iter().chain(parts)))
}

/// Asks the service, unless too many requests wait for one.
async fn decide(request: &RequestContext, entry: &ServiceEntry) -> CheckedCredential<Decision> {
    // A response that is not cached may depend on everything that its request has.
    let now = |result| CheckedCredential { result, keep: Duration::ZERO, is_shared: false };
    let waiting = &request.snapshot.services.waiting;
    let Some(_permit) = WaitPermit::take(waiting, std::ptr::from_ref(entry).addr()) else { return now(Decision::Busy) };
    let response = match timeout(entry.timeout, exchange(request, entry)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return now(Decision::Failed(Rc::new(error))),
        Err(_) => return now(Decision::Failed(Rc::new(ServiceError::Late))),
    };
    match judge(request, entry, response) {
        Ok((result, keep)) => CheckedCredential { result, keep, is_shared: !keep.is_zero() },
        Err(error) => now(Decision::Failed(Rc::new(error))),
    }
}

/// Returns the decision that a response expresses, and the time for which it is cached.
fn judge(
    request: &RequestContext,
    entry: &ServiceEntry,
    response: ShortResponse,
) -> Result<(Decision, Duration), ServiceError> {
    let ShortResponse { head, body } = response;
    if !head.is_success() {
        return Ok((Decision::Responded(Rc::new(relayed(request, &head, body)?)), Duration::ZERO));
    }
    let subject = match &entry.subject {
        Some(name) => {
            let value = only(head.fields().named(name.as_bytes())).and_then(|value| std::str::from_utf8(value).ok());
            let sub = value.and_then(SubjectText::parse).ok_or(ServiceError::Subject)?;
            Subject::Token { issuer: entry.name.clone(), sub }
        }
        None => identify::anonymous(request),
    };
    let client = ServiceClient::new(entry, subject, &head).map_err(|_| ServiceError::Header)?;
    // The subject of an address belongs to this request only.
    let is_cacheable = entry.subject.is_some() && varies_within(&head, entry);
    let keep = if is_cacheable { service_call::max_age(&head).min(CACHED_FOR_MAX) } else { Duration::ZERO };
    Ok((Decision::Admitted(Rc::new(client)), keep))
}

/// Whether a response depends on no other headers than those of `cache_by` (RFC 9111, 4.1).
fn varies_within(head: &UpstreamHead, entry: &ServiceEntry) -> bool {
    let names = head.fields().all(KnownName::Vary).flat_map(|value| value.split(|octet| *octet == b','));
    let is_named = |name: &[u8]| entry.cache_by.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
    // The content of a response that admits is not used.
    let is_coding = |name: &[u8]| name.eq_ignore_ascii_case(b"accept-encoding");
    names.map(<[u8]>::trim_ascii).all(|name| name.is_empty() || is_coding(name) || is_named(name))
}

/// Returns the response of the service for the client, without the fields of the connection and cookies of control.
fn relayed(request: &RequestContext, head: &UpstreamHead, body: Bytes) -> Result<Response<Bytes>, ServiceError> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(head.status()).map_err(|_| ServiceError::Header)?;
    let control_cookies = ControlCookies::from_key_prefix(request.snapshot.process.brand.slug());
    let edits = HeadEdits::for_forwarding();
    for field in edits.kept(head.fields()).filter(|field| !control_cookies.is_set_by(field)) {
        let name = HeaderName::from_bytes(field.name).map_err(|_| ServiceError::Header)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| ServiceError::Header)?;
        if !service_call::is_of_gateway(name.as_str()) {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
