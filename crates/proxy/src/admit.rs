//! What every request must pass before anybody is asked who sent it: what could not be read, sizes, ids.

use access::{Refusal, RequestId};
use config::snapshot::Sizes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http1::Violation;

use crate::answer::Problem;

/// Longest correlation id that is kept.
const CORRELATION_LEN_MAX: usize = 128;

/// The caller's own `x-request-id`.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Refuses a head that broke a rule, and a body that is announced too large.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn check_head(parts: &Parts, sizes: &Sizes) -> Result<(), Problem> {
    if parts.method == Method::CONNECT {
        return Err(Problem::new(Refusal::MethodNotAllowed, "CONNECT is not served here"));
    }
    if let Some(violation) = parts.extensions.get::<Violation>() {
        return Err(refused(*violation, sizes));
    }
    if let Some(length) = content_length(&parts.headers)
        && length > sizes.body_bytes_max
    {
        return Err(too_large(sizes.body_bytes_max));
    }
    Ok(())
}

fn refused(violation: Violation, sizes: &Sizes) -> Problem {
    let mut message = violation.to_string();
    if violation == Violation::HeadTooLarge {
        message.push_str(&format!(": at most {} bytes are taken", sizes.headers_bytes_max));
    }
    let refusal = if violation.is_head_too_large() { Refusal::HeaderTooLarge } else { Refusal::BadRequest };
    Problem::new(refusal, message)
}

/// Whether `Transfer-Encoding` says `chunked` and nothing else, or is not there: another coding would stay on the body
/// while the field that names it goes (RFC 9112, 6.1).
pub(crate) fn is_coded_plainly(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(only), None) => only.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        (Some(_), Some(_)) => false,
    }
}

/// The refusal of a body over `body_bytes_max`.
pub(crate) fn too_large(body_bytes_max: u64) -> Problem {
    Problem::new(Refusal::PayloadTooLarge, format!("the request's body is larger than {body_bytes_max} bytes"))
}

/// The length that the caller announced.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// The caller's own id, where it is at most 128 visible ASCII characters (GW-6.3).
pub(crate) fn correlation(headers: &HeaderMap) -> Option<HeaderValue> {
    let value = headers.get(&X_REQUEST_ID)?;
    let visible = value.as_bytes().iter().all(u8::is_ascii_graphic);
    (visible && (1..=CORRELATION_LEN_MAX).contains(&value.len())).then(|| value.clone())
}

/// Our id as a header's value.
pub(crate) fn id_value(id: RequestId) -> HeaderValue {
    let mut buffer = [0; 36];
    HeaderValue::from_str(id.0.hyphenated().encode_lower(&mut buffer)).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes() -> Sizes {
        Sizes { headers_bytes_max: 200, body_bytes_max: 10, buffered_bytes_max: 100 }
    }

    fn check(request: http::request::Builder) -> Option<Refusal> {
        check_head(&request.body(()).unwrap().into_parts().0, &sizes()).err().map(|problem| problem.refusal)
    }

    #[test]
    fn heads_are_checked() {
        let get = || http::Request::builder().uri("/a").header("host", "here");
        assert_eq!(check(get()), None);
        assert_eq!(check(get().header("content-length", "10")), None);
        assert_eq!(check(get().header("content-length", "11")), Some(Refusal::PayloadTooLarge));
        assert_eq!(check(get().extension(Violation::TwoHosts)), Some(Refusal::BadRequest));
        assert_eq!(check(get().extension(Violation::HeadTooLarge)), Some(Refusal::HeaderTooLarge));
        assert_eq!(check(get().uri("a:1").method(Method::CONNECT)), Some(Refusal::MethodNotAllowed));
    }

    #[test]
    fn transfer_codings_are_chunked_alone_or_none() {
        let plain = |codings: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for coding in codings {
                headers.append(header::TRANSFER_ENCODING, HeaderValue::from_static(coding));
            }
            is_coded_plainly(&headers)
        };
        assert!(plain(&[]) && plain(&["Chunked"]));
        assert!(!plain(&["gzip, chunked"]) && !plain(&["chunked", "chunked"]));
    }

    #[test]
    fn only_short_visible_ids_are_kept() {
        let kept = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(value).unwrap());
            correlation(&headers).is_some()
        };
        assert!(kept("abc-123"));
        assert!(!kept("with space"));
        assert!(!kept(""));
        assert!(!kept(&"x".repeat(129)));
    }
}
