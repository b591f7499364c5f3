//! The most that a call can use and cost, from its body alone: bounded, never counted.
//!
//! A token is at least a byte, so a body's bytes bound its text; what it only refers to is bounded by the model's window.
//! Presumed is what no body tells: that a provider's project does not raise the tier or the place of calls that ask for
//! none, that [`Limits`] hold, and what `arithmetic` says of images, of tools that nobody capped, and of what a provider
//! adds of its own.

mod arithmetic;
mod extent;
mod limit;
mod names;
mod reader;
mod rules;
mod walk;

use access::NanoUsd;

pub use extent::{Extent, TOOL_ROUNDS};
pub use limit::{Left, Lowered};

use crate::format::Format;
use crate::models::Limits;
use crate::price::Price;

/// The most that a call can use and cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Tokens, in and out, of all answers together. `None`: it hangs on a limit of the model that is not known. Money may then be
    /// known, where no token costs anything.
    pub tokens: Option<u64>,
    /// Money, rounded up. `None` too where the model has no price, or none at the terms that are asked for.
    pub money: Option<NanoUsd>,
    /// The part of `tokens` that goes out.
    pub output_tokens_max: Option<u64>,
    /// What the body only refers to: `tokens` and `money` are then those of the model's whole window.
    pub unbounded: Option<Reference>,
}

/// What keeps a bound from being known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The model has no price, or none at the terms that are asked for.
    Price,
    /// A limit of the model.
    Limits,
}

/// What a body only refers to, or holds in a form whose tokens its bytes do not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reference {
    /// `previous_response_id`.
    PreviousResponse,
    /// `conversation`.
    Conversation,
    /// A prompt that the provider keeps.
    Prompt,
    /// An item of an earlier answer, by its id.
    Item,
    /// A file that the provider keeps.
    File,
    /// An image or a file somewhere else.
    Url,
    /// Sounds: a second of silence is fewer bytes than tokens.
    Audio,
    /// A document or a film inside the body: what is compressed is more than its bytes.
    Document,
    /// A file beside the fields of a form.
    Upload,
    /// `cachedContent`.
    CachedContent,
    /// A container whose state an earlier call left.
    Container,
    /// A tool that the provider runs as often as it likes.
    ServerTool,
    /// The provider sums the conversation up first, if it likes.
    Compaction,
    /// A part of a message of a kind that we do not know.
    Part,
}

impl Reference {
    /// In the words of a refusal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreviousResponse => "previous_response_id",
            Self::Conversation => "a conversation",
            Self::Prompt => "a stored prompt",
            Self::Item => "an item of an earlier answer",
            Self::File => "a stored file",
            Self::Url => "a URL",
            Self::Audio => "audio",
            Self::Document => "a document",
            Self::Upload => "an uploaded file",
            Self::CachedContent => "cached content",
            Self::Container => "a container",
            Self::ServerTool => "a tool of the provider's without a cap",
            Self::Compaction => "a compaction",
            Self::Part => "a part of an unknown kind",
        }
    }
}

impl Bound {
    /// What keeps money, or tokens too, from being known.
    #[must_use]
    pub const fn unknown(&self) -> Option<Unknown> {
        match (self.tokens, self.money) {
            (None, _) => Some(Unknown::Limits),
            (Some(_), None) => Some(Unknown::Price),
            (Some(_), Some(_)) => None,
        }
    }
}

impl Extent {
    /// The bound at `price`, of a model of these `limits`; of what is free it is zero, and neither need be known.
    #[must_use]
    pub fn bound(&self, price: Option<&Price>, limits: Option<Limits>) -> Bound {
        if self.is_free() {
            return Bound { tokens: Some(0), money: Some(NanoUsd(0)), output_tokens_max: Some(0), unbounded: None };
        }
        let by_unit = price.and_then(|price| self.by_unit(price));
        if let Some(money) = by_unit.filter(|_| price.is_some_and(|price| price.rates.input.is_none())) {
            // The length of a recording is presumed, unlike what a body says itself.
            let unbounded = self.reference().filter(|_| self.format == Format::Transcription);
            return Bound { tokens: Some(0), money: Some(money), output_tokens_max: Some(0), unbounded };
        }
        let input = self.input(limits);
        let output = self.output(price, limits);
        let tokens = input.zip(output).map(|(input, output)| input.tokens.saturating_add(output.tokens()));
        let most = arithmetic::limits_of_money(price, limits);
        let sold = self.input(most).zip(self.output(price, most)).zip(price);
        let money = sold.and_then(|((input, output), price)| self.money(price, input, output));
        // Where both are sold, the answer tells which it was.
        let money = money.map(|money| by_unit.map_or(money, |by_unit| money.max(by_unit)));
        Bound { tokens, money, output_tokens_max: output.map(arithmetic::Output::tokens), unbounded: self.reference() }
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
