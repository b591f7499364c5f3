//! A parsed response head as the rest of the proxy has it.

use ::http1::{Response, Violation};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, response};
use hyper::ext::ReasonPhrase;

/// Converts a head. `bytes` are those from which it was parsed, whose values the headers then share.
///
/// # Errors
/// A name or value that cannot be passed on; the parser accepts none.
pub(super) fn convert(response: Response<'_>, bytes: &Bytes) -> Result<response::Parts, Violation> {
    let (mut parts, ()) = http::Response::new(()).into_parts();
    parts.status = StatusCode::from_u16(response.head().status()).map_err(|_| Violation::StatusLine)?;
    let mut headers = HeaderMap::with_capacity(response.fields().len());
    for field in response.fields().iter() {
        let name = HeaderName::from_bytes(field.name).map_err(|_| Violation::FieldName)?;
        let value =
            HeaderValue::from_maybe_shared(bytes.slice_ref(field.value)).map_err(|_| Violation::ControlOctet)?;
        headers.append(name, value);
    }
    if parts.status == StatusCode::NO_CONTENT {
        // Its only valid length is 0, which a sender must not write (RFC 9110, 8.6).
        headers.remove(header::CONTENT_LENGTH);
    }
    parts.headers = headers;
    let reason = response.reason();
    if parts.status.canonical_reason().is_none_or(|usual| usual.as_bytes() != reason)
        && let Ok(reason) = ReasonPhrase::try_from(reason)
    {
        parts.extensions.insert(reason);
    }
    Ok(parts)
}
