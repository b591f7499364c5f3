//! A parsed head as the rest of the proxy has it.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use http1::{RequestHead, Violation};

use super::request_body::RequestBody;

/// Converts a head. `bytes` are those from which it was parsed, whose values the headers then share.
pub(super) fn of_head(bytes: &Bytes, head: &RequestHead, body: RequestBody) -> Request<RequestBody> {
    match convert(bytes, head) {
        Some((method, target, headers)) => {
            let mut request = Request::new(body);
            *request.method_mut() = method;
            *request.uri_mut() = target;
            *request.version_mut() = match head.version() {
                http1::Version::Http10 => Version::HTTP_10,
                http1::Version::Http11 => Version::HTTP_11,
            };
            *request.headers_mut() = headers;
            request
        }
        None => of_refused(None, Violation::Target, body),
    }
}

fn convert(bytes: &Bytes, head: &RequestHead) -> Option<(Method, Uri, HeaderMap)> {
    let request = head.over(bytes);
    let method = Method::from_bytes(request.method()).ok()?;
    let target = Uri::from_maybe_shared(bytes.slice_ref(request.target_bytes())).ok()?;
    let mut headers = HeaderMap::with_capacity(request.fields().len());
    for field in request.fields().iter() {
        let name = HeaderName::from_bytes(field.name).ok()?;
        headers.append(name, HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).ok()?);
    }
    Some((method, target, headers))
}

/// The stand-in for a request whose head was refused.
pub(super) fn of_refused(
    line: Option<(Bytes, Bytes)>,
    violation: Violation,
    body: RequestBody,
) -> Request<RequestBody> {
    let mut request = Request::new(body);
    let line = line
        .and_then(|(method, target)| Some((Method::from_bytes(&method).ok()?, Uri::from_maybe_shared(target).ok()?)));
    let (method, target) = line.unwrap_or_else(|| (Method::GET, Uri::from_static("*")));
    *request.method_mut() = method;
    *request.uri_mut() = target;
    request.extensions_mut().insert(violation);
    request
}
