//! A call of an LLM: read as the provider would, judged, and answered as its model's name asks.

use ai::{Called, Dialect, Endpoint};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use hyper::body::Bytes;

use super::{Mock, Reaction, dialect, sha256, typed, visit};
use crate::answer::{Answer, Body};
use crate::asked::Asked;
use crate::asked::form::{self, Part};
use crate::behaviour::Behaviour;
use crate::credential;
use crate::damage::{Damage, Damaged};
use crate::fault::Fault;
use crate::payload::Payload;
use crate::seen::{SeenPart, hex};
use crate::sign::sign;
use crate::trick::{Raw, Trick};
use crate::wire::{self, Framing, Script, Whole};

/// A stream is cut within this event, or later: past the opening in every format.
const CUT_AFTER: u64 = 4;
/// Sound is sent in pieces of this size.
const SOUND_PIECE_BYTES: usize = 4_096;
const FORM: &str = "multipart/form-data";
const HTML: &[u8] = b"<!DOCTYPE html>\n<html><head><title>mock</title></head>\n\
    <body><h1>Bad gateway</h1><p>This page is no answer of an API.</p></body></html>\n";

/// What a call is, once it is read.
struct Call<'a> {
    called: &'a Called<'a>,
    dialect: Dialect,
    asked: &'a Asked<'a>,
    framing: Option<Framing>,
    body: Body<'a>,
}

impl Mock {
    /// Answers a call of an endpoint that has a format.
    pub(super) async fn call(&self, called: &Called<'_>, parts: Parts, bytes: &Bytes) -> Reaction {
        let (hash, dialect) = (sha256(bytes), dialect(called, &parts));
        let refused = |fault: &Fault, parts: Parts, form: &[Part<'_>]| {
            self.seen.record("(unreadable)", visit(parts, Some(hash), form.iter().map(seen).collect()));
            Reaction::Answer(fault.answer(dialect, ""))
        };
        let form = match parts_of(called.endpoint, &parts.headers, bytes) {
            Ok(form) => form,
            Err(fault) => return refused(&fault, parts, &[]),
        };
        let fields = form.as_deref().map(form::fields);
        let form = form.unwrap_or_default();
        let mut asked = match Asked::read(fields.as_deref().unwrap_or(bytes)) {
            Ok(asked) => asked,
            Err(error) => return refused(&Fault::Unreadable(error.to_string()), parts, &form),
        };
        if let Some(model) = called.model.clone().or_else(|| default_model(called.endpoint, &asked)) {
            asked.model = model;
        }
        if asked.model.is_empty() {
            return refused(&Fault::NoModel, parts, &form);
        }
        let judged = credential::check(called, dialect, &parts.headers);
        let framing = framing(called.endpoint, &asked, parts.uri.query());
        // For benchmarks: nothing else is looked at, and a body may be the model's name alone.
        if asked.behaviour() == Behaviour::Instant
            && framing.is_none()
            && judged.is_ok()
            && !called.endpoint.free()
            && let Some(body) = called.endpoint.format().and_then(wire::instant)
        {
            self.seen.record(asked.name(), visit(parts, Some(hash), Vec::new()));
            return Reaction::Answer(typed(StatusCode::OK, wire::JSON, Payload::whole(body)));
        }
        let judged = judged.and_then(|()| complete(called, &asked, &form));
        let once = parts.headers.get("x-request-id").cloned();
        self.seen.record(asked.name(), visit(parts, Some(hash), form.iter().map(seen).collect()));
        let hash_hex = hex(&hash);
        let files = form.iter().filter(|part| part.filename.is_some());
        let body = Body {
            bytes: bytes.len(),
            hash_hex: &hash_hex,
            files: files.clone().map(|_| 1).sum(),
            file_bytes: files.map(|part| part.bytes.len()).sum(),
        };
        let call = Call { called, dialect, asked: &asked, framing, body };
        match judged {
            // Boxed, so that what is instant is small.
            Ok(()) => Box::pin(self.behave(&call, once.as_ref())).await,
            Err(fault) => Reaction::Answer(call.signed(call.refused(&fault))),
        }
    }

    /// `once` is the caller's id of the request.
    async fn behave(&self, call: &Call<'_>, once: Option<&HeaderValue>) -> Reaction {
        let behaviour = call.asked.behaviour();
        if let Some(fault) = behaviour.fault() {
            return Reaction::Answer(call.signed(call.refused(&fault)));
        }
        match behaviour {
            Behaviour::Slow => tokio::time::sleep(self.options.slow).await,
            Behaviour::Hang => {
                tokio::time::sleep(self.options.long_for).await;
                return Reaction::Raw(Raw::new(Trick::Close, Bytes::new(), wire::JSON, &self.options));
            }
            Behaviour::Trick(trick) => {
                let Whole { kind, bytes } = wire::whole(&call.answer(self));
                return Reaction::Raw(Raw::new(trick, bytes, kind, &self.options));
            }
            Behaviour::Flaky { times } if self.flaky.fails(format!("{} {once:?}", call.asked.name()), times) => {
                return Reaction::Answer(call.signed(call.refused(&Fault::unavailable())));
            }
            _ => {}
        }
        Reaction::Answer(call.signed(self.say(call)))
    }

    fn say(&self, call: &Call<'_>) -> Response<Payload> {
        let behaviour = call.asked.behaviour();
        let answer = call.answer(self);
        let mut said = match (behaviour, call.framing) {
            (Behaviour::Html(status), _) => {
                typed(status, "text/html; charset=utf-8", Payload::whole(Bytes::from_static(HTML)))
            }
            (Behaviour::Empty, _) => typed(StatusCode::OK, wire::JSON, Payload::whole(Bytes::new())),
            (_, Some(framing)) => self.stream(answer, framing, behaviour),
            (_, None) => self.whole(&answer, behaviour),
        };
        if let Behaviour::Status { status, .. } = behaviour {
            *said.status_mut() = status;
        }
        if let Behaviour::Headers(count) = behaviour {
            for at in 0..count {
                let Ok(name) = HeaderName::try_from(format!("x-mock-{at}")) else { continue };
                said.headers_mut().insert(name, HeaderValue::from_static("one header of many"));
            }
        }
        said
    }

    fn stream(&self, answer: Answer, framing: Framing, behaviour: Behaviour) -> Response<Payload> {
        let kind = match framing {
            Framing::Events if answer.endpoint == Endpoint::StreamGenerateContent => "text/event-stream",
            Framing::Events => "text/event-stream; charset=utf-8",
            Framing::Array => "application/json; charset=UTF-8",
        };
        let (pieces, pace) = (answer.content.text().pieces(), behaviour.pace(&self.options));
        let script = Script::new(answer, framing);
        // Of a short stream the half is less than that.
        let cut_in = CUT_AFTER + pieces / 2;
        let stream = match behaviour {
            Behaviour::Damaged(damage) => Payload::damaged(Damaged::new(script, damage), pace),
            Behaviour::Cut => Payload::events(script, pace).cut(cut_in, pace),
            Behaviour::Stall => Payload::events(script, pace).cut(cut_in, self.options.long_for),
            _ => Payload::events(script, pace),
        };
        let mut answer = typed(StatusCode::OK, kind, stream);
        answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer
    }

    fn whole(&self, answer: &Answer, behaviour: Behaviour) -> Response<Payload> {
        let Whole { kind, bytes } = wire::whole(answer);
        let payload = match behaviour {
            Behaviour::Cut => Payload::halved(bytes, self.options.pace),
            Behaviour::Stall => Payload::halved(bytes, self.options.long_for),
            Behaviour::Long => Payload::trickled(bytes, self.options.long_pace, answer.content.text().pieces()),
            Behaviour::Damaged(Damage::Bytewise) => Payload::chunked(bytes, 1),
            Behaviour::Damaged(damage) => Payload::whole(damage.whole(&bytes)),
            _ if kind.starts_with("audio/") => Payload::chunked(bytes, SOUND_PIECE_BYTES),
            _ => Payload::whole(bytes),
        };
        typed(StatusCode::OK, kind, payload)
    }
}

impl Call<'_> {
    fn answer(&self, mock: &Mock) -> Answer {
        Answer::to(self.asked, self.called.endpoint, self.body, &mock.options)
    }

    /// Google's errors stand in an array where the answer would.
    fn refused(&self, fault: &Fault) -> Response<Payload> {
        match self.framing {
            Some(Framing::Array) => fault.answer_in_array(),
            Some(Framing::Events) | None => fault.answer(self.dialect, self.body.id()),
        }
    }

    fn signed(&self, mut answer: Response<Payload>) -> Response<Payload> {
        let is_azure = self.dialect == Dialect::OpenAi && !self.called.is_verbatim();
        sign(answer.headers_mut(), self.dialect, is_azure, self.body.id());
        answer
    }
}

/// The parts of a form; `None` where the body is JSON.
fn parts_of<'a>(endpoint: Endpoint, headers: &HeaderMap, body: &'a Bytes) -> Result<Option<Vec<Part<'a>>>, Fault> {
    let value = |name| headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
    let refused = |name| Err(Fault::ContentType(String::from_utf8_lossy(value(name)).into_owned()));
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
    // Nobody who says nothing is misunderstood.
    if takes_json && (essence.is_empty() || essence.eq_ignore_ascii_case(wire::JSON.as_bytes())) {
        return Ok(None);
    }
    if takes_form && essence.eq_ignore_ascii_case(FORM.as_bytes()) {
        let kind = String::from_utf8_lossy(kind);
        return form::read(&kind, body).map(Some).map_err(|why| Fault::Unreadable(why.to_string()));
    }
    refused(CONTENT_TYPE)
}

/// What pictures and judgements are made with where nobody says.
fn default_model(endpoint: Endpoint, asked: &Asked<'_>) -> Option<std::borrow::Cow<'static, str>> {
    let model = match endpoint {
        Endpoint::ImagesGenerations | Endpoint::ImagesEdits => "gpt-image-1",
        Endpoint::Moderations => "omni-moderation-latest",
        _ => return None,
    };
    asked.model.is_empty().then(|| model.into())
}

/// Refuses what lacks the one thing that an endpoint works on. Conversations are not looked at.
fn complete(called: &Called<'_>, asked: &Asked<'_>, form: &[Part<'_>]) -> Result<(), Fault> {
    let has_file = form.iter().any(|part| part.filename.is_some());
    let missing = match called.endpoint {
        Endpoint::AudioTranscriptions | Endpoint::AudioTranslations if !has_file => "file",
        Endpoint::ImagesEdits if !form.is_empty() && !has_file => "image",
        Endpoint::Embeddings | Endpoint::Moderations | Endpoint::AudioSpeech if !asked.has_input() => "input",
        Endpoint::GenerateContent | Endpoint::StreamGenerateContent if !asked.has_input() => "contents",
        Endpoint::EmbedContent if !asked.has_input() => "content",
        Endpoint::BatchEmbedContents if !asked.has_input() => "requests",
        _ => return Ok(()),
    };
    Err(Fault::Missing(missing))
}

/// How the answer is streamed, if it is.
fn framing(endpoint: Endpoint, asked: &Asked<'_>, query: Option<&str>) -> Option<Framing> {
    let is_streamed = match endpoint {
        Endpoint::StreamGenerateContent => {
            let is_sse = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
            return Some(if is_sse { Framing::Events } else { Framing::Array });
        }
        Endpoint::ChatCompletions
        | Endpoint::Completions
        | Endpoint::Responses
        | Endpoint::Messages
        | Endpoint::ImagesGenerations
        | Endpoint::ImagesEdits => asked.streamed(),
        Endpoint::AudioTranscriptions => asked.streamed() && !wire::transcription::is_by_the_second(&asked.model),
        Endpoint::AudioSpeech => asked.wants_speech_events(),
        Endpoint::CountTokens
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
    is_streamed.then_some(Framing::Events)
}

fn seen(part: &Part<'_>) -> SeenPart {
    SeenPart {
        name: part.name.clone(),
        filename: part.filename.clone(),
        content_type: part.content_type.clone(),
        bytes: part.bytes.len(),
        sha256: hex(&sha256(part.bytes)),
    }
}
