//! Encoders: neutral events become the client's bytes.

mod call;
mod chat;
mod event_stream;
mod generate_content;
mod identity;
mod messages;
mod problem;
mod responses;
mod usage;

use serde_json::value::RawValue;

use crate::format::Format;
use crate::translate::call_ids::UniqueCallIds;
use crate::translate::capsule::Capsule;
use crate::translate::context::ResponseContext;
use crate::translate::event::{Block, Finish, GeneratedImage, NeutralEvent, ProviderFailure, StopCause};
use crate::translate::object_writer::ObjectWriter;
use call::ClientCall;
use chat::ChatEncoder;
use generate_content::GenerateContentEncoder;
pub(super) use generate_content::RetryDelay;
use identity::Identity;
use messages::MessagesEncoder;
use responses::{ResponseObject, ResponsesEncoder};

/// Maximum of items of state before a call.
const STATES_MAX: usize = 16;

/// Returns the body of an error about the length of a call, unless it has the words of `format`.
pub(super) fn context_error(format: Format, failure: &ProviderFailure, request_id: &str) -> Option<String> {
    match format {
        Format::Messages if problem::has_words_of_anthropic(failure) => None,
        Format::Messages => Some(problem::of_anthropic(failure, request_id)),
        Format::Chat | Format::Completions | Format::Responses if problem::has_code_of_openai(failure) => None,
        Format::Chat | Format::Completions | Format::Responses => {
            Some(ObjectWriter::new().with_raw("error", &problem::of_openai(failure)).end())
        }
        Format::GenerateContent
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => None,
    }
}

/// An encoder of the client's format. It gets events in the order of [`NeutralEvent`], and nothing after the last one.
#[derive(Debug)]
pub(super) struct Encoder {
    context: ResponseContext,
    identity: Identity,
    calls: UniqueCallIds,
    is_reasoning: bool,
    /// The state of reasoning before the next call, for Chat and Gemini: they have a field for state within calls only.
    states: Vec<Box<RawValue>>,
    /// Whether there was reasoning since the last call, with state or without.
    has_reasoned: bool,
    writer: Writer,
}

#[derive(Debug)]
enum Writer {
    Chat(ChatEncoder),
    Responses(Box<ResponsesEncoder>),
    Messages(MessagesEncoder),
    GenerateContent(GenerateContentEncoder),
}

/// An event in the client's terms.
#[derive(Debug)]
enum ClientEvent {
    Start,
    Alive,
    Open(ClientBlock),
    Delta(String),
    Close(Option<ClientState>),
    Image(GeneratedImage),
    End(Finish),
    Failure(ProviderFailure),
}

/// A block in the client's terms.
#[derive(Debug)]
enum ClientBlock {
    Text,
    Refusal,
    Reasoning,
    Call(ClientCall),
}

/// The state of reasoning, for the client's field of that kind.
#[derive(Debug)]
struct ClientState {
    /// The text of a capsule, which also marks reasoning without state as that of another provider.
    capsule: String,
    /// Whether the capsule has no item.
    is_empty: bool,
}

impl Encoder {
    /// Creates an encoder of a stream, or of a whole body.
    pub(super) fn new(context: ResponseContext, request_id: &str, unix_seconds: u64, streamed: bool) -> Self {
        let identity = || Identity::new(request_id, unix_seconds);
        let own = identity();
        let model = context.model.as_str();
        let writer = match context.client {
            Format::Responses => {
                let response = ResponseObject::new(&own, model, &context.echo);
                Writer::Responses(Box::new(ResponsesEncoder::new(identity(), response, streamed)))
            }
            Format::Messages => Writer::Messages(MessagesEncoder::new(&own, model, streamed, context.input_bytes)),
            Format::GenerateContent => {
                let is_array = context.is_array;
                Writer::GenerateContent(GenerateContentEncoder::new(&own, model, streamed, is_array))
            }
            Format::Chat
            | Format::Completions
            | Format::Embeddings
            | Format::EmbedContent
            | Format::Images
            | Format::Speech
            | Format::Transcription
            | Format::Moderations => Writer::Chat(ChatEncoder::new(&own, model, streamed, context.include_usage)),
        };
        // Gemini 3 refuses calls without a signature, which may get them later.
        let has_reasoned = context.client == Format::GenerateContent;
        Self {
            context,
            identity: own,
            calls: UniqueCallIds::default(),
            is_reasoning: false,
            states: Vec::new(),
            has_reasoned,
            writer,
        }
    }

    /// Returns how many bytes of the open block are held by a stream that is not collected.
    pub(super) const fn held_bytes(&self) -> usize {
        match &self.writer {
            Writer::Chat(encoder) => encoder.held_bytes(),
            Writer::Responses(_) => 0,
            Writer::Messages(encoder) => encoder.held_bytes(),
            Writer::GenerateContent(encoder) => encoder.held_bytes(),
        }
    }

    /// Returns the items of a response of the Responses API that are done, in JSON.
    pub(super) fn made_items(&self) -> Option<&[String]> {
        match &self.writer {
            Writer::Responses(encoder) => Some(&encoder.output),
            Writer::Chat(_) | Writer::Messages(_) | Writer::GenerateContent(_) => None,
        }
    }

    /// Whether the response has the time of its end.
    pub(super) const fn has_end_time(&self) -> bool {
        matches!(self.writer, Writer::Responses(_))
    }

    /// Sets the time, in seconds since 1970.
    pub(super) fn set_time(&mut self, unix_seconds: u64) {
        if let Writer::Responses(encoder) = &mut self.writer {
            encoder.now = unix_seconds;
        }
    }

    /// Sets the time after which the provider may be called again, for the formats that report it in a body.
    pub(super) const fn set_retry_delay(&mut self, delay: RetryDelay) {
        if let Writer::GenerateContent(encoder) = &mut self.writer {
            encoder.retry_delay = delay;
        }
    }

    /// Makes the response one body instead of a stream, of which the client has received nothing.
    pub(super) const fn becomes_whole(&mut self) {
        match &mut self.writer {
            Writer::Chat(encoder) => encoder.streamed = false,
            Writer::Responses(encoder) => encoder.streamed = false,
            Writer::Messages(encoder) => encoder.streamed = false,
            Writer::GenerateContent(encoder) => encoder.streamed = false,
        }
    }

    /// Writes an event in the client's format.
    pub(super) fn write(&mut self, event: NeutralEvent, out: &mut Vec<u8>) {
        let event = match event {
            NeutralEvent::Start => ClientEvent::Start,
            NeutralEvent::Alive => ClientEvent::Alive,
            NeutralEvent::Open(block) => {
                self.is_reasoning = block == Block::Reasoning;
                self.has_reasoned |= self.is_reasoning;
                ClientEvent::Open(self.block(block))
            }
            NeutralEvent::Delta(text) => ClientEvent::Delta(text),
            NeutralEvent::Close(state) => ClientEvent::Close(self.close(state)),
            NeutralEvent::Image(image) => ClientEvent::Image(image),
            NeutralEvent::End(finish) => ClientEvent::End(Finish { stop: self.stop(finish.stop), ..finish }),
            NeutralEvent::Failure(failure) => ClientEvent::Failure(failure),
        };
        match &mut self.writer {
            Writer::Chat(encoder) => encoder.write(event, out),
            Writer::Responses(encoder) => encoder.write(event, out),
            Writer::Messages(encoder) => encoder.write(event, out),
            Writer::GenerateContent(encoder) => encoder.write(event, out),
        }
    }

    /// Returns the cause for the client: a stop text is one that the client sent.
    fn stop(&self, stop: StopCause) -> StopCause {
        match stop {
            StopCause::StopText(text) if self.context.stop_sequences.contains(&text) => StopCause::StopText(text),
            StopCause::StopText(_) => StopCause::End,
            StopCause::End
            | StopCause::Length
            | StopCause::Window
            | StopCause::Calls
            | StopCause::Refused(_)
            | StopCause::Pause
            | StopCause::Unknown(_) => stop,
        }
    }

    fn block(&mut self, block: Block) -> ClientBlock {
        match block {
            Block::Text => ClientBlock::Text,
            Block::Refusal => ClientBlock::Refusal,
            Block::Reasoning => ClientBlock::Reasoning,
            Block::Call { id, name } => {
                let id = self.calls.add(&id, &self.identity.request_id);
                let states = std::mem::take(&mut self.states);
                // Reasoning without state is marked for Gemini's clients: some servers require its text with the call.
                let is_marked =
                    std::mem::take(&mut self.has_reasoned) && self.context.client == Format::GenerateContent;
                let state = if states.is_empty() && !is_marked { None } else { self.capsule(states) };
                ClientBlock::Call(ClientCall::new(id, self.context.tool(&name), state))
            }
        }
    }

    /// Returns the state of the block that ends. State that is too long is left out.
    fn close(&mut self, state: Option<Box<RawValue>>) -> Option<ClientState> {
        if matches!(self.context.client, Format::Chat | Format::GenerateContent) {
            let state = if self.states.len() < STATES_MAX { state } else { None };
            self.states.extend(state);
            return None;
        }
        if !self.is_reasoning {
            return None;
        }
        match state.and_then(|state| self.capsule(vec![state])) {
            Some(capsule) => Some(ClientState { capsule, is_empty: false }),
            None => Some(ClientState { capsule: self.capsule(Vec::new())?, is_empty: true }),
        }
    }

    fn capsule(&self, items: Vec<Box<RawValue>>) -> Option<String> {
        let ResponseContext { kind, provider, provider_model, owner, .. } = &self.context;
        let model = provider_model.clone();
        let owner = owner.clone();
        Capsule { kind: *kind, format: *provider, model, owner, items }.encode()
    }
}
