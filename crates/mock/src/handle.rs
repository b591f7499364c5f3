//! A request's way through the mock.

use ai::endpoint::Found;
use ai::models::{Client, list};
use ai::{Endpoint, Format};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Bytes, Incoming};
use sha2::{Digest, Sha256};

use crate::answer::{Answer, Body, input_tokens};
use crate::asked::Asked;
use crate::behaviour::Behaviour;
use crate::fault::Fault;
use crate::json::Json;
use crate::payload::Payload;
use crate::seen::{Hash, Seen, Visit, hex};
use crate::server::Options;
use crate::wire::{self, Script};

const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const MODELS: [&str; 12] =
    ["mock", "slow", "long", "tokens-100", "429", "500", "529", "cut", "no-usage", "tool", "echo", "instant"];
/// What a benchmark of plain routes fetches: 100 bytes.
const PLAIN: &[u8; 100] =
    b"one hundred bytes of text from the mock, for plain routes: they are not looked at, only passed on.\r\n";
/// A stream is cut within this event, or later: past the opening in every format.
const CUT_AFTER: u64 = 4;

/// The mock's state.
pub(crate) struct Mock {
    options: Options,
    seen: Seen,
}

impl Mock {
    pub(crate) fn new(options: Options) -> Self {
        Self { options, seen: Seen::default() }
    }

    /// Answers one request. What the caller does wrong is answered too.
    pub(crate) async fn answer(&self, request: Request<Incoming>) -> Response<Payload> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return Fault::TooLarge.answer(Format::Chat, "");
        };
        let body = body.to_bytes();
        let path = parts.uri.path();
        match path.split('/').nth(1) {
            Some("plain") => self.plain(parts, &body),
            Some("echo") => self.echo(parts, body),
            Some("mock") => self.inspect(&parts),
            _ => match Endpoint::find(parts.method.as_str(), path) {
                Found::Endpoint(endpoint) => self.endpoint(endpoint, parts, &body).await,
                Found::WrongMethod { .. } => Fault::WrongMethod.answer(Format::Chat, ""),
                Found::None => Fault::UnknownPath(path.to_owned()).answer(Format::Chat, ""),
            },
        }
    }

    fn plain(&self, parts: Parts, body: &Bytes) -> Response<Payload> {
        self.seen.record("plain", visit(parts, (!body.is_empty()).then(|| sha256(body))));
        text(Bytes::from_static(PLAIN))
    }

    fn echo(&self, parts: Parts, body: Bytes) -> Response<Payload> {
        let hash = sha256(&body);
        let kind = parts.headers.get(CONTENT_TYPE).cloned();
        self.seen.record("plain", visit(parts, Some(hash)));
        let mut answer = text(body);
        put(answer.headers_mut(), "x-body-sha256", &hex(&hash));
        if let Some(kind) = kind {
            answer.headers_mut().insert(CONTENT_TYPE, kind);
        }
        answer
    }

    fn inspect(&self, parts: &Parts) -> Response<Payload> {
        match (parts.method.as_str(), parts.uri.path()) {
            ("GET", "/mock/seen") => typed(StatusCode::OK, "application/json", Payload::whole(self.seen.report())),
            ("POST", "/mock/reset") => {
                self.seen.reset();
                typed(StatusCode::OK, "application/json", Payload::whole(Bytes::from_static(b"{}")))
            }
            (_, "/mock/seen" | "/mock/reset") => Fault::WrongMethod.answer(Format::Chat, ""),
            (_, path) => Fault::UnknownPath(path.to_owned()).answer(Format::Chat, ""),
        }
    }

    async fn endpoint(&self, endpoint: Endpoint, parts: Parts, body: &Bytes) -> Response<Payload> {
        let Some(format) = endpoint.format() else { return models(endpoint, &parts) };
        let hash = sha256(body);
        let asked = match Asked::read(body) {
            Ok(asked) => asked,
            Err(error) => {
                self.seen.record("(unreadable)", visit(parts, Some(hash)));
                return Fault::Unreadable(error.to_string()).answer(format, "");
            }
        };
        let behaviour = asked.behaviour();
        self.seen.record(asked.name(), visit(parts, Some(hash)));
        if behaviour == Behaviour::Instant && !asked.streamed() && endpoint != Endpoint::CountTokens {
            return typed(StatusCode::OK, "application/json", Payload::whole(wire::instant(format)));
        }
        if behaviour == Behaviour::Slow {
            tokio::time::sleep(self.options.slow).await;
        }
        let hash_hex = hex(&hash);
        let body = Body { bytes: body.len(), hash_hex: &hash_hex };
        let mut answer = match behaviour.fault() {
            Some(fault) => fault.answer(format, body.id()),
            None if endpoint == Endpoint::CountTokens => json(StatusCode::OK, &count(body)),
            None => self.say(format, &asked, body),
        };
        sign(answer.headers_mut(), format, body.id());
        answer
    }

    fn say(&self, format: Format, asked: &Asked<'_>, body: Body<'_>) -> Response<Payload> {
        let answer = Answer::to(asked, body, &self.options);
        let (behaviour, pieces) = (asked.behaviour(), answer.content.text().pieces());
        if asked.streamed() {
            let cut_in = (behaviour == Behaviour::Cut).then_some(CUT_AFTER + pieces / 2);
            let stream = Payload::events(Script::new(format, answer), behaviour.pace(&self.options), cut_in);
            let mut answer = typed(StatusCode::OK, "text/event-stream; charset=utf-8", stream);
            answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            return answer;
        }
        let whole = wire::whole(format, &answer);
        let payload = if behaviour == Behaviour::Cut {
            Payload::halved(whole)
        } else if behaviour == Behaviour::Long {
            Payload::trickled(whole, self.options.long_pace, pieces)
        } else {
            Payload::whole(whole)
        };
        typed(StatusCode::OK, "application/json", payload)
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Json) -> Response<Payload> {
    typed(status, "application/json", Payload::whole(wire::bytes(body)))
}

fn text(body: Bytes) -> Response<Payload> {
    typed(StatusCode::OK, "text/plain; charset=utf-8", Payload::whole(body))
}

fn typed(status: StatusCode, kind: &'static str, payload: Payload) -> Response<Payload> {
    let mut answer = Response::new(payload);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}

/// The headers that providers send besides: some must not reach a gateway's callers, some must.
fn sign(headers: &mut HeaderMap, format: Format, id: &str) {
    let id = format!("req_{id}");
    headers.insert(SET_COOKIE, HeaderValue::from_static("__cf_bm=mock; path=/; HttpOnly"));
    let pairs: &[(&'static str, &str)] = match format {
        Format::Chat | Format::Responses => &[
            ("x-request-id", &id),
            ("openai-organization", "mock-organization"),
            ("openai-processing-ms", "7"),
            ("openai-version", "2020-10-01"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "6ms"),
        ],
        Format::Messages => &[
            ("request-id", &id),
            ("anthropic-organization-id", "mock-organization"),
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-remaining", "3999"),
            ("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:01Z"),
        ],
    };
    for (name, value) in pairs {
        put(headers, name, value);
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn models(endpoint: Endpoint, parts: &Parts) -> Response<Payload> {
    if endpoint == Endpoint::Root {
        return Fault::UnknownPath(String::from("/")).answer(Format::Chat, "");
    }
    let client = Client::of(parts.headers.contains_key("anthropic-version"));
    typed(StatusCode::OK, "application/json", Payload::whole(Bytes::from(list(client, &MODELS))))
}

fn count(body: Body<'_>) -> Json {
    wire::messages::count(input_tokens(body.bytes))
}

fn visit(parts: Parts, body: Option<Hash>) -> Visit {
    Visit { uri: parts.uri, headers: parts.headers, body }
}

fn sha256(body: &[u8]) -> Hash {
    Sha256::digest(body).into()
}
