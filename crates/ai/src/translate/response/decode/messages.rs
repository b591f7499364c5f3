//! Messages: the events of a stream, or one whole message.

mod fields;

use serde_json::json;
use serde_json::value::RawValue;

use super::order::BlockOrder;
use super::part::raw;
use super::usage::MessageUsage;
use crate::streams::opening::is_error;
use crate::translate::event::{Block, Finish, NeutralEvent, ProviderFailure, RefusalDetails, StopCause};
use crate::translate::response::failure;
use fields::{ContentFields, MessageBody, MessageEvent, StopFields};

/// Maximum size of the thinking that is kept as state, in bytes. A capsule cannot contain more.
const THINKING_BYTES_MAX: usize = 256 * 1024;
/// Maximum of blocks that have begun and not ended.
const OPEN_BLOCKS_MAX: usize = 256;
/// Maximum size of the state of several open blocks, in bytes.
const OPEN_BYTES_MAX: usize = 1024 * 1024;

/// The state of one response.
#[derive(Debug, Default)]
pub(super) struct MessagesDecoder {
    has_started: bool,
    order: BlockOrder<u64>,
    open: Vec<OpenBlock>,
    next_key: u64,
    has_calls: bool,
    stop: Option<StopFields>,
    usage: MessageUsage,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct OpenBlock {
    index: u64,
    key: u64,
    kind: OpenKind,
}

#[derive(Debug)]
enum OpenKind {
    Text,
    /// Thinking, and its signature.
    Thinking {
        thinking: String,
        signature: String,
    },
    /// A whole block of state.
    Redacted(Box<RawValue>),
    /// The input within the start of the call; it counts if no fragment follows.
    Call(Option<Box<RawValue>>),
}

impl OpenBlock {
    /// Returns how many bytes are kept until the block ends.
    fn bytes(&self) -> usize {
        match &self.kind {
            OpenKind::Text => 0,
            OpenKind::Thinking { thinking, signature } => thinking.len().saturating_add(signature.len()),
            OpenKind::Redacted(json) => json.get().len(),
            OpenKind::Call(input) => input.as_ref().map_or(0, |input| input.get().len()),
        }
    }
}

impl MessagesDecoder {
    /// Reads the data of an event.
    pub(super) fn event(&mut self, data: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let invalid = |_| failure::unreadable("an event is invalid");
        let event: MessageEvent<'_> = serde_json::from_slice(data).map_err(invalid)?;
        match event.kind.as_ref() {
            "error" => return Err(failure::of_event(data)),
            "message_start" => {
                self.start(out);
                let message: Option<MessageBody<'_>> = event.message.map(raw).transpose()?;
                self.read_usage(message.and_then(|message| message.usage));
            }
            "content_block_start" => {
                self.start(out);
                if let Some(block) = event.content_block {
                    self.begin(event.index, block, out)?;
                }
            }
            "content_block_delta" => {
                if let Some(delta) = event.delta {
                    self.delta(event.index, raw(delta)?, out)?;
                }
            }
            "content_block_stop" => self.close(event.index, out)?,
            "message_delta" => {
                self.read_usage(event.usage);
                let stop: StopFields = event.delta.map(raw).transpose()?.unwrap_or_default();
                if stop.stop_reason.is_some() {
                    self.stop = Some(stop);
                }
            }
            "ping" => out.push(NeutralEvent::Alive),
            "message_stop" if self.stop.is_none() => return Err(failure::cut()),
            "message_stop" => return self.finish(out),
            _ => {}
        }
        Ok(())
    }

    /// Reads a whole message.
    pub(super) fn body(&mut self, body: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let invalid = |_| failure::unreadable("the body is no message");
        let message: MessageBody<'_> = serde_json::from_slice(body).map_err(invalid)?;
        if message.kind == "error" || message.error.is_some_and(is_error) {
            return Err(failure::of_event(body));
        }
        let Some(content) = message.content else {
            return Err(failure::unreadable("the body is no message"));
        };
        let Some(_) = &message.stop_reason else {
            return Err(failure::unreadable("the body is no message"));
        };
        self.start(out);
        for (index, block) in (0..).zip(content) {
            self.begin(index, block, out)?;
            self.close(index, out)?;
        }
        self.read_usage(message.usage);
        self.stop = Some(StopFields {
            stop_reason: message.stop_reason,
            stop_sequence: message.stop_sequence,
            stop_details: message.stop_details,
        });
        self.finish(out)
    }

    /// Returns how many bytes are held until the open block is complete.
    pub(super) fn held_bytes(&self) -> usize {
        self.order.held_bytes().saturating_add(self.open_bytes())
    }

    fn open_bytes(&self) -> usize {
        self.open.iter().map(OpenBlock::bytes).sum()
    }

    fn check_open(&self) -> Result<(), ProviderFailure> {
        if self.open.len() > 1 && self.open_bytes() > OPEN_BYTES_MAX {
            return Err(failure::unreadable("several open blocks are longer than 1 MiB"));
        }
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<NeutralEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(NeutralEvent::Start);
        }
    }

    fn read_usage(&mut self, json: Option<&RawValue>) {
        if let Some(json) = json {
            self.usage.read(json.get());
        }
    }

    fn begin(&mut self, index: u64, json: &RawValue, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let fields: ContentFields<'_> = raw(json)?;
        let text = fields.text.or(fields.thinking).unwrap_or_default();
        let (block, kind) = match fields.kind.as_ref() {
            "text" => (Block::Text, OpenKind::Text),
            "thinking" => {
                let signature = fields.signature.unwrap_or_default();
                (Block::Reasoning, OpenKind::Thinking { thinking: text.clone(), signature })
            }
            "redacted_thinking" => (Block::Reasoning, OpenKind::Redacted(json.to_owned())),
            "tool_use" => {
                let id = fields.id.unwrap_or_default();
                let name = fields.name.unwrap_or_default();
                if name.is_empty() {
                    return Err(failure::unreadable("a tool call has no name"));
                }
                self.has_calls = true;
                let input = fields.input.filter(|input| !matches!(input.get(), "{}" | "null"));
                (Block::Call { id, name }, OpenKind::Call(input.map(ToOwned::to_owned)))
            }
            // Tools that the provider runs were not requested.
            _ => return Ok(()),
        };
        if self.open.len() >= OPEN_BLOCKS_MAX {
            return Err(failure::unreadable("too many blocks are open"));
        }
        let key = self.next_key;
        self.next_key = key.saturating_add(1);
        self.order.open(key, block, out)?;
        if !matches!(kind, OpenKind::Call(_)) {
            self.order.add(key, text, out)?;
        }
        self.open.push(OpenBlock { index, key, kind });
        self.check_open()
    }

    fn delta(
        &mut self,
        index: u64,
        delta: ContentFields<'_>,
        out: &mut Vec<NeutralEvent>,
    ) -> Result<(), ProviderFailure> {
        let Some(open) = self.open.iter_mut().rfind(|open| open.index == index) else { return Ok(()) };
        let text = match (delta.kind.as_ref(), &mut open.kind) {
            ("text_delta", OpenKind::Text) => delta.text,
            ("thinking_delta", OpenKind::Thinking { thinking, .. }) => {
                let room = THINKING_BYTES_MAX.saturating_sub(thinking.len());
                // Thinking beyond the maximum makes the state too long, so that it is not given to the client.
                let kept =
                    delta.thinking.as_deref().map(|text| text.get(..text.floor_char_boundary(room)).unwrap_or(text));
                thinking.push_str(kept.unwrap_or_default());
                delta.thinking
            }
            ("signature_delta", OpenKind::Thinking { signature, .. }) => {
                *signature = delta.signature.unwrap_or_default();
                None
            }
            ("input_json_delta", OpenKind::Call(input)) => {
                let json = delta.partial_json.filter(|json| !json.is_empty());
                if json.is_some() {
                    *input = None;
                }
                json
            }
            _ => None,
        };
        self.order.add(open.key, text.unwrap_or_default(), out)?;
        self.check_open()
    }

    fn close(&mut self, index: u64, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let Some(at) = self.open.iter().rposition(|open| open.index == index) else { return Ok(()) };
        let OpenBlock { key, kind, .. } = self.open.remove(at);
        let state = match kind {
            OpenKind::Text => None,
            OpenKind::Thinking { thinking, signature } => {
                let block = json!({"type": "thinking", "thinking": thinking, "signature": signature});
                let is_signed = !signature.is_empty() && thinking.len() < THINKING_BYTES_MAX;
                is_signed.then(|| serde_json::value::to_raw_value(&block).ok()).flatten()
            }
            OpenKind::Redacted(block) => Some(block),
            OpenKind::Call(input) => {
                self.order.add(key, input.map(|input| input.get().to_owned()).unwrap_or_default(), out)?;
                None
            }
        };
        self.order.close(key, state, out);
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        self.start(out);
        while let Some(index) = self.open.first().map(|open| open.index) {
            self.close(index, out)?;
        }
        self.order.close_all(out);
        let stop = self.stop.take().unwrap_or_default();
        let reason = stop.stop_reason.as_deref();
        if let Some(reason) = reason.filter(|reason| reason.starts_with("malformed_")) {
            return Err(failure::unfinished(reason));
        }
        let stop = match reason {
            Some("refusal") => {
                let details = stop.stop_details.unwrap_or_default();
                StopCause::Refused(RefusalDetails { category: details.category, explanation: details.explanation })
            }
            Some("end_turn" | "stop_sequence" | "tool_use") | None if self.has_calls => StopCause::Calls,
            Some("end_turn" | "tool_use") | None => StopCause::End,
            Some("stop_sequence") => stop.stop_sequence.map_or(StopCause::End, StopCause::StopText),
            Some("model_context_window_exceeded") => StopCause::Window,
            Some("pause_turn") => StopCause::Pause,
            Some("max_tokens") => StopCause::Length,
            Some(word) => StopCause::Unknown(word.to_owned()),
        };
        out.push(NeutralEvent::End(Finish { stop, usage: self.usage.usage() }));
        Ok(())
    }
}
