//! Chat Completions: chunks of a stream, or one whole completion.
//!
//! Providers differ in details. The index of a call may be missing, or the same for two calls. Arguments arrive in
//! fragments, whole, or as an object. The end of a block is not marked.

mod arguments;
mod chunk;
mod details;

use serde_json::value::RawValue;

use super::order::BlockOrder;
use super::part::DONE;
use super::usage;
use crate::streams::opening::{is_error, is_error_object};
use crate::translate::call_ids::call_id;
use crate::translate::event::{Block, Finish, NeutralEvent, ProviderFailure, RefusalDetails, StopCause, TokenUsage};
use crate::translate::response::failure;
use arguments::ArgumentsEnd;
use chunk::{CallDelta, Choice, Chunk, Delta, Prose, text_of};
use details::ReasoningDetails;

/// Maximum of calls in one response.
const CALLS_MAX: usize = 1024;
/// Finish reasons of OpenRouter, DeepSeek and Gemini that report an error.
const FAILURES: [&str; 6] = [
    "error",
    "insufficient_system_resource",
    "missing_thought_signature",
    "other",
    "too_many_tool_calls",
    "unexpected_tool_call",
];

/// Finish reasons of a response that is complete. Those but `stop` are of Together, text-generation-inference and others.
const ENDS: [&str; 6] = ["stop", "eos", "eos_token", "end", "end_turn", "stop_sequence"];
/// Finish reasons of calls.
const CALLS: [&str; 2] = ["tool_calls", "function_call"];

/// The state of one response.
#[derive(Debug, Default)]
pub(super) struct ChatDecoder {
    has_started: bool,
    is_whole: bool,
    order: BlockOrder<u64>,
    /// The key of the next block.
    next_key: u64,
    /// The last block of text and its key, unless it is complete.
    prose: Option<(Prose, u64)>,
    calls: Vec<Call>,
    /// The state of the reasoning that no block has yet.
    details: ReasoningDetails,
    has_refusal: bool,
    finish: Option<String>,
    /// The text that ended the response, as vLLM reports it.
    stop_text: Option<String>,
    usage: Option<TokenUsage>,
}

/// A tool call that has begun.
#[derive(Debug)]
struct Call {
    index: Option<u64>,
    id: String,
    name: String,
    /// The key of its block, which begins with its first arguments: a call without any would hold up all that follows.
    key: Option<u64>,
    end: ArgumentsEnd,
    is_closed: bool,
}

impl ChatDecoder {
    /// Reads the data of an event.
    pub(super) fn event(&mut self, data: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        if data.trim_ascii() == DONE {
            return self.finish(out);
        }
        let reason = if self.is_whole { "the body is no completion" } else { "a chunk is invalid" };
        let chunk: Chunk<'_> = serde_json::from_slice(data).map_err(|_| failure::unreadable(reason))?;
        if chunk.error.is_some_and(is_error) || (chunk.choices.is_none() && is_error_object(chunk.object)) {
            return Err(failure::of_event(data));
        }
        self.start(out);
        self.read_usage(chunk.usage);
        for choice in chunk.choices.into_iter().flatten().filter(|choice| choice.index.unwrap_or(0) == 0) {
            self.choice(choice, out)?;
        }
        Ok(())
    }

    /// Reads a whole body.
    pub(super) fn body(&mut self, body: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        self.is_whole = true;
        self.event(body, out)?;
        self.end(out)
    }

    /// Ends the stream at the end of its bytes. Some providers do not send `[DONE]`.
    pub(super) fn end(&mut self, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        if self.finish.is_none() {
            return Err(failure::cut());
        }
        self.finish(out)
    }

    /// Returns how many bytes are held until the open block is complete.
    pub(super) const fn held_bytes(&self) -> usize {
        self.order.held_bytes().saturating_add(self.details.bytes())
    }

    fn start(&mut self, out: &mut Vec<NeutralEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(NeutralEvent::Start);
        }
    }

    fn read_usage(&mut self, json: Option<&RawValue>) {
        self.usage = json.and_then(|json| usage::of_chat(json.get())).or(self.usage);
    }

    fn choice(&mut self, choice: Choice<'_>, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        self.read_usage(choice.usage);
        if let Some(delta) = choice.delta.or(choice.message) {
            self.delta(delta, out)?;
        }
        let Some(mut finish) = choice.finish_reason.filter(|reason| !reason.is_empty()) else { return Ok(()) };
        finish.make_ascii_lowercase();
        if FAILURES.contains(&finish.as_str()) || finish.starts_with("malformed_") {
            return Err(failure::unfinished(&finish));
        }
        self.stop_text = choice.stop_reason.and_then(|text| serde_json::from_str(text.get()).ok());
        self.finish = Some(finish);
        Ok(())
    }

    fn delta(&mut self, delta: Delta<'_>, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let reasoning = delta.reasoning_content.or(delta.reasoning).map(|json| text_of(json, Prose::Reasoning));
        delta.reasoning_details.into_iter().flatten().for_each(|detail| self.details.add(detail));
        let content = delta.content.map(|json| text_of(json, Prose::Text));
        let texts = reasoning.into_iter().chain(content).flatten();
        for (prose, text) in texts.chain(delta.refusal.map(|refusal| (Prose::Refusal, refusal))) {
            self.text(prose, text, out)?;
        }
        for call in delta.tool_calls.into_iter().flatten() {
            self.call(call, out)?;
        }
        Ok(())
    }

    fn text(&mut self, prose: Prose, text: String, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        if text.is_empty() {
            return Ok(());
        }
        let key = match self.prose {
            Some((open, key)) if open == prose => key,
            Some(_) | None => {
                self.close_prose(None, out);
                self.close_complete_calls(out);
                let key = self.open(prose.block(), out)?;
                self.prose = Some((prose, key));
                key
            }
        };
        self.has_refusal |= prose == Prose::Refusal;
        self.order.add(key, text, out)?;
        Ok(())
    }

    fn call(&mut self, delta: CallDelta<'_>, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let function = delta.function.unwrap_or_default();
        let id = delta.id.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let text = match function.arguments.map(|json| (json, serde_json::from_str::<String>(json.get()))) {
            Some((_, Ok(text))) => text,
            Some((json, Err(_))) => json.get().to_owned(),
            None => String::new(),
        };
        let at = match self.continued(delta.index, &id, &name, &text) {
            Some(at) => at,
            None => {
                self.begin(Call::new(delta.index, id, name), delta.extra_content, out)?;
                self.calls.len().saturating_sub(1)
            }
        };
        if self.is_whole || !text.is_empty() {
            self.open_call(at, out)?;
        }
        let Some(call) = self.calls.get_mut(at) else { return Ok(()) };
        call.end.read(&text);
        if let Some(key) = call.key {
            self.order.add(key, text, out)?;
        }
        Ok(())
    }

    /// Begins the block of a call, by its place in the list.
    fn open_call(&mut self, at: usize, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let Some(Call { id, name, key: None, .. }) = self.calls.get(at) else { return Ok(()) };
        let block = Block::Call { id: id.clone(), name: name.clone() };
        self.close_prose(None, out);
        let key = self.open(block, out)?;
        if let Some(call) = self.calls.get_mut(at) {
            call.key = Some(key);
        }
        Ok(())
    }

    /// Returns the call that a fragment with these arguments continues, by its place in the list.
    fn continued(&self, index: Option<u64>, id: &str, name: &str, arguments: &str) -> Option<usize> {
        if self.is_whole {
            return None;
        }
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None => self.calls.len().checked_sub(1)?,
        };
        let call = self.calls.get(at)?;
        let is_next = if id.is_empty() {
            !name.is_empty() && call.end.is_complete() && (index.is_none() || !arguments.trim().is_empty())
        } else {
            // Ollama writes the same index for each of several calls. Some servers write another id in each fragment.
            !name.is_empty() && id != call.id && !call.id.is_empty()
        };
        (!is_next).then_some(at)
    }

    fn begin(
        &mut self,
        call: Call,
        state: Option<&RawValue>,
        out: &mut Vec<NeutralEvent>,
    ) -> Result<(), ProviderFailure> {
        if call.name.is_empty() {
            return Err(failure::unreadable("a tool call has no name"));
        }
        if self.calls.len() >= CALLS_MAX {
            return Err(failure::unreadable("it has more than 1024 tool calls"));
        }
        self.close_complete_calls(out);
        self.state_of_details(out)?;
        if let Some(state) = state.and_then(|content| state_of(&call.id, content)) {
            if !matches!(self.prose, Some((Prose::Reasoning, _))) {
                self.close_prose(None, out);
                let key = self.open(Block::Reasoning, out)?;
                self.prose = Some((Prose::Reasoning, key));
            }
            self.close_prose(Some(state), out);
        }
        self.close_prose(None, out);
        self.calls.push(call);
        Ok(())
    }

    fn open(&mut self, block: Block, out: &mut Vec<NeutralEvent>) -> Result<u64, ProviderFailure> {
        let key = self.next_key;
        self.next_key = key.saturating_add(1);
        self.order.open(key, block, out)?;
        Ok(key)
    }

    fn close_prose(&mut self, state: Option<Box<RawValue>>, out: &mut Vec<NeutralEvent>) {
        if let Some((prose, key)) = self.prose.take() {
            let is_stateless = prose == Prose::Reasoning && state.is_none();
            let state = if is_stateless { self.details.take() } else { state };
            self.order.close(key, state, out);
        }
    }

    /// Closes the block of reasoning to which the state belongs that no block has yet; without such a block, one without text.
    fn state_of_details(&mut self, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        if self.details.is_empty() {
            return Ok(());
        }
        if !matches!(self.prose, Some((Prose::Reasoning, _))) {
            self.close_prose(None, out);
            let key = self.open(Block::Reasoning, out)?;
            self.prose = Some((Prose::Reasoning, key));
        }
        self.close_prose(None, out);
        Ok(())
    }

    /// Ends the calls whose arguments are complete: fragments of other calls may still follow.
    fn close_complete_calls(&mut self, out: &mut Vec<NeutralEvent>) {
        for call in self.calls.iter_mut().filter(|call| !call.is_closed && call.end.is_complete()) {
            call.is_closed = true;
            if let Some(key) = call.key {
                self.order.close(key, None, out);
            }
        }
    }

    /// Whether the response has text, reasoning or a call so far.
    const fn has_content(&self) -> bool {
        self.next_key > 0 || !self.calls.is_empty()
    }

    fn finish(&mut self, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        if self.finish.is_none() && !self.has_content() {
            return Err(failure::empty());
        }
        self.start(out);
        self.close_complete_calls(out);
        self.close_prose(None, out);
        self.state_of_details(out)?;
        self.order.close_all(out);
        for at in 0..self.calls.len() {
            self.open_call(at, out)?;
        }
        self.order.close_all(out);
        let has_calls = !self.calls.is_empty();
        let stop = match self.finish.as_deref() {
            Some("content_filter") => StopCause::Refused(RefusalDetails::default()),
            word if self.has_refusal && word.is_none_or(|word| ENDS.contains(&word)) => {
                StopCause::Refused(RefusalDetails::default())
            }
            Some("length") => StopCause::Length,
            // The model has not finished the arguments, whatever the provider says.
            _ if self.calls.iter().any(|call| call.end.is_within()) => StopCause::Length,
            Some(word) if !ENDS.contains(&word) && !CALLS.contains(&word) => StopCause::Unknown(word.to_owned()),
            // Some providers write `stop` after calls.
            Some(_) | None if has_calls => StopCause::Calls,
            Some(_) | None => self.stop_text.take().map_or(StopCause::End, StopCause::StopText),
        };
        out.push(NeutralEvent::End(Finish { stop, usage: self.usage }));
        Ok(())
    }
}

impl Call {
    fn new(index: Option<u64>, id: String, name: String) -> Self {
        Self { index, id, name, key: None, end: ArgumentsEnd::default(), is_closed: false }
    }
}

/// Returns the item of a capsule for the state that belongs to a call.
fn state_of(id: &str, content: &RawValue) -> Option<Box<RawValue>> {
    let id = serde_json::to_string(&call_id(id)).ok()?;
    RawValue::from_string(format!(r#"{{"call_id":{id},"extra_content":{}}}"#, content.get())).ok()
}
