//! Chat Completions: chunks of a stream, or one whole completion.

use super::call::{ClientCall, custom_input};
use super::event_stream::{put, put_comment};
use super::identity::Identity;
use super::{ClientBlock, ClientEvent, problem, usage};
use crate::translate::event::{Finish, GeneratedImage, ProviderFailure, StopCause};
use crate::translate::object_writer::{ObjectWriter, list};

/// Writes a chat completion, as a stream or as a whole body.
#[derive(Debug)]
pub(super) struct ChatEncoder {
    id: String,
    created: u64,
    model: String,
    pub(super) streamed: bool,
    include_usage: bool,
    open: Option<OpenBlock>,
    calls: usize,
    images: usize,
    message: Message,
}

/// The block that is open.
#[derive(Debug)]
enum OpenBlock {
    Text,
    Refusal,
    Reasoning,
    /// A call and its arguments, as far as they are needed at its end.
    Call {
        call: ClientCall,
        arguments: String,
        has_arguments: bool,
    },
}

/// The whole message, as far as it is not streamed.
#[derive(Debug, Default)]
struct Message {
    content: String,
    refusal: String,
    reasoning: String,
    calls: Vec<String>,
    images: Vec<String>,
    has_refusal: bool,
}

impl ChatEncoder {
    /// Creates an encoder of a response by `model`.
    pub(super) fn new(identity: &Identity, model: &str, streamed: bool, include_usage: bool) -> Self {
        Self {
            id: identity.response("chatcmpl-"),
            created: identity.created,
            model: model.to_owned(),
            streamed,
            include_usage,
            open: None,
            calls: 0,
            images: 0,
            message: Message::default(),
        }
    }

    /// Returns how many bytes of the open block are held.
    pub(super) const fn held_bytes(&self) -> usize {
        match &self.open {
            Some(OpenBlock::Call { arguments, .. }) => arguments.len(),
            Some(OpenBlock::Text | OpenBlock::Refusal | OpenBlock::Reasoning) | None => 0,
        }
    }

    /// Writes an event as the client reads it.
    pub(super) fn write(&mut self, event: ClientEvent, out: &mut Vec<u8>) {
        match event {
            ClientEvent::Start => {
                let role = ObjectWriter::new().with("role", "assistant").with("content", "").end();
                self.delta(&role, out);
            }
            ClientEvent::Alive => put_comment(self.streamed, out),
            ClientEvent::Open(block) => self.open(block, out),
            ClientEvent::Delta(text) => self.add(&text, out),
            ClientEvent::Close(_) => self.close(out),
            ClientEvent::Image(image) => self.image(&image, out),
            ClientEvent::End(finish) => self.end(&finish, out),
            ClientEvent::Failure(failure) => self.fail(&failure, out),
        }
    }

    fn open(&mut self, block: ClientBlock, out: &mut Vec<u8>) {
        self.open = Some(match block {
            ClientBlock::Text => OpenBlock::Text,
            ClientBlock::Refusal => OpenBlock::Refusal,
            ClientBlock::Reasoning => OpenBlock::Reasoning,
            ClientBlock::Call(call) => {
                let index = ObjectWriter::new().with("index", &self.calls);
                self.call_delta(&described(index, &call, ""), out);
                OpenBlock::Call { call, arguments: String::new(), has_arguments: false }
            }
        });
    }

    fn add(&mut self, text: &str, out: &mut Vec<u8>) {
        let message = &mut self.message;
        let (field, whole) = match &mut self.open {
            Some(OpenBlock::Text) => ("content", &mut message.content),
            Some(OpenBlock::Refusal) => {
                message.has_refusal = true;
                ("refusal", &mut message.refusal)
            }
            Some(OpenBlock::Reasoning) => ("reasoning_content", &mut message.reasoning),
            Some(OpenBlock::Call { call, arguments, has_arguments, .. }) => {
                *has_arguments = true;
                if call.is_custom || !self.streamed {
                    arguments.push_str(text);
                } else {
                    self.fragment(false, text, out);
                }
                return;
            }
            None => return,
        };
        if self.streamed {
            self.delta(&ObjectWriter::new().with(field, text).end(), out);
        } else {
            whole.push_str(text);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(OpenBlock::Call { call, arguments, has_arguments }) = self.open.take() else { return };
        let arguments = match (call.is_custom, has_arguments) {
            (true, _) => custom_input(&arguments),
            (false, true) => arguments,
            (false, false) => "{}".to_owned(),
        };
        if !self.streamed {
            self.message.calls.push(described(ObjectWriter::new(), &call, &arguments));
        } else if !arguments.is_empty() {
            self.fragment(call.is_custom, &arguments, out);
        }
        self.calls += 1;
    }

    /// Writes an image in the field of OpenRouter, which OpenAI's API lacks.
    fn image(&mut self, image: &GeneratedImage, out: &mut Vec<u8>) {
        let url = ObjectWriter::new().with("url", &image.url()).end();
        let image = ObjectWriter::of_type("image_url").with("index", &self.images).with_raw("image_url", &url).end();
        self.images += 1;
        if self.streamed {
            self.delta(&ObjectWriter::new().with_raw("images", &list(&[image])).end(), out);
        } else {
            self.message.images.push(image);
        }
    }

    fn end(&mut self, finish: &Finish, out: &mut Vec<u8>) {
        let reason = match &finish.stop {
            StopCause::End | StopCause::StopText(_) => "stop",
            StopCause::Length | StopCause::Window | StopCause::Pause | StopCause::Unknown(_) => "length",
            StopCause::Calls => "tool_calls",
            StopCause::Refused(details) => {
                if !self.message.has_refusal
                    && let Some(explanation) = details.explanation.as_deref()
                {
                    self.open = Some(OpenBlock::Refusal);
                    self.add(explanation, out);
                }
                "content_filter"
            }
        };
        if !self.streamed {
            out.extend_from_slice(self.body(reason, finish).as_bytes());
            return;
        }
        let choice = choice("delta", "{}", Some(reason));
        put(out, None, &self.object("chat.completion.chunk").with_raw("choices", &list(&[choice])).end());
        if self.include_usage
            && let Some(usage) = finish.usage
        {
            let chunk = self.object("chat.completion.chunk").with_raw("choices", "[]");
            put(out, None, &chunk.with_raw("usage", &usage::of_chat(&usage)).end());
        }
        put(out, None, "[DONE]");
    }

    fn body(&self, reason: &str, finish: &Finish) -> String {
        let Message { content, refusal, reasoning, calls, images, .. } = &self.message;
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let has_other = !calls.is_empty() || !refusal.is_empty();
        let content = if has_other { some(content) } else { Some(content.clone()) };
        let mut message = ObjectWriter::new().with("role", "assistant").with("content", &content);
        message = message.with("refusal", &some(refusal));
        if !reasoning.is_empty() {
            message = message.with("reasoning_content", reasoning);
        }
        if !calls.is_empty() {
            message = message.with_raw("tool_calls", &list(calls));
        }
        if !images.is_empty() {
            message = message.with_raw("images", &list(images));
        }
        let choice = choice("message", &message.end(), Some(reason));
        let body = self.object("chat.completion").with_raw("choices", &list(&[choice]));
        match &finish.usage {
            Some(usage) => body.with_raw("usage", &usage::of_chat(usage)).end(),
            None => body.end(),
        }
    }

    fn fail(&self, failure: &ProviderFailure, out: &mut Vec<u8>) {
        let body = ObjectWriter::new().with_raw("error", &problem::of_openai(failure)).end();
        if self.streamed {
            put(out, None, &body);
        } else {
            out.extend_from_slice(body.as_bytes());
        }
    }

    /// Writes a further part of the input of a custom tool, or of the arguments of a function.
    fn fragment(&self, is_custom: bool, text: &str, out: &mut Vec<u8>) {
        let (kind, field) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
        let part = ObjectWriter::new().with(field, text).end();
        self.call_delta(&ObjectWriter::new().with("index", &self.calls).with_raw(kind, &part).end(), out);
    }

    fn call_delta(&self, call: &str, out: &mut Vec<u8>) {
        self.delta(&ObjectWriter::new().with_raw("tool_calls", &list(&[call])).end(), out);
    }

    fn delta(&self, delta: &str, out: &mut Vec<u8>) {
        if self.streamed {
            let choices = list(&[choice("delta", delta, None)]);
            put(out, None, &self.object("chat.completion.chunk").with_raw("choices", &choices).end());
        }
    }

    fn object(&self, object: &str) -> ObjectWriter {
        let Self { id, created, model, .. } = self;
        ObjectWriter::new().with("id", id).with("object", object).with("created", created).with("model", model)
    }
}

/// Adds a call to the object that contains its index, if any.
fn described(object: ObjectWriter, call: &ClientCall, arguments: &str) -> String {
    let (kind, field) = if call.is_custom { ("custom", "input") } else { ("function", "arguments") };
    let function = ObjectWriter::new().with("name", &call.name).with(field, arguments).end();
    let object = object.with("id", &call.id).with("type", kind).with_raw(kind, &function);
    match &call.state {
        // Clients of Gemini's compatible API send this field back.
        Some(state) => {
            let google = ObjectWriter::new().with("thought_signature", state).end();
            object.with_raw("extra_content", &ObjectWriter::new().with_raw("google", &google).end()).end()
        }
        None => object.end(),
    }
}

fn choice(field: &str, message: &str, reason: Option<&str>) -> String {
    let choice = ObjectWriter::new().with_raw("index", "0").with_raw(field, message);
    choice.with_raw("logprobs", "null").with("finish_reason", &reason).end()
}
