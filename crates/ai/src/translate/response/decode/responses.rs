//! Responses: the events of a stream, or one whole response.
//!
//! Some providers send the end of an item, or the end of the response, without the events before it. Each part of the
//! output is read where it first appears.

mod fields;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::order::BlockOrder;
use super::part::raw;
use super::usage;
use crate::streams::opening::is_error;
use crate::translate::event::{Block, Finish, NeutralEvent, ProviderFailure, RefusalDetails, StopCause};
use crate::translate::response::failure;
use fields::{Response, ResponseEvent, ResponseItem};

/// Maximum of items, and of parts of one item.
const ITEMS_MAX: usize = 4096;
/// The values of the field `status` of a response.
const STATUSES: [&str; 6] = ["completed", "incomplete", "failed", "cancelled", "queued", "in_progress"];
/// The part of an item that has no list of parts.
const WHOLE: u64 = u64::MAX;

/// The state of one response.
#[derive(Debug, Default)]
pub(super) struct ResponsesDecoder {
    has_started: bool,
    order: BlockOrder<PartKey>,
    items: BTreeMap<u64, ItemState>,
    /// The ids of the calls that have begun.
    call_ids: BTreeSet<String>,
    has_calls: bool,
    has_refusal: bool,
}

/// The index of an item, and the index of a part of it.
type PartKey = (u64, u64);

/// An item that has begun.
#[derive(Debug, Default)]
struct ItemState {
    /// The parts that have begun, with the last summary's index for reasoning.
    parts: BTreeMap<u64, PartState>,
    is_done: bool,
}

#[derive(Debug, Default)]
struct PartState {
    has_text: bool,
    /// The summary, or the text, that was added last; for reasoning.
    last: Option<(ReasoningText, u64)>,
}

/// The two forms of reasoning. A response that has both repeats itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReasoningText {
    Summary,
    Whole,
}

impl ResponsesDecoder {
    /// Reads the data of an event.
    pub(super) fn event(&mut self, data: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let invalid = |_| failure::unreadable("an event is invalid");
        let event: ResponseEvent<'_> = serde_json::from_slice(data).map_err(invalid)?;
        if event.error.is_some_and(is_error) {
            return Err(failure::of_event(data));
        }
        let at = event.output_index.unwrap_or_else(|| self.current(&event.kind));
        match event.kind.as_ref() {
            "error" | "response.failed" => return Err(failure::of_event(data)),
            "response.completed" | "response.incomplete" => {
                let response = event.response.ok_or_else(|| failure::unreadable("the last event has no response"))?;
                return self.last(&raw(response)?, out);
            }
            "response.output_item.added" | "response.output_item.done" => {
                self.start(out);
                if let Some(json) = event.item {
                    self.item(at, json, event.kind.ends_with("done"), out)?;
                }
            }
            "response.content_part.done" => {
                let key = (at, event.content_index.unwrap_or(0));
                if self.part(key).is_some_and(|part| part.has_text) {
                    self.order.close(key, None, out);
                }
            }
            // OpenAI writes it while a model reasons without a summary.
            "keepalive" => out.push(NeutralEvent::Alive),
            kind => {
                self.start(out);
                let Some(part) = Delta::from_event(kind, &event) else { return Ok(()) };
                let text: String = event.delta.map(raw).transpose()?.unwrap_or_default();
                self.delta(at, part, text, out)?;
            }
        }
        Ok(())
    }

    /// Reads a whole response.
    pub(super) fn body(&mut self, body: &[u8], out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let invalid = |_| failure::unreadable("the body is no response");
        let response: Response<'_> = serde_json::from_slice(body).map_err(invalid)?;
        if response.error.is_some_and(is_error) {
            return Err(failure::of_event(body));
        }
        let is_known = response.status.as_deref().is_some_and(|status| STATUSES.contains(&status));
        if response.output.is_none() || !is_known {
            return Err(failure::unreadable("the body is no response"));
        }
        self.last(&response, out)
    }

    /// Returns how many bytes are held until the open block is complete.
    pub(super) const fn held_bytes(&self) -> usize {
        self.order.held_bytes()
    }

    fn start(&mut self, out: &mut Vec<NeutralEvent>) {
        if !std::mem::replace(&mut self.has_started, true) {
            out.push(NeutralEvent::Start);
        }
    }

    /// Returns the index of the item to which an event without one belongs.
    fn current(&self, kind: &str) -> u64 {
        let next = self.items.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        let open = || self.items.iter().rfind(|(_, item)| !item.is_done).map(|(at, _)| *at);
        if kind == "response.output_item.added" { next } else { open().unwrap_or(next) }
    }

    fn part(&mut self, key: PartKey) -> Option<&mut PartState> {
        let (at, part) = key;
        self.items.get_mut(&at).filter(|item| !item.is_done)?.parts.get_mut(&part)
    }

    /// Begins a part, unless it has begun already.
    fn open(&mut self, key: PartKey, block: Block, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        let (at, part) = key;
        let is_full = self.items.len() >= ITEMS_MAX && !self.items.contains_key(&at);
        let item = self.items.entry(at).or_default();
        if item.is_done || item.parts.contains_key(&part) {
            return Ok(());
        }
        if is_full || item.parts.len() >= ITEMS_MAX {
            return Err(failure::unreadable("it has more than 4096 items"));
        }
        item.parts.insert(part, PartState::default());
        self.has_calls |= matches!(block, Block::Call { .. });
        self.has_refusal |= block == Block::Refusal;
        self.order.open(key, block, out)?;
        Ok(())
    }

    fn delta(
        &mut self,
        at: u64,
        delta: Delta,
        text: String,
        out: &mut Vec<NeutralEvent>,
    ) -> Result<(), ProviderFailure> {
        let key = match delta {
            Delta::Text(part) | Delta::Refusal(part) => (at, part),
            Delta::Reasoning(..) | Delta::Arguments => (at, WHOLE),
        };
        match delta {
            _ if text.is_empty() => return Ok(()),
            Delta::Text(_) => self.open(key, Block::Text, out)?,
            Delta::Refusal(_) => self.open(key, Block::Refusal, out)?,
            Delta::Reasoning(..) => self.open(key, Block::Reasoning, out)?,
            Delta::Arguments => {}
        }
        let Some(part) = self.part(key) else { return Ok(()) };
        let mut is_apart = false;
        if let Delta::Reasoning(form, index) = delta {
            match part.last.replace((form, index)) {
                Some((last, _)) if last != form => {
                    part.last = Some((last, index));
                    return Ok(());
                }
                last => is_apart = last.is_some_and(|(_, last)| last != index),
            }
        }
        part.has_text = true;
        if is_apart {
            self.order.add(key, "\n\n".to_owned(), out)?;
        }
        self.order.add(key, text, out)?;
        Ok(())
    }

    /// Reads an item that begins, or one that is done.
    fn item(
        &mut self,
        at: u64,
        json: &RawValue,
        is_done: bool,
        out: &mut Vec<NeutralEvent>,
    ) -> Result<(), ProviderFailure> {
        let item: ResponseItem<'_> = raw(json)?;
        let mut state = None;
        match item.kind.as_ref() {
            "message" if is_done => self.message(at, &item, out)?,
            "reasoning" => {
                self.open((at, WHOLE), Block::Reasoning, out)?;
                if is_done {
                    self.fill((at, WHOLE), item.reasoning(), out)?;
                    let is_sealed = item.encrypted_content.as_ref().is_some_and(|content| !content.is_empty());
                    state = is_sealed.then(|| json.to_owned());
                }
            }
            "function_call" | "custom_tool_call" => {
                let name = item.name.clone().filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| failure::unreadable("a tool call has no name"))?;
                let id = item.id_of_call().to_owned();
                self.call_ids.insert(id.clone());
                self.open((at, WHOLE), Block::Call { id, name }, out)?;
                if is_done {
                    self.fill((at, WHOLE), item.arguments(), out)?;
                }
            }
            // Tools that the provider runs were not requested.
            _ => {}
        }
        if is_done && let Some(item) = self.items.get_mut(&at) {
            for part in item.parts.keys() {
                self.order.close((at, *part), state.take(), out);
            }
            item.is_done = true;
        }
        Ok(())
    }

    fn message(
        &mut self,
        at: u64,
        item: &ResponseItem<'_>,
        out: &mut Vec<NeutralEvent>,
    ) -> Result<(), ProviderFailure> {
        for (index, part) in (0..).zip(item.content.iter().flatten()) {
            let (block, text) = match part.kind.as_str() {
                "refusal" => (Block::Refusal, &part.refusal),
                _ => (Block::Text, &part.text),
            };
            if let Some(text) = text {
                self.open((at, index), block, out)?;
                self.fill((at, index), text.clone(), out)?;
                self.order.close((at, index), None, out);
            }
        }
        Ok(())
    }

    /// Whether an item is a call that has not arrived.
    fn is_new_call(&self, json: &RawValue) -> Result<bool, ProviderFailure> {
        let item: ResponseItem<'_> = raw(json)?;
        let is_call = matches!(item.kind.as_ref(), "function_call" | "custom_tool_call");
        Ok(is_call && !self.call_ids.contains(item.id_of_call()))
    }

    /// Adds the whole text of a part of which no text has arrived.
    fn fill(&mut self, key: PartKey, text: String, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        if let Some(part) = self.part(key).filter(|part| !part.has_text) {
            part.has_text = !text.is_empty();
            self.order.add(key, text, out)?;
        }
        Ok(())
    }

    /// Reads the response of the last event, or a whole one.
    fn last(&mut self, response: &Response<'_>, out: &mut Vec<NeutralEvent>) -> Result<(), ProviderFailure> {
        self.start(out);
        let last = self.items.last_key_value().map(|(last, _)| *last);
        for (at, json) in (0..).zip(response.output.iter().flatten()) {
            let is_open = self.items.get(&at).is_some_and(|item| !item.is_done);
            // Texts may have arrived at another index.
            let is_late_call =
                || Ok::<_, ProviderFailure>(last.is_some_and(|last| at > last) && self.is_new_call(json)?);
            if last.is_none() || is_open || is_late_call()? {
                self.item(at, json, true, out)?;
            }
        }
        self.order.close_all(out);
        let reason = response.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        let stop = match response.status.as_deref() {
            Some(status @ ("failed" | "cancelled" | "queued" | "in_progress")) => {
                return Err(failure::unfinished(status));
            }
            Some("incomplete") if reason == Some("content_filter") => StopCause::Refused(RefusalDetails::default()),
            Some("incomplete") => match reason {
                Some("max_output_tokens") | None => StopCause::Length,
                Some(word) => StopCause::Unknown(word.to_owned()),
            },
            _ if self.has_refusal => StopCause::Refused(RefusalDetails::default()),
            _ if self.has_calls => StopCause::Calls,
            _ => StopCause::End,
        };
        let usage = response.usage.and_then(|usage| usage::of_responses(usage.get()));
        out.push(NeutralEvent::End(Finish { stop, usage }));
        Ok(())
    }
}

/// A part of the output to which an event adds text.
#[derive(Debug, Clone, Copy)]
enum Delta {
    Text(u64),
    Refusal(u64),
    Reasoning(ReasoningText, u64),
    Arguments,
}

impl Delta {
    fn from_event(kind: &str, event: &ResponseEvent<'_>) -> Option<Self> {
        let content = event.content_index.unwrap_or(0);
        match kind {
            "response.output_text.delta" => Some(Self::Text(content)),
            "response.refusal.delta" => Some(Self::Refusal(content)),
            "response.reasoning_summary_text.delta" => {
                Some(Self::Reasoning(ReasoningText::Summary, event.summary_index.unwrap_or(0)))
            }
            "response.reasoning_text.delta" => Some(Self::Reasoning(ReasoningText::Whole, content)),
            "response.function_call_arguments.delta" => Some(Self::Arguments),
            _ => None,
        }
    }
}
