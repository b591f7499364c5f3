//! Messages: the events of a stream, or one whole message.
//!
//! A block without content is left out: a later call with it would be refused.

use super::call::ClientCall;
use super::event_stream::{put, put_comment};
use super::identity::Identity;
use super::{ClientBlock, ClientEvent, ClientState, problem, usage};
use crate::translate::arguments;
use crate::translate::event::{Finish, GeneratedImage, ProviderFailure, RefusalDetails, StopCause};
use crate::translate::object_writer::{ObjectWriter, list};

/// Longest refusal that is repeated as its explanation, in bytes.
const EXPLANATION_BYTES_MAX: usize = 4 * 1024;

/// Writes a message, as a stream or as a whole body.
#[derive(Debug)]
pub(super) struct MessagesEncoder {
    id: String,
    request_id: String,
    model: String,
    pub(super) streamed: bool,
    has_started: bool,
    input_bytes: usize,
    output_bytes: usize,
    open: Option<OpenBlock>,
    /// The number of the next block.
    index: usize,
    /// The text in which the model refused.
    refusal: String,
    /// The blocks, as far as they are not streamed.
    content: Vec<String>,
}

/// The block that is open.
#[derive(Debug)]
struct OpenBlock {
    kind: BlockKind,
    is_written: bool,
    /// The text so far, as far as it is needed at the end.
    text: String,
}

#[derive(Debug)]
enum BlockKind {
    Text,
    Refusal,
    Reasoning,
    Call {
        call: ClientCall,
        /// Whether fragments are written as they arrive: they begin as an object does. `None` before the first character.
        is_object: Option<bool>,
    },
}

impl MessagesEncoder {
    /// Creates an encoder of a response by `model` to a request of this length.
    pub(super) fn new(identity: &Identity, model: &str, streamed: bool, input_bytes: usize) -> Self {
        Self {
            id: identity.response("msg_"),
            request_id: identity.request_id.clone(),
            model: model.to_owned(),
            streamed,
            has_started: false,
            input_bytes,
            output_bytes: 0,
            open: None,
            index: 0,
            refusal: String::new(),
            content: Vec::new(),
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
            ClientEvent::Start => self.start(out),
            ClientEvent::Alive if self.has_started => self.event("ping", |event| event, out),
            // Clients may take any event before the start for an error.
            ClientEvent::Alive => put_comment(self.streamed, out),
            ClientEvent::Open(block) => self.open(block, out),
            ClientEvent::Delta(text) => self.add(&text, out),
            ClientEvent::Close(state) => self.close(state, out),
            ClientEvent::Image(image) => self.image(&image, out),
            ClientEvent::End(finish) => self.end(&finish, out),
            ClientEvent::Failure(failure) => self.fail(&failure, out),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        self.has_started = true;
        let usage = usage::of_messages(&usage::estimate(self.input_bytes, 0));
        let message = self.message("[]").with_raw("stop_reason", "null").with_raw("stop_sequence", "null");
        let message = message.with_raw("stop_details", "null");
        self.event("message_start", |event| event.with_raw("message", &message.with_raw("usage", &usage).end()), out);
    }

    fn message(&self, content: &str) -> ObjectWriter {
        let message = ObjectWriter::new().with("id", &self.id).with("type", "message").with("role", "assistant");
        message.with("model", &self.model).with_raw("container", "null").with_raw("content", content)
    }

    fn open(&mut self, block: ClientBlock, out: &mut Vec<u8>) {
        let kind = match block {
            ClientBlock::Text => BlockKind::Text,
            ClientBlock::Refusal => BlockKind::Refusal,
            ClientBlock::Reasoning => BlockKind::Reasoning,
            ClientBlock::Call(call) => {
                let block = ObjectWriter::of_type("tool_use").with("id", &call.id).with("name", &call.name);
                self.block_start(&block.with_raw("input", "{}").end(), out);
                BlockKind::Call { call, is_object: None }
            }
        };
        self.open = Some(OpenBlock { kind, is_written: false, text: String::new() });
    }

    fn add(&mut self, text: &str, out: &mut Vec<u8>) {
        let Some(mut open) = self.open.take() else { return };
        self.output_bytes = self.output_bytes.saturating_add(text.len());
        if matches!(open.kind, BlockKind::Refusal) && self.refusal.len() < EXPLANATION_BYTES_MAX {
            self.refusal.push_str(text);
        }
        let delta = match &mut open.kind {
            BlockKind::Text | BlockKind::Refusal => {
                if !open.is_written {
                    self.block_start(&text_block(""), out);
                }
                ObjectWriter::of_type("text_delta").with("text", text)
            }
            BlockKind::Reasoning => {
                if !open.is_written {
                    let block = ObjectWriter::of_type("thinking").with("thinking", "").with("signature", "");
                    self.block_start(&block.end(), out);
                }
                ObjectWriter::of_type("thinking_delta").with("thinking", text)
            }
            BlockKind::Call { is_object, .. } => {
                open.text.push_str(text);
                if is_object.is_none() {
                    *is_object = text.trim_start().chars().next().map(|first| first == '{');
                }
                if *is_object != Some(true) || !self.streamed {
                    self.open = Some(open);
                    return;
                }
                ObjectWriter::of_type("input_json_delta").with("partial_json", &std::mem::take(&mut open.text))
            }
        };
        open.is_written = true;
        if self.streamed {
            self.block_delta(&delta.end(), out);
        } else {
            open.text.push_str(text);
        }
        self.open = Some(open);
    }

    fn close(&mut self, state: Option<ClientState>, out: &mut Vec<u8>) {
        let Some(OpenBlock { kind, is_written, text }) = self.open.take() else { return };
        let block = match kind {
            BlockKind::Text | BlockKind::Refusal if !is_written => return,
            BlockKind::Reasoning if !is_written => {
                // State without text: the block is whole at its start.
                let Some(state) = state.filter(|state| !state.is_empty) else { return };
                let block = ObjectWriter::of_type("redacted_thinking").with("data", &state.capsule).end();
                self.block_start(&block, out);
                block
            }
            BlockKind::Text | BlockKind::Refusal => text_block(&text),
            BlockKind::Reasoning => {
                let signature = state.map(|state| state.capsule).unwrap_or_default();
                self.block_delta(&ObjectWriter::of_type("signature_delta").with("signature", &signature).end(), out);
                ObjectWriter::of_type("thinking").with("thinking", &text).with("signature", &signature).end()
            }
            BlockKind::Call { call, .. } => {
                let input = arguments::object(&text);
                if !is_written {
                    self.block_delta(
                        &ObjectWriter::of_type("input_json_delta").with("partial_json", &input).end(),
                        out,
                    );
                }
                let block = ObjectWriter::of_type("tool_use").with("id", &call.id).with("name", &call.name);
                block.with_raw("input", &input).end()
            }
        };
        self.block_end(block, out);
    }

    /// Writes an image as a block that is whole at its start.
    fn image(&mut self, image: &GeneratedImage, out: &mut Vec<u8>) {
        let source = ObjectWriter::of_type("base64").with("media_type", &image.media_type).with("data", &image.data);
        let block = ObjectWriter::of_type("image").with_raw("source", &source.end()).end();
        self.block_start(&block, out);
        self.block_end(block, out);
    }

    /// Ends a block, whose whole form a body has.
    fn block_end(&mut self, block: String, out: &mut Vec<u8>) {
        if self.streamed {
            let index = self.index;
            self.event("content_block_stop", |event| event.with("index", &index), out);
        } else {
            self.content.push(block);
        }
        self.index += 1;
    }

    fn end(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        let (reason, text) = match &finish.stop {
            StopCause::End => ("end_turn", None),
            StopCause::StopText(text) => ("stop_sequence", Some(text)),
            StopCause::Length | StopCause::Unknown(_) => ("max_tokens", None),
            StopCause::Window => ("model_context_window_exceeded", None),
            StopCause::Calls => ("tool_use", None),
            StopCause::Pause => ("pause_turn", None),
            StopCause::Refused(_) => ("refusal", None),
        };
        let usage = finish.usage.unwrap_or_else(|| usage::estimate(self.input_bytes, self.output_bytes));
        let usage = usage::of_messages(&usage);
        let stopped = |object: ObjectWriter| {
            let object = object.with("stop_reason", reason).with("stop_sequence", &text);
            match &finish.stop {
                StopCause::Refused(details) => object.with_raw("stop_details", &self.stop_details(details)),
                StopCause::End
                | StopCause::StopText(_)
                | StopCause::Length
                | StopCause::Window
                | StopCause::Calls
                | StopCause::Pause
                | StopCause::Unknown(_) => object.with_raw("stop_details", "null"),
            }
        };
        if self.streamed {
            let delta = stopped(ObjectWriter::new().with_raw("container", "null")).end();
            self.event("message_delta", |event| event.with_raw("delta", &delta).with_raw("usage", &usage), out);
            self.event("message_stop", |event| event, out);
        } else {
            let body = stopped(self.message(&list(&self.content))).with_raw("usage", &usage).end();
            out.extend_from_slice(body.as_bytes());
        }
    }

    fn stop_details(&self, details: &RefusalDetails) -> String {
        let said = Some(&self.refusal).filter(|refusal| !refusal.is_empty());
        let explanation = details.explanation.as_ref().or(said);
        ObjectWriter::of_type("refusal").with("category", &details.category).with("explanation", &explanation).end()
    }

    fn fail(&self, failure: &ProviderFailure, out: &mut Vec<u8>) {
        let body = problem::of_anthropic(failure, &self.request_id);
        if self.streamed {
            put(out, Some("error"), &body);
        } else {
            out.extend_from_slice(body.as_bytes());
        }
    }

    fn block_start(&self, block: &str, out: &mut Vec<u8>) {
        let index = self.index;
        self.event("content_block_start", |event| event.with("index", &index).with_raw("content_block", block), out);
    }

    fn block_delta(&self, delta: &str, out: &mut Vec<u8>) {
        let index = self.index;
        self.event("content_block_delta", |event| event.with("index", &index).with_raw("delta", delta), out);
    }

    fn event(&self, name: &str, fields: impl FnOnce(ObjectWriter) -> ObjectWriter, out: &mut Vec<u8>) {
        if self.streamed {
            put(out, Some(name), &fields(ObjectWriter::of_type(name)).end());
        }
    }
}

/// Returns a block of text without citations.
fn text_block(text: &str) -> String {
    ObjectWriter::of_type("text").with("text", text).with_raw("citations", "null").end()
}
