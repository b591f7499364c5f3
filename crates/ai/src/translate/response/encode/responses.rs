//! Responses: the events of a stream, or one whole response.
//!
//! Codex reads the items from `response.output_item.done`, the official SDKs from each event: they raise an error if an
//! event is missing or out of order.

mod item;
mod object;

use super::event_stream::{put, put_comment};
use super::identity::Identity;
use super::{ClientBlock, ClientEvent, ClientState, problem, usage};
use crate::translate::event::{Finish, GeneratedImage, ProviderFailure, StopCause};
use crate::translate::object_writer::{ObjectWriter, list};
use item::{ItemKind, OutputItem};
pub(super) use object::ResponseObject;

/// Writes a response of the Responses API, as a stream or as a whole body.
#[derive(Debug)]
pub(super) struct ResponsesEncoder {
    identity: Identity,
    response: ResponseObject,
    pub(super) streamed: bool,
    has_started: bool,
    /// The number of the next event.
    sequence: u64,
    open: Option<OutputItem>,
    /// The items that are done, in JSON.
    pub(super) output: Vec<String>,
    has_refusal: bool,
    /// The time, in seconds since 1970.
    pub(super) now: u64,
}

impl ResponsesEncoder {
    /// Creates an encoder of this response.
    pub(super) fn new(identity: Identity, response: ResponseObject, streamed: bool) -> Self {
        Self {
            now: identity.created,
            identity,
            response,
            streamed,
            has_started: false,
            sequence: 0,
            open: None,
            output: Vec::new(),
            has_refusal: false,
        }
    }

    /// Writes an event as the client reads it.
    pub(super) fn write(&mut self, event: ClientEvent, out: &mut Vec<u8>) {
        match event {
            ClientEvent::Start => self.start(out),
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
        let response = self.response.write("in_progress", "[]", None);
        self.event("response.created", |event| event.with_raw("response", &response), out);
        self.event("response.in_progress", |event| event.with_raw("response", &response), out);
    }

    fn open(&mut self, block: ClientBlock, out: &mut Vec<u8>) {
        let kind = match block {
            ClientBlock::Text => ItemKind::Text,
            ClientBlock::Refusal => ItemKind::Refusal,
            ClientBlock::Reasoning => ItemKind::Reasoning,
            ClientBlock::Call(call) => ItemKind::Call(call),
        };
        let id = self.identity.part(kind.prefix(), self.output.len());
        let item = OutputItem::new(id, kind);
        // Items without content are left out, except for calls.
        if matches!(item.kind, ItemKind::Call(_)) {
            self.begin(&item, out);
        }
        self.open = Some(item);
    }

    fn begin(&mut self, item: &OutputItem, out: &mut Vec<u8>) {
        let index = self.output.len();
        let json = item.begun();
        self.event(
            "response.output_item.added",
            |event| event.with("output_index", &index).with_raw("item", &json),
            out,
        );
        let Some(part) = item.part("") else { return };
        let name = item.kind.part_event("added");
        self.part_event(item, &name, |event| event.with_raw("part", &part), out);
    }

    fn add(&mut self, text: &str, out: &mut Vec<u8>) {
        let Some(mut item) = self.open.take() else { return };
        if item.text.is_empty() && !matches!(item.kind, ItemKind::Call(_)) {
            self.begin(&item, out);
        }
        self.has_refusal |= matches!(item.kind, ItemKind::Refusal);
        item.text.push_str(text);
        // The input of a custom tool is known at the end of the arguments.
        if !item.is_custom() {
            self.delta(&item, text, out);
        }
        self.open = Some(item);
    }

    fn delta(&mut self, item: &OutputItem, text: &str, out: &mut Vec<u8>) {
        let name = item.kind.text_event("delta");
        let is_text = matches!(item.kind, ItemKind::Text);
        let fields = |event: ObjectWriter| {
            let event = event.with("delta", text);
            if is_text { event.with_raw("logprobs", "[]") } else { event }
        };
        self.part_event(item, &name, fields, out);
    }

    fn close(&mut self, state: Option<ClientState>, out: &mut Vec<u8>) {
        let Some(item) = self.open.take() else { return };
        let is_empty = item.text.is_empty();
        match &item.kind {
            ItemKind::Text | ItemKind::Refusal if is_empty => return,
            ItemKind::Reasoning if is_empty => {
                if state.as_ref().is_none_or(|state| state.is_empty) {
                    return;
                }
                let index = self.output.len();
                let json = item.begun();
                let fields = |event: ObjectWriter| event.with("output_index", &index).with_raw("item", &json);
                self.event("response.output_item.added", fields, out);
            }
            ItemKind::Text | ItemKind::Refusal | ItemKind::Reasoning | ItemKind::Call(_) => {
                let text = item.final_text();
                if !text.is_empty() && (item.is_custom() || is_empty) {
                    self.delta(&item, &text, out);
                }
                self.text_done(&item, &text, out);
            }
        }
        let json = item.done(state.map(|state| state.capsule).as_deref());
        self.item_done(json, out);
    }

    fn item_done(&mut self, json: String, out: &mut Vec<u8>) {
        let index = self.output.len();
        self.event(
            "response.output_item.done",
            |event| event.with("output_index", &index).with_raw("item", &json),
            out,
        );
        self.output.push(json);
    }

    /// Writes an image as the item of OpenAI's tool for images, in which its SDKs find it.
    fn image(&mut self, image: &GeneratedImage, out: &mut Vec<u8>) {
        let index = self.output.len();
        let item = ObjectWriter::new().with("id", &self.identity.part("ig_", index));
        let item = item.with("type", "image_generation_call");
        let format = image.media_type.strip_prefix("image/").unwrap_or(&image.media_type);
        let done = item.clone().with("status", "completed").with("output_format", format).with("result", &image.data);
        let begun = item.with("status", "in_progress").with_raw("result", "null").end();
        let fields = |event: ObjectWriter| event.with("output_index", &index).with_raw("item", &begun);
        self.event("response.output_item.added", fields, out);
        self.item_done(done.end(), out);
    }

    fn text_done(&mut self, item: &OutputItem, text: &str, out: &mut Vec<u8>) {
        let field = item.kind.text_field();
        let fields = |event: ObjectWriter| match &item.kind {
            ItemKind::Text => event.with(field, text).with_raw("logprobs", "[]"),
            ItemKind::Call(call) if !call.is_custom => event.with("name", &call.name).with(field, text),
            ItemKind::Call(_) | ItemKind::Refusal | ItemKind::Reasoning => event.with(field, text),
        };
        self.part_event(item, &item.kind.text_event("done"), fields, out);
        if let Some(part) = item.part(text) {
            self.part_event(item, &item.kind.part_event("done"), |event| event.with_raw("part", &part), out);
        }
    }

    fn end(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        let reason = match &finish.stop {
            StopCause::End | StopCause::StopText(_) | StopCause::Calls => None,
            StopCause::Length | StopCause::Window | StopCause::Pause | StopCause::Unknown(_) => {
                Some("max_output_tokens")
            }
            StopCause::Refused(details) => {
                if !self.has_refusal
                    && let Some(explanation) = details.explanation.as_deref()
                {
                    self.open(ClientBlock::Refusal, out);
                    self.add(explanation, out);
                    self.close(None, out);
                }
                Some("content_filter")
            }
        };
        let details = reason.map(|reason| ObjectWriter::new().with("reason", reason).end());
        let details = details.as_deref().map(|details| ("incomplete_details", details));
        let status = if reason.is_some() { "incomplete" } else { "completed" };
        let usage = finish.usage.as_ref().map(usage::of_responses);
        let response = self.response.clone().with_usage(usage);
        let response = if reason.is_some() { response } else { response.completed(self.now) };
        let response = response.write(status, &list(&self.output), details);
        if self.streamed {
            self.event(&format!("response.{status}"), |event| event.with_raw("response", &response), out);
        } else {
            out.extend_from_slice(response.as_bytes());
        }
    }

    /// OpenAI's SDKs raise an error at the first event, Codex reads the second one.
    fn fail(&mut self, failure: &ProviderFailure, out: &mut Vec<u8>) {
        let error = problem::of_openai(failure);
        if !self.streamed {
            out.extend_from_slice(ObjectWriter::new().with_raw("error", &error).end().as_bytes());
            return;
        }
        if !self.has_started {
            self.start(out);
        }
        let code = problem::code_of_response(failure);
        let fields = |event: ObjectWriter| {
            let event = event.with("code", code).with("message", &failure.message).with_raw("param", "null");
            event.with_raw("error", &error)
        };
        self.event("error", fields, out);
        let reason = ObjectWriter::new().with("code", code).with("message", &failure.message).end();
        let response = self.response.write("failed", &list(&self.output), Some(("error", &reason)));
        self.event("response.failed", |event| event.with_raw("response", &response), out);
    }

    /// Writes an event that belongs to a part of an item.
    fn part_event(
        &mut self,
        item: &OutputItem,
        name: &str,
        fields: impl FnOnce(ObjectWriter) -> ObjectWriter,
        out: &mut Vec<u8>,
    ) {
        let index = self.output.len();
        let place = |event: ObjectWriter| {
            let event = event.with("item_id", &item.id).with("output_index", &index);
            match item.kind.part_index() {
                Some(key) => fields(event.with_raw(key, "0")),
                None => fields(event),
            }
        };
        self.event(name, place, out);
    }

    fn event(&mut self, name: &str, fields: impl FnOnce(ObjectWriter) -> ObjectWriter, out: &mut Vec<u8>) {
        if self.streamed {
            let event = ObjectWriter::of_type(name).with("sequence_number", &self.sequence);
            put(out, Some(name), &fields(event).end());
            self.sequence += 1;
        }
    }
}
