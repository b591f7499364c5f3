//! LLM calls: parsed and checked as a provider does, then handled as the model's name selects.

use ai::{Dialect, Endpoint, EndpointCall};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::Bytes;

use super::{MockProvider, Reaction, dialect, logged_request, sha256, typed};
use crate::behaviour::Behaviour;
use crate::call_body::CallBody;
use crate::call_body::form::{self, FormPart};
use crate::call_body::rules::{self, BrokenRule};
use crate::credential;
use crate::damaged_stream::DamagedStream;
use crate::error::MockError;
use crate::faults::damage::BodyDamage;
use crate::faults::http_violation::{HttpViolation, RawResponse};
use crate::payload::Payload;
use crate::provider_headers;
use crate::request_log::{LoggedPart, hex};
use crate::response::{BodySummary, MockResponse};
use crate::wire::{self, EventSequence, StreamFraming, WholeBody};

/// The number of events before a cut, at least: more than the opening events of any format.
const CUT_AFTER: u64 = 4;
/// The chunk size of sound.
const SOUND_PIECE_BYTES: usize = 4_096;
const FORM: &str = "multipart/form-data";
const HTML: &[u8] = b"<!DOCTYPE html>\n<html><head><title>mock</title></head>\n\
    <body><h1>Bad gateway</h1><p>This page is not an API response.</p></body></html>\n";

/// A call that was parsed and recorded.
struct LlmCall<'a> {
    called: &'a EndpointCall<'a>,
    dialect: Dialect,
    request: &'a CallBody<'a>,
    framing: Option<StreamFraming>,
    body: BodySummary<'a>,
}

impl MockProvider {
    /// Responds to a call of an endpoint that has a format.
    pub(super) async fn call(&self, called: &EndpointCall<'_>, parts: Parts, bytes: &Bytes) -> Reaction {
        let hash = sha256(bytes);
        let dialect = dialect(called, &parts);
        let refused = |error: &MockError, parts: Parts, form: &[FormPart<'_>]| {
            self.log.record("(unreadable)", logged_request(parts, Some(hash), form.iter().map(logged_part).collect()));
            Reaction::Response(error.response(dialect, ""))
        };
        let form = match parts_of(called.endpoint, &parts.headers, bytes) {
            Ok(form) => form,
            Err(error) => return refused(&error, parts, &[]),
        };
        let fields = form.as_deref().map(form::fields);
        let form = form.unwrap_or_default();
        let mut request = match CallBody::read(fields.as_deref().unwrap_or(bytes)) {
            Ok(request) => request,
            Err(error) => return refused(&MockError::Unreadable(error.to_string()), parts, &form),
        };
        if let Some(model) = called.model.clone().or_else(|| default_model(called.endpoint, &request)) {
            request.model = model;
        }
        if request.model.is_empty() {
            return refused(&MockError::NoModel, parts, &form);
        }
        let judged = credential::check(called, dialect, &parts.headers);
        let framing = framing(called.endpoint, &request, parts.uri.query());
        // For benchmarks: the checks below are skipped, and the body may contain nothing but the model's name.
        if request.behaviour() == Behaviour::Instant
            && framing.is_none()
            && judged.is_ok()
            && !called.endpoint.free()
            && let Some(body) = called.endpoint.format().and_then(wire::instant)
        {
            self.log.record(request.name(), logged_request(parts, Some(hash), Vec::new()));
            return Reaction::Response(typed(StatusCode::OK, wire::JSON, Payload::whole(body)));
        }
        let judged = judged.and_then(|()| complete(called, &request, &form));
        let judged = judged.and_then(|()| rules::check(called.endpoint, &request.model, bytes).map_err(broken));
        let once = parts.headers.get("x-request-id").cloned();
        self.log.record(request.name(), logged_request(parts, Some(hash), form.iter().map(logged_part).collect()));
        let hash_hex = hex(&hash);
        let files = form.iter().filter(|part| part.filename.is_some());
        let body = BodySummary {
            bytes: bytes.len(),
            hash_hex: &hash_hex,
            files: files.clone().map(|_| 1).sum(),
            file_bytes: files.map(|part| part.bytes.len()).sum(),
        };
        let call = LlmCall { called, dialect, request: &request, framing, body };
        match judged {
            // Boxed to keep the future of the instant path small.
            Ok(()) => Box::pin(self.behave(&call, once.as_ref())).await,
            Err(error) => Reaction::Response(call.with_provider_headers(call.refused(&error))),
        }
    }

    /// `once` is the request id that the client sent.
    async fn behave(&self, call: &LlmCall<'_>, once: Option<&HeaderValue>) -> Reaction {
        let behaviour = call.request.behaviour();
        if let Some(error) = behaviour.error() {
            return Reaction::Response(call.with_provider_headers(call.refused(&error)));
        }
        match behaviour {
            Behaviour::Slow => tokio::time::sleep(self.options.slow).await,
            Behaviour::Hang => {
                tokio::time::sleep(self.options.long_for).await;
                return Reaction::Raw(RawResponse::new(HttpViolation::Close, Bytes::new(), wire::JSON, &self.options));
            }
            Behaviour::HttpViolation(violation) => {
                let WholeBody { kind, bytes } = wire::whole(&call.response(self));
                return Reaction::Raw(RawResponse::new(violation, bytes, kind, &self.options));
            }
            Behaviour::Flaky { times } if self.flaky.fails(format!("{} {once:?}", call.request.name()), times) => {
                return Reaction::Response(call.with_provider_headers(call.refused(&MockError::unavailable())));
            }
            _ => {}
        }
        Reaction::Response(call.with_provider_headers(self.success(call)))
    }

    fn success(&self, call: &LlmCall<'_>) -> Response<Payload> {
        let behaviour = call.request.behaviour();
        let response = call.response(self);
        let mut response = match (behaviour, call.framing) {
            (Behaviour::Html(status), _) => {
                typed(status, "text/html; charset=utf-8", Payload::whole(Bytes::from_static(HTML)))
            }
            (Behaviour::Empty, _) => typed(StatusCode::OK, wire::JSON, Payload::whole(Bytes::new())),
            (_, Some(framing)) => self.stream(response, framing, behaviour),
            (_, None) => self.whole(&response, behaviour),
        };
        if let Behaviour::Status { status, .. } = behaviour {
            *response.status_mut() = status;
        }
        if let Behaviour::Headers(count) = behaviour {
            for at in 0..count {
                let Ok(name) = HeaderName::try_from(format!("x-mock-{at}")) else { continue };
                response.headers_mut().insert(name, HeaderValue::from_static("one header of many"));
            }
        }
        response
    }

    fn stream(&self, response: MockResponse, framing: StreamFraming, behaviour: Behaviour) -> Response<Payload> {
        let kind = match framing {
            StreamFraming::Events if response.endpoint == Endpoint::StreamGenerateContent => "text/event-stream",
            StreamFraming::Events => "text/event-stream; charset=utf-8",
            StreamFraming::Array => "application/json; charset=UTF-8",
        };
        let pieces = response.content.text().pieces();
        let pace = behaviour.pace(&self.options);
        let script = EventSequence::new(response, framing);
        // Half of the pieces of a short stream would end within the opening.
        let cut_in = CUT_AFTER + pieces / 2;
        let stream = match behaviour {
            Behaviour::Damaged(damage) => Payload::damaged(DamagedStream::new(script, damage), pace),
            Behaviour::Cut => Payload::events(script, pace).cut(cut_in, pace),
            Behaviour::Stall => Payload::events(script, pace).cut(cut_in, self.options.long_for),
            _ => Payload::events(script, pace),
        };
        let mut response = typed(StatusCode::OK, kind, stream);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    fn whole(&self, response: &MockResponse, behaviour: Behaviour) -> Response<Payload> {
        let WholeBody { kind, bytes } = wire::whole(response);
        let payload = match behaviour {
            Behaviour::Cut => Payload::halved(bytes, self.options.pace),
            Behaviour::Stall => Payload::halved(bytes, self.options.long_for),
            Behaviour::Long => Payload::trickled(bytes, self.options.long_pace, response.content.text().pieces()),
            Behaviour::Damaged(BodyDamage::Bytewise) => Payload::chunked(bytes, 1),
            Behaviour::Damaged(damage) => Payload::whole(damage.whole(&bytes)),
            _ if kind.starts_with("audio/") => Payload::chunked(bytes, SOUND_PIECE_BYTES),
            _ => Payload::whole(bytes),
        };
        typed(StatusCode::OK, kind, payload)
    }
}

impl LlmCall<'_> {
    fn response(&self, mock: &MockProvider) -> MockResponse {
        MockResponse::to(self.request, self.called.endpoint, self.body, &mock.options)
    }

    /// Google's errors are wrapped in an array if the response would have been one.
    fn refused(&self, error: &MockError) -> Response<Payload> {
        match self.framing {
            Some(StreamFraming::Array) => error.response_in_array(),
            Some(StreamFraming::Events) | None => error.response(self.dialect, self.body.id()),
        }
    }

    fn with_provider_headers(&self, mut response: Response<Payload>) -> Response<Payload> {
        let is_azure = self.dialect == Dialect::OpenAi && !self.called.is_verbatim();
        provider_headers::add(response.headers_mut(), self.dialect, is_azure, self.body.id());
        response
    }
}

/// The parts of a form; `None` if the body is JSON.
fn parts_of<'a>(
    endpoint: Endpoint,
    headers: &HeaderMap,
    body: &'a Bytes,
) -> Result<Option<Vec<FormPart<'a>>>, MockError> {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let refused = |name| Err(MockError::ContentType(String::from_utf8_lossy(value(name)).into_owned()));
    if !matches!(value(CONTENT_ENCODING), b"" | b"identity") {
        return refused(CONTENT_ENCODING);
    }
    let (takes_form, takes_json) = match endpoint {
        Endpoint::AudioTranscriptions | Endpoint::AudioTranslations => (true, false),
        Endpoint::ImagesEdits => (true, true),
        _ => (false, true),
    };
    let kind = value(CONTENT_TYPE);
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    // A request without a content type counts as JSON.
    if takes_json && (essence.is_empty() || essence.eq_ignore_ascii_case(wire::JSON.as_bytes())) {
        return Ok(None);
    }
    if takes_form && essence.eq_ignore_ascii_case(FORM.as_bytes()) {
        let kind = String::from_utf8_lossy(kind);
        return form::read(&kind, body).map(Some).map_err(|why| MockError::Unreadable(why.to_string()));
    }
    refused(CONTENT_TYPE)
}

/// The default model for pictures and moderations.
fn default_model(endpoint: Endpoint, request: &CallBody<'_>) -> Option<std::borrow::Cow<'static, str>> {
    let model = match endpoint {
        Endpoint::ImagesGenerations | Endpoint::ImagesEdits => "gpt-image-1",
        Endpoint::Moderations => "omni-moderation-latest",
        _ => return None,
    };
    request.model.is_empty().then(|| model.into())
}

/// Returns the refusal of a call that breaks a rule.
fn broken(BrokenRule { param, message }: BrokenRule) -> MockError {
    MockError::Rule { param, message }
}

/// Refuses a call without the input that its endpoint requires.
fn complete(called: &EndpointCall<'_>, request: &CallBody<'_>, form: &[FormPart<'_>]) -> Result<(), MockError> {
    let has_file = form.iter().any(|part| part.filename.is_some());
    let missing = match called.endpoint {
        Endpoint::AudioTranscriptions | Endpoint::AudioTranslations if !has_file => "file",
        Endpoint::ImagesEdits if !form.is_empty() && !has_file => "image",
        Endpoint::Embeddings | Endpoint::Moderations | Endpoint::AudioSpeech if !request.has_input() => "input",
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent if !request.has_input() => "contents",
        Endpoint::EmbedContent if !request.has_input() => "content",
        Endpoint::BatchEmbedContents if !request.has_input() => "requests",
        _ => return Ok(()),
    };
    Err(MockError::Missing(missing))
}

/// The framing of the stream; `None` if the response is not streamed.
fn framing(endpoint: Endpoint, request: &CallBody<'_>, query: Option<&str>) -> Option<StreamFraming> {
    let is_streamed = match endpoint {
        Endpoint::StreamGenerateContent => {
            let is_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
            return Some(if is_sse { StreamFraming::Events } else { StreamFraming::Array });
        }
        Endpoint::ChatCompletions
        | Endpoint::Completions
        | Endpoint::Responses
        | Endpoint::Messages
        | Endpoint::ImagesGenerations
        | Endpoint::ImagesEdits => request.streamed(),
        Endpoint::AudioTranscriptions => request.streamed() && !wire::transcription::is_by_the_second(&request.model),
        Endpoint::AudioSpeech => request.wants_speech_events(),
        Endpoint::CountTokens
        | Endpoint::InputTokens
        | Endpoint::Compact
        | Endpoint::Embeddings
        | Endpoint::AudioTranslations
        | Endpoint::Moderations
        | Endpoint::GenerateContent
        | Endpoint::GeminiCountTokens
        | Endpoint::EmbedContent
        | Endpoint::BatchEmbedContents
        | Endpoint::Models
        | Endpoint::Model
        | Endpoint::Root => false,
    };
    is_streamed.then_some(StreamFraming::Events)
}

fn logged_part(part: &FormPart<'_>) -> LoggedPart {
    LoggedPart {
        name: part.name.clone(),
        filename: part.filename.clone(),
        content_type: part.content_type.clone(),
        bytes: part.bytes.len(),
        sha256: hex(&sha256(part.bytes)),
    }
}
