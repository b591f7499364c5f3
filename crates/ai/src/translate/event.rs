//! The neutral form of a response: a sequence of events, for streams and whole bodies alike.
//!
//! A response is [`NeutralEvent::Start`], blocks, and [`NeutralEvent::End`] or [`NeutralEvent::Failure`]. At most one block is open at a time:
//! [`NeutralEvent::Open`], any number of [`NeutralEvent::Delta`], [`NeutralEvent::Close`]. Decoders keep this order for any input.

use access::Refusal;
use serde_json::value::RawValue;

use crate::failures::failure::{ContextTokens, ProviderError, ProviderErrorKind};

/// One step of a response.
#[derive(Debug, Clone)]
pub(super) enum NeutralEvent {
    /// The provider has accepted the call.
    Start,
    /// The provider is still at work. It may precede every other event.
    Alive,
    /// A block of the output begins.
    Open(Block),
    /// A further part of the open block: its text, or the JSON of a call's arguments.
    Delta(String),
    /// The open block is complete. A block of reasoning may have state: one item of a capsule.
    Close(Option<Box<RawValue>>),
    /// An image between two blocks.
    Image(GeneratedImage),
    /// The response is complete.
    End(Finish),
    /// The response has failed.
    Failure(ProviderFailure),
}

/// The kind of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// Text for the reader.
    Text,
    /// Text in which the model refuses to respond.
    Refusal,
    /// Reasoning, or its summary.
    Reasoning,
    /// A call of a tool; its deltas are JSON.
    Call {
        /// The provider's id of the call; empty if it gave none.
        id: String,
        /// The provider's name of the tool.
        name: String,
    },
}

/// An image of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GeneratedImage {
    /// The media type, such as `image/png`.
    pub(super) media_type: String,
    /// The content in Base64.
    pub(super) data: String,
}

impl GeneratedImage {
    /// Returns the image as a `data:` URL.
    pub(super) fn url(&self) -> String {
        let Self { media_type, data } = self;
        format!("data:{media_type};base64,{data}")
    }
}

/// The end of a complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finish {
    /// The reason why the model stopped.
    pub(super) stop: StopCause,
    /// The usage that the provider reported.
    pub(super) usage: Option<TokenUsage>,
}

/// The reason why the model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopCause {
    /// The response is complete.
    End,
    /// The model wrote one of the client's stop texts.
    StopText(String),
    /// The maximum of output tokens is reached.
    Length,
    /// The context window is full.
    Window,
    /// The model calls tools.
    Calls,
    /// The model, or a filter of the provider, refused.
    Refused(RefusalDetails),
    /// The provider paused a long turn, which a further call continues.
    Pause,
    /// A reason that Tollgate does not know, in the provider's word. Clients read it as a response that is not complete.
    Unknown(String),
}

/// The explanation of a refusal, as far as the provider gave one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RefusalDetails {
    /// The category in Anthropic's words.
    pub(super) category: Option<String>,
    /// The text for the reader.
    pub(super) explanation: Option<String>,
}

/// Reported tokens in disjoint classes, except that the output includes reasoning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct TokenUsage {
    /// Input that was neither read from a cache nor written to one.
    pub(super) uncached: u64,
    /// Input that was read from a cache.
    pub(super) cache_reads: u64,
    /// Input that was written to a cache.
    pub(super) cache_writes: u64,
    /// Output, of which reasoning is a part.
    pub(super) output: u64,
    /// Reasoning; `None` if it was not reported.
    pub(super) reasoning: Option<u64>,
}

impl TokenUsage {
    /// Returns all input, as OpenAI counts it.
    pub(super) const fn input(&self) -> u64 {
        self.uncached.saturating_add(self.cache_reads).saturating_add(self.cache_writes)
    }

    /// Returns input and output.
    pub(super) const fn total(&self) -> u64 {
        self.input().saturating_add(self.output)
    }
}

/// An error that a provider reported, or that its response contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProviderFailure {
    /// The status, or the status that such an error has outside of a stream.
    pub(super) status: u16,
    /// What the error concerns.
    pub(super) kind: ProviderErrorKind,
    /// The provider's code, or Tollgate's.
    pub(super) code: Option<String>,
    /// Why Tollgate reports it; `None` for an error of the provider.
    pub(super) refusal: Option<Refusal>,
    /// Whether the provider ended its response for this failure, without reporting an error.
    pub(super) is_unfinished: bool,
    /// The provider's message, or Tollgate's.
    pub(super) message: String,
    /// The tokens that an error about the length of the call names.
    pub(super) context: ContextTokens,
    /// The error of the provider.
    pub(super) error: Option<Box<ProviderError>>,
}
