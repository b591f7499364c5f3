//! The places of a response at which values are edited, for each format.

use super::ResponseEdits;
use crate::format::Format;
use crate::streams::framing::ResponseFraming;

/// What happens to a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It names the model.
    Model,
    /// It is the id of an object.
    Id,
    /// It may repeat a value of the request.
    Restore,
}

/// An object or a list of a response, whose keys lead to edits. A list has the place of its elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A response of the Responses API.
    Response,
    /// An event of the Responses API.
    ResponsesEvent,
    /// An item of a response.
    Item,
    /// A tool of a response, which repeats the request.
    Tool,
    /// A part of an item's content, or an annotation: it may name files and containers.
    Part,
    /// An object that has an id.
    Named,
    /// A container, with the ids of its files.
    Container,
    /// A list of ids.
    Ids,
    /// Values of the request that the response repeats.
    Values,
    /// A body or a chunk of Chat Completions.
    Chat,
    /// A choice of a chat response.
    Choice,
    /// A message of a choice, or its delta.
    ChatMessage,
    /// A body or a chunk with a model, and nothing else to edit.
    Model,
    /// A message of the Messages API.
    Message,
    /// An event of the Messages API.
    MessagesEvent,
    /// A block of content, which may contain blocks.
    Block,
    /// The change of a message.
    Delta,
    /// A body or a chunk of Gemini.
    Gemini,
}

/// The use of a value: what happens to a string, and the place of an object or a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) text: Option<Action>,
    pub(super) into: Option<Place>,
}

impl Step {
    const fn text(action: Action) -> Self {
        Self { text: Some(action), into: None }
    }

    const fn into(place: Place) -> Self {
        Self { text: None, into: Some(place) }
    }

    const fn either(action: Action, place: Place) -> Self {
        Self { text: Some(action), into: Some(place) }
    }
}

impl Place {
    /// Returns the place of a whole body, or of an event's data.
    pub(super) const fn start(format: Format, framing: ResponseFraming) -> Option<Self> {
        match (format, framing) {
            (_, ResponseFraming::Opaque) => None,
            (Format::Responses, ResponseFraming::Events) => Some(Self::ResponsesEvent),
            (Format::Responses, _) => Some(Self::Response),
            (Format::Messages, ResponseFraming::Events) => Some(Self::MessagesEvent),
            (Format::Messages, _) => Some(Self::Message),
            (Format::Chat, _) => Some(Self::Chat),
            (Format::GenerateContent | Format::EmbedContent, _) => Some(Self::Gemini),
            (Format::Completions | Format::Embeddings | Format::Moderations, _) => Some(Self::Model),
            (Format::Images | Format::Speech | Format::Transcription, _) => None,
        }
    }

    /// Returns the use of a value in an object at this place.
    pub(super) fn step(self, key: &[u8]) -> Step {
        use Action::{Id, Model, Restore};
        match (self, key) {
            (Self::Response | Self::Chat | Self::Message | Self::Model, b"model") | (Self::Gemini, b"modelVersion") => {
                Step::text(Model)
            }
            (Self::Response, b"id" | b"previous_response_id") => Step::text(Id),
            (Self::Response, b"conversation") => Step::either(Id, Self::Named),
            (Self::Response, b"output") | (Self::ResponsesEvent, b"item") => Step::into(Self::Item),
            (Self::Response, b"tools") => Step::into(Self::Tool),
            (Self::Response, b"user" | b"safety_identifier" | b"prompt_cache_key") => Step::text(Restore),
            (Self::Response | Self::Chat, b"metadata") => Step::into(Self::Values),
            (Self::ResponsesEvent, b"response") => Step::into(Self::Response),
            (Self::ResponsesEvent, b"item_id" | b"response_id") => Step::text(Id),
            (Self::ResponsesEvent, b"part" | b"annotation") => Step::into(Self::Part),
            (Self::Item, b"id" | b"container_id" | b"approval_request_id") => Step::text(Id),
            (Self::Item, b"content" | b"results" | b"outputs") => Step::into(Self::Part),
            (Self::Item, b"environment") => Step::into(Self::Container),
            (Self::Tool, b"container") => Step::either(Id, Self::Container),
            (Self::Tool, b"environment") => Step::into(Self::Container),
            (Self::Part, b"annotations") => Step::into(Self::Part),
            (Self::Part, b"file_id" | b"container_id") => Step::text(Id),
            (Self::Container, b"id" | b"container_id") | (Self::Named, b"id") => Step::text(Id),
            (Self::Container, b"file_ids") => Step::into(Self::Ids),
            (Self::Values, _) => Step::text(Restore),
            (Self::Chat, b"choices") => Step::into(Self::Choice),
            (Self::Choice, b"message" | b"delta") => Step::into(Self::ChatMessage),
            (Self::ChatMessage, b"audio") | (Self::Message | Self::Delta, b"container") => Step::into(Self::Named),
            (Self::MessagesEvent, b"message") => Step::into(Self::Message),
            (Self::MessagesEvent, b"delta") => Step::into(Self::Delta),
            (Self::MessagesEvent, b"content_block") | (Self::Message | Self::Block, b"content") => {
                Step::into(Self::Block)
            }
            (Self::Block, b"file_id") => Step::text(Id),
            _ => Step::default(),
        }
    }

    /// Returns the use of an element of a list at this place.
    pub(super) const fn element(self) -> Step {
        if matches!(self, Self::Ids) { Step::text(Action::Id) } else { Step::into(self) }
    }
}

/// Whether an event of this name may have a value to edit. Events without a name may have any.
pub(super) fn may_have_edits(format: Format, name: &[u8], edits: &ResponseEdits) -> bool {
    if name.is_empty() {
        return true;
    }
    match format {
        Format::Messages if edits.is_model_only() => name == b"message_start",
        Format::Messages => matches!(name, b"message_start" | b"message_delta" | b"content_block_start"),
        // `response.created` has a response, `response.output_text.delta` has not.
        Format::Responses if edits.owner.is_none() => {
            name.iter().filter(|byte| **byte == b'.').count() == 1 || !name.starts_with(b"response.")
        }
        Format::Responses
        | Format::Chat
        | Format::GenerateContent
        | Format::Completions
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => true,
    }
}
