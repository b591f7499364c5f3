//! What every request must pass before anybody is asked who sent it: sizes, header sanity, ids.

use access::{Refusal, RequestId};
use config::snapshot::Sizes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version, header};

use crate::answer::Problem;

/// Longest correlation id that is kept.
const CORRELATION_LEN_MAX: usize = 128;

/// The caller's own `x-request-id`.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Refuses a head that is too large or cannot be served.
#[tracing::instrument(level = "debug", skip_all)]
pub(crate) fn check_head<B>(request: &http::Request<B>, sizes: &Sizes) -> Result<(), Problem> {
    let head_bytes = head_bytes(request);
    if head_bytes > sizes.headers_bytes_max {
        let message =
            format!("the request's head has {head_bytes} bytes; at most {} are taken", sizes.headers_bytes_max);
        return Err(Problem::new(Refusal::HeaderTooLarge, message));
    }
    if request.method() == Method::CONNECT {
        return Err(Problem::new(Refusal::MethodNotAllowed, "CONNECT is not served here"));
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        return Err(Problem::new(Refusal::BadRequest, "a request needs one Host header"));
    }
    if !is_coded_plainly(request.headers()) {
        return Err(Problem::new(Refusal::BadRequest, "of the transfer codings only chunked is understood"));
    }
    if has_dot_segment(request.uri().path()) {
        return Err(Problem::new(
            Refusal::BadRequest,
            "the path has a segment . or .., which upstreams read differently",
        ));
    }
    if let Some(length) = content_length(request.headers())
        && length > sizes.body_bytes_max
    {
        return Err(too_large(sizes.body_bytes_max));
    }
    Ok(())
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

/// Whether a segment of the path is `.` or `..`, also percent-encoded: who resolves it comes to another route's path.
fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let mut rest = segment;
        let mut dots = 0;
        while let Some(after) =
            rest.strip_prefix('.').or_else(|| rest.strip_prefix("%2e")).or_else(|| rest.strip_prefix("%2E"))
        {
            rest = after;
            dots += 1;
        }
        rest.is_empty() && (1..=2).contains(&dots)
    })
}

/// The refusal of a body over `body_bytes_max`.
pub(crate) fn too_large(body_bytes_max: u64) -> Problem {
    Problem::new(Refusal::PayloadTooLarge, format!("the request's body is larger than {body_bytes_max} bytes"))
}

/// The length that the caller announced.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn head_bytes<B>(request: &http::Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(1, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + " HTTP/1.1\r\n ".len();
    request.headers().iter().fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + ": \r\n".len())
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
        check_head(&request.body(()).unwrap(), &sizes()).err().map(|problem| problem.refusal)
    }

    #[test]
    fn heads_are_checked() {
        let get = || http::Request::builder().uri("/a").header("host", "here");
        assert_eq!(check(get()), None);
        assert_eq!(check(get().header("content-length", "10")), None);
        assert_eq!(check(get().header("content-length", "11")), Some(Refusal::PayloadTooLarge));
        assert_eq!(check(get().header("x-large", "x".repeat(200))), Some(Refusal::HeaderTooLarge));
        assert_eq!(check(get().method("CONNECT")), Some(Refusal::MethodNotAllowed));
        assert_eq!(check(http::Request::builder().uri("/a")), Some(Refusal::BadRequest));
        assert_eq!(check(get().header("host", "there")), Some(Refusal::BadRequest));
        assert_eq!(check(get().header("transfer-encoding", "Chunked")), None);
        assert_eq!(check(get().header("transfer-encoding", "gzip, chunked")), Some(Refusal::BadRequest));
    }

    #[test]
    fn dot_segments_are_refused_however_they_are_written() {
        for path in ["/o/../k", "/o/..", "/./k", "/o/%2e%2E/k", "/o/.%2e/k", "/%2E/k"] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in ["/", "/a.b/..c/...", "/%2e%2e%2e", "/a%2f..b", "/.well-known/x"] {
            assert!(!has_dot_segment(path), "{path}");
        }
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
