//! Gemini's `generateContent`: chunks of a stream, or one whole response.
//!
//! Parts arrive in their order, and calls whole. No chunk is marked as the last one: figures of usage may follow the finish
//! reason.

mod chunk;

use serde_json::json;
use serde_json::value::RawValue;

use super::usage;
use crate::streams::opening::is_error;
use crate::translate::call_ids::UniqueCallIds;
use crate::translate::event::{
    Block, Finish, GeneratedImage, NeutralEvent, ProviderFailure, RefusalDetails, StopCause, TokenUsage,
};
use crate::translate::response::failure;
use chunk::{Candidate, FunctionCall, GeneratedChunk, GeneratedPart, InlineData};

/// Maximum of calls in one response.
const CALLS_MAX: usize = 1024;
/// Finish reasons that report an error. Those that begin with [`MALFORMED`] do too.
const FAILURES: [&str; 4] = ["MISSING_THOUGHT_SIGNATURE", "OTHER", "TOO_MANY_TOOL_CALLS", "UNEXPECTED_TOOL_CALL"];
const MALFORMED: &str = "MALFORMED_";
/// Finish reasons of filters. Those that begin with [`IMAGE`] are others.
const FILTERS: [&str; 7] =
    ["BLOCKLIST", "LANGUAGE", "MODEL_ARMOR", "PROHIBITED_CONTENT", "RECITATION", "SAFETY", "SPII"];
const IMAGE: &str = "IMAGE_";

/// The state of one response.
#[derive(Debug)]
pub(super) struct GenerateContentDecoder {
    /// Tollgate's id of the request, from which ids of calls are made.
    request_id: String,
    has_started: bool,
    /// The open block of text or reasoning. Calls are complete at once.
    open: Option<Block>,
    ids: UniqueCallIds,
    calls: usize,
    stop: Option<StopCause>,
    usage: Option<TokenUsage>,
}

impl GenerateContentDecoder {
    pub(super) fn new(request_id: &str) -> Self {
        Self {
            request_id: request_id.to_owned(),
            has_started: false,
            open: None,
            ids: UniqueCallIds::default(),
            calls: 0,
            stop: None,
            usage: None,
        }
    }

    /// Reads the data of an event.
    pub(super) fn event(&mut self, data: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let chunk: GeneratedChunk<'_> =
            serde_json::from_slice(data).map_err(|_| failure::unreadable("a chunk is invalid"))?;
        if chunk.error.is_some_and(is_error) {
            return Err(failure::of_event(data));
        }
        self.start(out);
        self.usage = chunk.usage_metadata.and_then(|json| usage::of_generate_content(json.get())).or(self.usage);
        if let Some(feedback) = chunk.prompt_feedback
            && let Some(reason) = feedback.block_reason
        {
            let own = || format!("The provider has blocked the prompt: {reason}.");
            self.stop = Some(refused(feedback.block_reason_message.unwrap_or_else(own)));
        }
        let first = |candidate: &Candidate<'_>| candidate.index.unwrap_or(0) == 0;
        chunk.candidates.into_iter().flatten().filter(first).try_for_each(|candidate| self.candidate(candidate, out))
    }

    /// Reads a whole response, or the list of chunks that a stream without `alt=sse` is.
    pub(super) fn body(&mut self, body: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        if body.trim_ascii_start().starts_with(b"[") {
            let invalid = |_| failure::unreadable("the body is no list of chunks");
            let chunks: Vec<&RawValue> = serde_json::from_slice(body).map_err(invalid)?;
            chunks.into_iter().try_for_each(|chunk| self.event(chunk.get().as_bytes(), out))?;
        } else {
            self.event(body, out)?;
        }
        self.end(out)
    }

    /// Ends the response at the end of its bytes.
    pub(super) fn end(&mut self, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let stop = self.stop.take().ok_or_else(failure::cut)?;
        self.close(None, out);
        let stop = if stop == StopCause::End && self.calls > 0 { StopCause::Calls } else { stop };
        out.push(NeutralEvent::End(Finish { stop, usage: self.usage }));
        Ok(())
    }

    fn start(&mut self, out: &mut Vec<NeutralEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(NeutralEvent::Start);
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let Candidate { content, finish_reason, finish_message, .. } = candidate;
        for part in content.and_then(|content| content.parts).into_iter().flatten() {
            self.part(part, out)?;
        }
        if let Some(reason) = finish_reason.filter(|reason| !reason.is_empty()) {
            self.stop = Some(stop_of(reason, finish_message)?);
        }
        Ok(())
    }

    /// Reads a part. Results of tools that the provider runs were not requested. Other media than images have no field in other
    /// formats.
    fn part(&mut self, part: GeneratedPart<'_>, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let GeneratedPart { text, thought, thought_signature, function_call, inline_data } = part;
        match inline_data {
            // A draft of the image that follows.
            Some(_) if thought == Some(true) => {}
            Some(InlineData { mime_type, data }) if mime_type.starts_with("image/") => {
                self.close(None, out);
                let media_type = mime_type.into_owned();
                let data = data.into_owned();
                out.push(NeutralEvent::Image(GeneratedImage { media_type, data }));
            }
            Some(InlineData { mime_type, .. }) => return Err(failure::without_field(&mime_type)),
            None => {}
        }
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.open(if thought == Some(true) { Block::Reasoning } else { Block::Text }, out);
            out.push(NeutralEvent::Delta(text));
        }
        match function_call {
            Some(call) => self.call(call, thought_signature, out),
            None => Ok(()),
        }
    }

    fn call(
        &mut self,
        call: FunctionCall<'_>,
        signature: Option<String>,
        out: &mut Vec<NeutralEvent>,
    ) -> Result<(), ProviderFailure> {
        let name = call.name.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| failure::unreadable("a tool call has no name"))?;
        if self.calls >= CALLS_MAX {
            return Err(failure::unreadable("it has more than 1024 tool calls"));
        }
        self.calls = self.calls.saturating_add(1);
        // The state names the call by its id, so that the id is already the client's.
        let id = self.ids.add(&call.id.unwrap_or_default(), &self.request_id);
        if let Some(state) = signature.and_then(|signature| state_of(&id, &signature)) {
            self.open(Block::Reasoning, out);
            self.close(Some(state), out);
        }
        self.open(Block::Call { id, name }, out);
        let arguments = call.args.map_or("{}", RawValue::get);
        out.push(NeutralEvent::Delta(arguments.to_owned()));
        self.close(None, out);
        Ok(())
    }

    /// Opens a block, unless the open one continues.
    fn open(&mut self, block: Block, out: &mut Vec<NeutralEvent>) {
        if self.open.as_ref() != Some(&block) {
            self.close(None, out);
            out.push(NeutralEvent::Open(block.clone()));
            self.open = Some(block);
        }
    }

    fn close(&mut self, state: Option<Box<RawValue>>, out: &mut Vec<NeutralEvent>) {
        if self.open.take().is_some() {
            out.push(NeutralEvent::Close(state));
        }
    }
}

fn stop_of(reason: String, message: Option<String>) -> Result<StopCause, ProviderFailure> {
    let word = reason.as_str();
    if FAILURES.contains(&word) || word.starts_with(MALFORMED) {
        return Err(failure::unfinished(word));
    }
    if FILTERS.contains(&word) || word.starts_with(IMAGE) {
        let own = || format!("A filter of the provider has ended the response: {reason}.");
        return Ok(refused(message.filter(|message| !message.is_empty()).unwrap_or_else(own)));
    }
    Ok(match word {
        "STOP" => StopCause::End,
        "MAX_TOKENS" | "CONTINUATION" => StopCause::Length,
        _ => StopCause::Unknown(reason),
    })
}

const fn refused(explanation: String) -> StopCause {
    StopCause::Refused(RefusalDetails { category: None, explanation: Some(explanation) })
}

/// Returns the item of a capsule for the signature of a call.
fn state_of(id: &str, signature: &str) -> Option<Box<RawValue>> {
    if signature.is_empty() {
        return None;
    }
    serde_json::value::to_raw_value(&json!({"call_id": id, "thoughtSignature": signature})).ok()
}
