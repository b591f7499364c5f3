//! A request's way through the mock.

mod call;

use ai::endpoint::Found;
use ai::models::{asking, list, one};
use ai::{Called, Dialect, Endpoint};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use sha2::{Digest, Sha256};

use crate::behaviour::BEHAVIOURS;
use crate::credential;
use crate::fault::Fault;
use crate::flaky::Flaky;
use crate::json::Json;
use crate::payload::Payload;
use crate::seen::{Hash, Seen, SeenPart, Visit, hex};
use crate::server::Options;
use crate::sign::put;
use crate::trick::Raw;
use crate::wire;

const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What lists of models say besides the names in [`BEHAVIOURS`] that have no number.
const MODELS: [&str; 4] = ["tokens-100", "429", "500", "529"];
/// Whose models are listed.
const OWNER: &str = "mock";
/// What a benchmark of plain routes fetches: 100 bytes.
const PLAIN: &[u8; 100] =
    b"one hundred bytes of text from the mock, for plain routes: they are not looked at, only passed on.\r\n";

/// The mock's state.
pub(crate) struct Mock {
    options: Options,
    seen: Seen,
    flaky: Flaky,
}

/// What a request gets.
pub(crate) enum Reaction {
    Answer(Response<Payload>),
    /// Bytes that take the place of all further HTTP on the connection.
    Raw(Raw),
}

impl Mock {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, seen: Seen::default(), flaky: Flaky::default() }
    }

    /// Answers one request. What the caller does wrong is answered too.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Reaction {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return Reaction::Answer(Fault::TooLarge.answer(Dialect::OpenAi, ""));
        };
        let body = body.to_bytes();
        let path = parts.uri.path();
        let answer = match path.split('/').nth(1) {
            Some("plain") => self.plain(parts, &body),
            Some("echo") => self.echo(parts, body),
            Some("mock") => self.inspect(&parts),
            _ => match Endpoint::find(parts.method.as_str(), path) {
                Found::Endpoint(called) if called.endpoint.format().is_some() => {
                    let called = called.into_owned();
                    return self.call(&called, parts, &body).await;
                }
                Found::Endpoint(called) => {
                    let answer = models(&called, &parts);
                    self.seen.record("(models)", visit(parts, None, Vec::new()));
                    answer
                }
                Found::WrongMethod { called, .. } => Fault::WrongMethod.answer(dialect(&called, &parts), ""),
                Found::None => Fault::UnknownPath(path.to_owned()).answer(unknown(path), ""),
            },
        };
        Reaction::Answer(answer)
    }

    fn plain(&self, parts: Parts, body: &Bytes) -> Response<Payload> {
        self.seen.record("plain", visit(parts, (!body.is_empty()).then(|| sha256(body)), Vec::new()));
        text(Bytes::from_static(PLAIN))
    }

    fn echo(&self, parts: Parts, body: Bytes) -> Response<Payload> {
        let hash = sha256(&body);
        let kind = parts.headers.get(CONTENT_TYPE).cloned();
        self.seen.record("plain", visit(parts, Some(hash), Vec::new()));
        let mut answer = text(body);
        put(answer.headers_mut(), "x-body-sha256", &hex(&hash));
        if let Some(kind) = kind {
            answer.headers_mut().insert(CONTENT_TYPE, kind);
        }
        answer
    }

    fn inspect(&self, parts: &Parts) -> Response<Payload> {
        match (parts.method.as_str(), parts.uri.path()) {
            ("GET", "/mock/seen") => typed(StatusCode::OK, wire::JSON, Payload::whole(self.seen.report())),
            ("POST", "/mock/reset") => {
                self.seen.reset();
                self.flaky.reset();
                typed(StatusCode::OK, wire::JSON, Payload::whole(Bytes::from_static(b"{}")))
            }
            (_, "/mock/seen" | "/mock/reset") => Fault::WrongMethod.answer(Dialect::OpenAi, ""),
            (_, path) => Fault::UnknownPath(path.to_owned()).answer(Dialect::OpenAi, ""),
        }
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Json) -> Response<Payload> {
    typed(status, wire::JSON, Payload::whole(wire::bytes(body)))
}

fn text(body: Bytes) -> Response<Payload> {
    typed(StatusCode::OK, "text/plain; charset=utf-8", Payload::whole(body))
}

fn typed(status: StatusCode, kind: &'static str, payload: Payload) -> Response<Payload> {
    let mut answer = Response::new(payload);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    answer
}

fn models(called: &Called<'_>, parts: &Parts) -> Response<Payload> {
    let dialect = dialect(called, parts);
    if credential::is_wrong(&parts.headers) {
        return Fault::WrongCredential.answer(dialect, "");
    }
    let body = match (called.endpoint, &called.model) {
        (Endpoint::Models, _) => {
            let plain = BEHAVIOURS.iter().map(|(name, _)| *name).filter(|name| !name.contains('N'));
            list(dialect, &plain.chain(MODELS).collect::<Vec<_>>(), OWNER)
        }
        (Endpoint::Model, Some(model)) => one(dialect, model, OWNER),
        _ => return Fault::UnknownPath(String::from("/")).answer(dialect, ""),
    };
    typed(StatusCode::OK, wire::JSON, Payload::whole(Bytes::from(body)))
}

/// Whose API is called.
fn dialect(called: &Called<'_>, parts: &Parts) -> Dialect {
    let has = |name: &str| parts.headers.contains_key(name);
    called.dialect.unwrap_or_else(|| asking(has("x-goog-api-key"), has("anthropic-version")))
}

/// Whose API a path belongs to that is nobody's.
fn unknown(path: &str) -> Dialect {
    if path.starts_with("/v1beta/") { Dialect::Google } else { Dialect::OpenAi }
}

fn visit(parts: Parts, body: Option<Hash>, form: Vec<SeenPart>) -> Visit {
    Visit { method: parts.method, uri: parts.uri, headers: parts.headers, body, parts: form }
}

fn sha256(body: &[u8]) -> Hash {
    Sha256::digest(body).into()
}
