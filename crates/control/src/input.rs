//! The parts of a request besides its head: JSON body, query and path parameters.

mod fields;

use std::convert::Infallible;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use access::Refusal;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Query};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Uri, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::{Map, Value};
use store::{Email, TEXT_CHARS_MAX, is_fit_text};

use crate::message::problem::Problem;
use crate::process::state::App;
use fields::Fields;

/// The maximum size of a body; the largest body that an endpoint needs has a few kilobytes.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Maximum size of an empty object with the spaces around it.
const EMPTY_BYTES_MAX: usize = 64;

/// Reads a JSON object within `limit`; returns `None` for an empty body.
///
/// # Errors
/// `unsupported_media_type`, `payload_too_large` (with a `Content-Length`, before the body is read),
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
        Ok(Err(_)) => return Err(ended_early()),
        Err(_) => return Err(late()),
    };
    if bytes.is_empty() { Ok(None) } else { parse(&bytes).map(Some) }
}

/// Reads a JSON object that must be present.
///
/// # Errors
/// The errors of [`json`], and `bad_request` for an empty body.
pub(crate) async fn required<T: DeserializeOwned>(request: Request<Body>, limit: Duration) -> Result<T, Problem> {
    let body = json(request, limit).await?;
    body.ok_or_else(|| Problem::new(Refusal::BadRequest, "this request needs a body: a JSON object"))
}

/// Refuses a body (`{}` included) for operations other than POST that take none, because a client that sends one expects an
/// effect. A body of zero bytes counts as missing.
///
/// # Errors
/// `bad_request`, and `request_timeout` if no byte and no end of the body arrives within `limit`.
pub(crate) async fn none(request: Request<Body>, limit: Duration) -> Result<Request<Body>, Problem> {
    let (parts, mut body) = request.into_parts();
    if !body.is_end_stream() {
        let has_body = body.size_hint().lower() > 0
            || tokio::time::timeout(limit, has_bytes(&mut body)).await.map_err(|_| late())??;
        if has_body {
            return Err(Problem::new(Refusal::BadRequest, "this request takes no body"));
        }
    }
    Ok(Request::from_parts(parts, Body::empty()))
}

/// Accepts an empty JSON object in place of no body: many clients send one with each POST request. Other bodies are refused.
///
/// # Errors
/// `bad_request`, and `request_timeout` if the body does not arrive within `limit`.
pub(crate) async fn none_or_empty(request: Request<Body>, limit: Duration) -> Result<Request<Body>, Problem> {
    let (parts, body) = request.into_parts();
    let refused = || Problem::new(Refusal::BadRequest, "this request takes no body");
    if body.size_hint().lower() > EMPTY_BYTES_MAX as u64 {
        return Err(refused());
    }
    let read = tokio::time::timeout(limit, Limited::new(body, EMPTY_BYTES_MAX).collect());
    let bytes = match read.await {
        Ok(Ok(read)) => read.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(refused()),
        Ok(Err(_)) => return Err(ended_early()),
        Err(_) => return Err(late()),
    };
    let is_empty =
        bytes.is_empty() || serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok_and(|map| map.is_empty());
    if is_empty { Ok(Request::from_parts(parts, Body::empty())) } else { Err(refused()) }
}

/// Reads up to the first byte or the end, and returns whether there is a byte.
async fn has_bytes(body: &mut Body) -> Result<bool, Problem> {
    while let Some(frame) = body.frame().await {
        if frame.map_err(|_| ended_early())?.data_ref().is_some_and(|data| !data.is_empty()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads the query parameters.
///
/// # Errors
/// `bad_request`, which names an unknown or malformed parameter.
pub(crate) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let refused =
        |reason: &dyn Display| Problem::new(Refusal::BadRequest, format!("the query cannot be read: {reason}"));
    let pairs: Result<Query<Vec<(String, String)>>, _> = Query::try_from_uri(uri);
    let Query(pairs) = pairs.map_err(|_| refused(&"it is not a list of NAME=VALUE pairs"))?;
    Fields::spelled(pairs).read().map_err(|wrong| refused(&wrong))
}

/// Reads a field that can be missing (`None`) or null (`Some(None)`). The field needs `#[serde(default)]`.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Checks a name: 1 to 200 characters, not only spaces, without control characters and invisible characters.
///
/// # Errors
/// `unprocessable`, which names the field.
pub(crate) fn check_name(field: &'static str, text: &str) -> Result<(), Problem> {
    if !text.trim().is_empty() && is_fit_text(text) {
        return Ok(());
    }
    let message =
        format!("`{field}` must have 1 to {TEXT_CHARS_MAX} characters, without control or invisible characters");
    Err(Problem::new(Refusal::Unprocessable, message))
}

/// Parses an e-mail address.
///
/// # Errors
/// `unprocessable`.
pub(crate) fn address_of(text: &str) -> Result<Email, Problem> {
    Email::parse(text).map_err(|error| Problem::new(Refusal::Unprocessable, format!("`email`: {error}")))
}

/// Checks a display name.
///
/// # Errors
/// `unprocessable`.
pub(crate) fn name_of(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    check_name("name", name)?;
    Ok(name.to_owned())
}

/// The only parameter of the path. It is empty if the path segment is not valid UTF-8, so that it matches no id.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl FromRequestParts<Arc<App>> for Segment {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        let found: Result<Path<String>, _> = Path::from_request_parts(parts, app).await;
        Ok(Self(found.map(|Path(text)| text).unwrap_or_default()))
    }
}

fn ended_early() -> Problem {
    Problem::new(Refusal::BadRequest, "the body ended early")
}

fn late() -> Problem {
    Problem::new(Refusal::RequestTimeout, "the body did not arrive in time")
}

fn too_large() -> Problem {
    Problem::new(Refusal::PayloadTooLarge, format!("the body is larger than {} MiB", BODY_BYTES_MAX / (1024 * 1024)))
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
        // The requested type is always an object.
        Category::Data => refused("the body must be a JSON object".to_owned()),
        // Syntax errors of serde_json contain a position and no value.
        Category::Syntax | Category::Eof | Category::Io => refused(format!("the body is not JSON: {error}")),
    })?;
    fields.read().map_err(|wrong| refused(format!("the body is not as expected: {wrong}")))
}
