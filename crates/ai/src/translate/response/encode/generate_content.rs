//! Gemini's `generateContent`: the chunks of a stream, or one whole response.
//!
//! Each part of a chunk is whole: a call is written when it is complete. The last chunk has the finish reason and the usage.
//! Google's SDKs fail at comments, and leave a response with a chunk without parts out of their history.

mod error;

use super::call::ClientCall;
use super::event_stream::put;
use super::identity::Identity;
use super::{ClientBlock, ClientEvent, usage};
use crate::translate::event::{Finish, ProviderFailure, StopCause};
use crate::translate::object_writer::{ObjectWriter, list};
use crate::translate::{arguments, signature};
pub(in crate::translate::response) use error::RetryDelay;

/// Writes a response of Gemini, as a stream or as a whole body.
#[derive(Debug)]
pub(super) struct GenerateContentEncoder {
    id: String,
    request_id: String,
    model: String,
    pub(super) streamed: bool,
    /// Whether a stream is a JSON array.
    is_array: bool,
    /// Whether the array has an element.
    has_element: bool,
    open: Option<OpenBlock>,
    /// The parts, as far as they are not streamed.
    parts: Vec<String>,
    pub(super) retry_delay: RetryDelay,
}

/// The block that is open, and its text as far as it is not streamed.
#[derive(Debug)]
struct OpenBlock {
    block: ClientBlock,
    text: String,
}

impl GenerateContentEncoder {
    /// Creates an encoder of a response by `model`.
    pub(super) fn new(identity: &Identity, model: &str, streamed: bool, is_array: bool) -> Self {
        Self {
            id: identity.response(""),
            request_id: identity.request_id.clone(),
            model: model.to_owned(),
            streamed,
            is_array,
            has_element: false,
            open: None,
            parts: Vec::new(),
            retry_delay: RetryDelay::default(),
        }
    }

    /// Returns how many bytes of the open block are held.
    pub(super) const fn held_bytes(&self) -> usize {
        match &self.open {
            Some(open) => open.text.len(),
            None => 0,
        }
    }

    /// Writes an event as the client reads it.
    pub(super) fn write(&mut self, event: ClientEvent, out: &mut Vec<u8>) {
        match event {
            ClientEvent::Start | ClientEvent::Alive => {}
            ClientEvent::Open(block) => self.open = Some(OpenBlock { block, text: String::new() }),
            ClientEvent::Delta(text) => self.add(&text, out),
            ClientEvent::Close(_) => self.close(out),
            ClientEvent::Image(image) => {
                let data = ObjectWriter::new().with("mimeType", &image.media_type).with("data", &image.data).end();
                self.put_part(ObjectWriter::new().with_raw("inlineData", &data).end(), out);
            }
            ClientEvent::End(finish) => self.end(&finish, out),
            ClientEvent::Failure(failure) => self.fail(&failure, out),
        }
    }

    fn add(&mut self, text: &str, out: &mut Vec<u8>) {
        let Some(open) = &mut self.open else { return };
        if !self.streamed || matches!(open.block, ClientBlock::Call(_)) {
            open.text.push_str(text);
            return;
        }
        let part = text_part(&open.block, text);
        self.chunk(&list(&[part]), out);
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(OpenBlock { block, text }) = self.open.take() else { return };
        let part = match &block {
            ClientBlock::Call(call) => call_part(call, &text),
            ClientBlock::Text | ClientBlock::Refusal | ClientBlock::Reasoning if text.is_empty() => return,
            ClientBlock::Text | ClientBlock::Refusal | ClientBlock::Reasoning => text_part(&block, &text),
        };
        self.put_part(part, out);
    }

    fn put_part(&mut self, part: String, out: &mut Vec<u8>) {
        if self.streamed {
            self.chunk(&list(&[part]), out);
        } else {
            self.parts.push(part);
        }
    }

    fn end(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        let (reason, message) = match &finish.stop {
            StopCause::End | StopCause::StopText(_) | StopCause::Calls => ("STOP", None),
            StopCause::Length | StopCause::Window | StopCause::Pause | StopCause::Unknown(_) => ("MAX_TOKENS", None),
            StopCause::Refused(details) => ("SAFETY", details.explanation.as_deref()),
        };
        if self.parts.is_empty() {
            self.parts.push(ObjectWriter::new().with("text", "").end());
        }
        let candidate = content(&list(&std::mem::take(&mut self.parts))).with("finishReason", reason);
        let candidate = match message {
            Some(message) => candidate.with("finishMessage", message),
            None => candidate,
        };
        let mut response = self.response(candidate);
        if let Some(usage) = &finish.usage {
            response = response.with_raw("usageMetadata", &usage::of_generate_content(usage));
        }
        let response = self.identified(response);
        if self.streamed {
            self.element(&response, out);
            self.end_array(out);
        } else {
            out.extend_from_slice(response.as_bytes());
        }
    }

    /// Google's SDK for Node recognizes only an error that is no event, and the others only an event; see [`crate::error`].
    fn fail(&mut self, failure: &ProviderFailure, out: &mut Vec<u8>) {
        let body = error::body(failure, &self.request_id, self.retry_delay);
        if self.streamed {
            self.element(&body, out);
            self.end_array(out);
        }
        if !self.streamed || !self.is_array {
            out.extend_from_slice(body.as_bytes());
        }
    }

    fn chunk(&mut self, parts: &str, out: &mut Vec<u8>) {
        let response = self.response(content(parts));
        let response = self.identified(response);
        self.element(&response, out);
    }

    fn response(&self, candidate: ObjectWriter) -> ObjectWriter {
        ObjectWriter::new().with_raw("candidates", &list(&[candidate.with_raw("index", "0").end()]))
    }

    fn identified(&self, response: ObjectWriter) -> String {
        response.with("modelVersion", &self.model).with("responseId", &self.id).end()
    }

    /// Writes an element of the stream.
    fn element(&mut self, json: &str, out: &mut Vec<u8>) {
        if !self.is_array {
            put(out, None, json);
            return;
        }
        let is_first = !std::mem::replace(&mut self.has_element, true);
        out.extend_from_slice(if is_first { b"[" } else { b",\n" });
        out.extend_from_slice(json.as_bytes());
    }

    fn end_array(&self, out: &mut Vec<u8>) {
        if self.is_array {
            out.extend_from_slice(b"]\n");
        }
    }
}

/// Begins a candidate with these parts.
fn content(parts: &str) -> ObjectWriter {
    let content = ObjectWriter::new().with_raw("parts", parts).with("role", "model").end();
    ObjectWriter::new().with_raw("content", &content)
}

fn text_part(block: &ClientBlock, text: &str) -> String {
    let part = ObjectWriter::new().with("text", text);
    if matches!(block, ClientBlock::Reasoning) { part.with("thought", &true).end() } else { part.end() }
}

fn call_part(call: &ClientCall, input: &str) -> String {
    let function = ObjectWriter::new().with("id", &call.id).with("name", &call.name);
    // Models write their arguments in lines, which would end the data of an event. They are between the values.
    let args = arguments::object(input).replace(['\n', '\r'], " ");
    let function = function.with_raw("args", &args).end();
    let part = ObjectWriter::new().with_raw("functionCall", &function);
    match &call.state {
        Some(capsule) => part.with("thoughtSignature", &signature::of_capsule(capsule)).end(),
        None => part.end(),
    }
}
