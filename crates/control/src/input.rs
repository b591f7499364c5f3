//! What callers send besides headers: a JSON body, a query.

mod fields;

use std::fmt::Display;
use std::time::Duration;

use access::Refusal;
use axum::body::Body;
use axum::extract::Query;
use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::problem::Problem;
use fields::Fields;

/// Largest body; the largest that any endpoint needs is a few hundred bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// Reads a JSON object within `limit`; `None` where there is no body.
///
/// # Errors
/// `unsupported_media_type`, `payload_too_large` (by `Content-Length`, before it is read, where there is one),
/// `request_timeout`, and `bad_request`, which names an unknown field.
pub(crate) async fn json<T: DeserializeOwned>(request: Request<Body>, limit: Duration) -> Result<Option<T>, Problem> {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return Ok(None);
    }
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    media_type(&parts.headers)?;
    let read = tokio::time::timeout(limit, Limited::new(body, BODY_BYTES_MAX).collect());
    let bytes = match read.await {
        Ok(Ok(read)) => read.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(Problem::new(Refusal::BadRequest, "the body broke off")),
        Err(_) => return Err(Problem::new(Refusal::RequestTimeout, "the body did not arrive in time")),
    };
    if bytes.is_empty() { Ok(None) } else { parse(&bytes).map(Some) }
}

/// Reads the query.
///
/// # Errors
/// `bad_request`, which names an unknown or malformed parameter.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let refused =
        |reason: &dyn Display| Problem::new(Refusal::BadRequest, format!("the query cannot be read: {reason}"));
    let pairs: Result<Query<Vec<(String, String)>>, _> = Query::try_from_uri(uri);
    let Query(pairs) = pairs.map_err(|_| refused(&"it is no list of NAME=VALUE"))?;
    let fields = Fields(pairs.into_iter().map(|(name, value)| (name, value.into())).collect());
    fields.read().map_err(|wrong| refused(&wrong))
}

fn too_large() -> Problem {
    Problem::new(Refusal::PayloadTooLarge, format!("the body is larger than {} KiB", BODY_BYTES_MAX / 1024))
}

fn media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let is_json = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
        value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
    });
    if !is_json {
        return Err(Problem::new(Refusal::UnsupportedMediaType, "send the body as `Content-Type: application/json`"));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Problem::new(Refusal::UnsupportedMediaType, "send the body without `Content-Encoding`"));
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Problem> {
    let refused = |reason: String| Problem::new(Refusal::BadRequest, reason);
    let fields: Fields = serde_json::from_slice(bytes).map_err(|error| match error.classify() {
        // The only type that is asked for here is an object.
        Category::Data => refused("the body must be a JSON object".to_owned()),
        // What serde_json says of syntax has a place and no value.
        Category::Syntax | Category::Eof | Category::Io => refused(format!("the body is not JSON: {error}")),
    })?;
    fields.read().map_err(|wrong| refused(format!("the body is not as expected: {wrong}")))
}
