//! The highest usage and cost of a request, from its body alone: a bound, never a count.
//!
//! A token has at least one byte, so a body's bytes bound its text; files, and content that the body only refers to, are
//! bounded by the model's window. The bound presumes facts that no body states. A provider's project must not raise the
//! tier or change the place of requests that choose none. [`TokenLimits`] must be correct. `arithmetic` states the
//! presumptions about images, tools without a cap, and tokens that a provider adds.

mod arithmetic;
mod estimate;
mod extent;
mod limit;
mod names;
mod project_data;
mod reader;
pub(crate) mod walk;

use access::{NanoUsd, Tokens};

pub use estimate::Estimate;
pub use extent::{Extent, TOOL_ROUNDS};
pub use limit::RemainingBudget;
pub use project_data::ProjectData;

use crate::format::Format;
use crate::models::TokenLimits;
use crate::price::Price;
pub use crate::request::LoweredLimit;

/// The highest usage and cost of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Input and output tokens of all responses together. `None` if they depend on an unknown limit of the model. Money
    /// may then still be known, if no token costs anything.
    pub tokens: Option<Tokens>,
    /// Money, rounded up. `None` also if the model has no price, or none at the requested terms.
    pub money: Option<NanoUsd>,
    /// The output tokens of `tokens`.
    pub output_tokens_max: Option<Tokens>,
    /// Content that the body only refers to: `tokens` and `money` are then those of the model's whole window.
    pub unbounded: Option<Reference>,
}

/// The missing fact without which a bound is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingFact {
    /// The model has no price, or none at the requested terms.
    Price,
    /// A limit of the model.
    Limits,
}

/// Content that a body only refers to, or holds in a form whose tokens its bytes do not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reference {
    /// An earlier response: `previous_response_id`.
    PreviousResponse,
    /// A stored conversation: `conversation`.
    Conversation,
    /// A prompt that the provider stores.
    Prompt,
    /// An item of an earlier response, by its id.
    Item,
    /// A file that the provider stores.
    File,
    /// An image or a file at a URL.
    Url,
    /// Audio: a second of silence has fewer bytes than tokens.
    Audio,
    /// A document or a video inside the body: decompressed content exceeds its bytes.
    Document,
    /// A file beside the fields of a form.
    Upload,
    /// Content of Gemini's cache: `cachedContent`.
    CachedContent,
    /// A container with the state of an earlier request.
    Container,
    /// A tool that the provider runs without a cap.
    ServerTool,
    /// The provider may first summarize the conversation.
    Compaction,
    /// A part of a message of an unknown kind.
    Part,
    /// A list of too many other models.
    Models,
}

impl Reference {
    /// Returns the wording in a refusal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreviousResponse => "previous_response_id",
            Self::Conversation => "a conversation",
            Self::Prompt => "a stored prompt",
            Self::Item => "an item of an earlier response",
            Self::File => "a stored file",
            Self::Url => "a URL",
            Self::Audio => "audio",
            Self::Document => "a document",
            Self::Upload => "an uploaded file",
            Self::CachedContent => "cached content",
            Self::Container => "a container",
            Self::ServerTool => "a provider tool without a cap",
            Self::Compaction => "a compaction",
            Self::Part => "a part of an unknown kind",
            Self::Models => "more than 16 other models",
        }
    }
}

impl Bound {
    /// Returns the missing fact if money, or tokens too, are unknown.
    #[must_use]
    pub const fn unknown(&self) -> Option<MissingFact> {
        match (self.tokens, self.money) {
            (None, _) => Some(MissingFact::Limits),
            (Some(_), None) => Some(MissingFact::Price),
            (Some(_), Some(_)) => None,
        }
    }
}

impl Extent {
    /// Returns the bound at `price` for a model with these `limits`; a free request has the bound zero, and needs
    /// neither.
    #[must_use]
    pub fn bound(&self, price: Option<&Price>, limits: Option<TokenLimits>) -> Bound {
        if self.is_free() {
            return Bound {
                tokens: Some(Tokens::ZERO),
                money: Some(NanoUsd(0)),
                output_tokens_max: Some(Tokens::ZERO),
                unbounded: None,
            };
        }
        let by_unit = price.and_then(|price| self.by_unit(price));
        if price.is_some_and(|price| price.rates.input.is_none())
            && let Some(money) = by_unit
        {
            // The length of a recording is presumed, in contrast to values in a body.
            let unbounded = if self.format == Format::Transcription { self.reference() } else { None };
            return Bound {
                tokens: Some(Tokens::ZERO),
                money: Some(money),
                output_tokens_max: Some(Tokens::ZERO),
                unbounded,
            };
        }
        let input = self.input(limits);
        let output = self.output(price, limits);
        let tokens = input.zip(output).map(|(input, output)| Tokens(input.tokens.saturating_add(output.tokens())));
        let most = arithmetic::limits_of_money(price, limits);
        let sold = self.input(most).zip(self.output(price, most)).zip(price);
        let money = sold.and_then(|((input, output), price)| self.money(price, input, output));
        // If both are sold, only the response reports which one applies.
        let money = money.map(|money| by_unit.map_or(money, |by_unit| money.max(by_unit)));
        Bound {
            tokens,
            money,
            output_tokens_max: output.map(|output| Tokens(output.tokens())),
            unbounded: self.reference(),
        }
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
