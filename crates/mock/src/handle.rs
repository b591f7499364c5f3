//! Dispatch of requests by path.

mod call;
mod refusal;

use std::sync::OnceLock;

use ai::endpoint::EndpointMatch;
use ai::models::{ModelCard, asking, list, one};
use ai::{Dialect, Endpoint, EndpointCall};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use sha2::{Digest, Sha256};

use crate::behaviour::BEHAVIOURS;
use crate::credential;
use crate::error::MockError;
use crate::faults::flaky::FlakyCounts;
use crate::faults::http_violation::RawResponse;
use crate::json::Json;
use crate::payload::Payload;
use crate::provider_headers::insert;
use crate::request_log::{BodyHash, LoggedPart, LoggedRequest, RequestLog, hex};
use crate::timing::MockTiming;
use crate::websocket::WebSocketEcho;
use crate::wire;

const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Models in the list, in addition to the names in [`BEHAVIOURS`] without a number.
const MODELS: [&str; 4] = ["tokens-100", "429", "500", "529"];
/// The owner of all listed models.
const OWNER: &str = "mock";
/// The response to a benchmark of plain routes: 100 bytes.
const PLAIN: &[u8; 100] =
    b"one hundred bytes of text from the mock, for plain routes: they are not looked at, only passed on.\r\n";
/// The maximum of `/plain/bytes/N`.
const SIZED_BYTES_MAX: usize = 1 << 20;
/// The length of the response to `/plain/json`.
const JSON_BYTES: usize = 16 << 10;

/// The state of a running mock.
pub(crate) struct MockProvider {
    options: MockTiming,
    log: RequestLog,
    flaky: FlakyCounts,
    /// [`SIZED_BYTES_MAX`] bytes, made at the first request for a part of them.
    sized: OnceLock<Bytes>,
    /// The response to `/plain/json`, made at the first request for it.
    json: OnceLock<Bytes>,
}

/// The reaction to one request.
pub(crate) enum Reaction {
    Response(Response<Payload>),
    /// Bytes that replace all further HTTP on the connection.
    Raw(RawResponse),
    WebSocket(WebSocketEcho),
}

impl MockProvider {
    pub(crate) fn new(options: MockTiming) -> Self {
        Self {
            options,
            log: RequestLog::default(),
            flaky: FlakyCounts::default(),
            sized: OnceLock::new(),
            json: OnceLock::new(),
        }
    }

    /// Responds to one request. Invalid requests receive an error response.
    pub(crate) async fn response(&self, request: Request<Incoming>) -> Reaction {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return Reaction::Response(MockError::TooLarge.response(Dialect::OpenAi, ""));
        };
        let body = body.to_bytes();
        // Bedrock has the endpoints of Anthropic in this folder.
        let path = parts.uri.path();
        let path = path.strip_prefix("/anthropic").filter(|rest| rest.starts_with("/v1/")).unwrap_or(path);
        let response = match path.split('/').nth(1) {
            Some("plain") => match WebSocketEcho::from_headers(&parts.headers) {
                Some(echo) => {
                    self.record_plain(parts, &body);
                    return Reaction::WebSocket(echo);
                }
                None => self.plain(parts, &body),
            },
            Some("echo") => self.echo(parts, body),
            Some("mock") => self.inspect(&parts),
            _ => match Endpoint::find(parts.method.as_str(), path) {
                EndpointMatch::Endpoint(called) if called.endpoint.format().is_some() => {
                    let called = called.into_owned();
                    return self.call(&called, parts, &body).await;
                }
                EndpointMatch::Endpoint(called) => {
                    let response = models(&called, &parts);
                    self.log.record("(models)", logged_request(parts, None, Vec::new()));
                    response
                }
                EndpointMatch::WrongMethod { called, .. } => {
                    MockError::WrongMethod.response(dialect(&called, &parts), "")
                }
                EndpointMatch::None => MockError::UnknownPath(path.to_owned()).response(unknown(path), ""),
            },
        };
        Reaction::Response(response)
    }

    /// `/plain/bytes/N` returns N bytes, `/plain/json` a list of objects, every other path [`PLAIN`].
    fn plain(&self, parts: Parts, body: &Bytes) -> Response<Payload> {
        let response = match parts.uri.path().strip_prefix("/plain/bytes/").map(str::parse::<usize>) {
            None if parts.uri.path() == "/plain/json" => {
                typed(StatusCode::OK, wire::JSON, Payload::whole(self.json.get_or_init(listed).clone()))
            }
            None => text(Bytes::from_static(PLAIN)),
            Some(Ok(bytes)) if bytes <= SIZED_BYTES_MAX => text(self.sized().slice(..bytes)),
            Some(_) => return MockError::UnknownPath(parts.uri.path().to_owned()).response(Dialect::OpenAi, ""),
        };
        self.record_plain(parts, body);
        response
    }

    /// Records a request without a model.
    pub(crate) fn record_plain(&self, parts: Parts, body: &[u8]) {
        self.log.record("plain", logged_request(parts, (!body.is_empty()).then(|| sha256(body)), Vec::new()));
    }

    fn sized(&self) -> &Bytes {
        self.sized.get_or_init(|| Bytes::from(PLAIN.iter().copied().cycle().take(SIZED_BYTES_MAX).collect::<Vec<u8>>()))
    }

    fn echo(&self, parts: Parts, body: Bytes) -> Response<Payload> {
        let hash = sha256(&body);
        let kind = parts.headers.get(CONTENT_TYPE).cloned();
        self.log.record("plain", logged_request(parts, Some(hash), Vec::new()));
        let mut response = text(body);
        insert(response.headers_mut(), "x-body-sha256", &hex(&hash));
        if let Some(kind) = kind {
            response.headers_mut().insert(CONTENT_TYPE, kind);
        }
        response
    }

    fn inspect(&self, parts: &Parts) -> Response<Payload> {
        match (parts.method.as_str(), parts.uri.path()) {
            ("GET", "/mock/seen") => typed(StatusCode::OK, wire::JSON, Payload::whole(self.log.report())),
            ("POST", "/mock/reset") => {
                self.log.reset();
                self.flaky.reset();
                typed(StatusCode::OK, wire::JSON, Payload::whole(Bytes::from_static(b"{}")))
            }
            (_, "/mock/seen" | "/mock/reset") => MockError::WrongMethod.response(Dialect::OpenAi, ""),
            (_, path) => MockError::UnknownPath(path.to_owned()).response(Dialect::OpenAi, ""),
        }
    }
}

/// A response with a JSON body.
fn json(status: StatusCode, body: &Json) -> Response<Payload> {
    typed(status, wire::JSON, Payload::whole(wire::bytes(body)))
}

/// Returns a list of objects of [`JSON_BYTES`], with spaces before its end.
fn listed() -> Bytes {
    let mut list = String::from("[");
    for number in 0_u64.. {
        // Numbers that look random, so that compression has something to do.
        let price = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let item = format!("{{\"id\":{number},\"name\":\"item {number}\",\"price\":{price},\"currency\":\"IDR\"}},");
        if list.len() + item.len() > JSON_BYTES {
            break;
        }
        list.push_str(&item);
    }
    list.pop();
    let spaces = JSON_BYTES.saturating_sub(list.len() + 1);
    Bytes::from(format!("{list}{:spaces$}]", ""))
}

fn text(body: Bytes) -> Response<Payload> {
    typed(StatusCode::OK, "text/plain; charset=utf-8", Payload::whole(body))
}

fn typed(status: StatusCode, kind: &'static str, payload: Payload) -> Response<Payload> {
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

fn models(called: &EndpointCall<'_>, parts: &Parts) -> Response<Payload> {
    let dialect = dialect(called, parts);
    if credential::is_wrong(&parts.headers) {
        return MockError::WrongCredential.response(dialect, "");
    }
    let body = match (called.endpoint, &called.model) {
        (Endpoint::Models, _) => {
            let plain = BEHAVIOURS.iter().map(|(name, _)| *name).filter(|name| !name.contains('N'));
            list(dialect, &plain.chain(MODELS).map(ModelCard::named).collect::<Vec<_>>(), OWNER)
        }
        (Endpoint::Model, Some(model)) => one(dialect, &ModelCard::named(model), OWNER),
        _ => return MockError::UnknownPath(String::from("/")).response(dialect, ""),
    };
    typed(StatusCode::OK, wire::JSON, Payload::whole(Bytes::from(body)))
}

/// The API that the request calls.
fn dialect(called: &EndpointCall<'_>, parts: &Parts) -> Dialect {
    let has = |name: &str| parts.headers.contains_key(name);
    called.dialect.unwrap_or_else(|| asking(has("x-goog-api-key"), has("anthropic-version")))
}

/// The API whose error format a request for an unknown path receives.
fn unknown(path: &str) -> Dialect {
    if path.starts_with("/v1beta/") { Dialect::Google } else { Dialect::OpenAi }
}

fn logged_request(parts: Parts, body: Option<BodyHash>, form: Vec<LoggedPart>) -> LoggedRequest {
    LoggedRequest { method: parts.method, uri: parts.uri, headers: parts.headers, body, parts: form }
}

fn sha256(body: &[u8]) -> BodyHash {
    Sha256::digest(body).into()
}
