//! The parts of a body that determine the maximum usage of a request.

use std::ops::Range;

use meter::BilledQuantity;

use super::Reference;
use super::names::Name;
use crate::format::Format;
use crate::hosts::host::{obeys_max_tokens_alone, searches_by_name, takes_models};
use crate::price::PriceTerms;

/// Presumed number of runs of a tool without a cap, if nothing else is configured. Each round counts as a whole window
/// of the model, which covers the results of many searches.
pub const TOOL_ROUNDS: u64 = 1;

/// Maximum number of other models that are read. OpenRouter takes fewer.
const MODELS_MAX: usize = 16;

/// The parts of a body that determine the maximum usage; read once, for prices and limits that may be known later.
///
/// Reading takes 0.7 to 2 times as long as [`read`](crate::request::read) (`benches/bound.rs`), so it is done only
/// for requests to which a budget applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    pub(super) format: Format,
    pub(super) free: bool,
    /// Bytes of the body without those of its images and files, if these are read.
    pub(super) text_bytes: u64,
    pub(super) images: u64,
    /// Presumed tokens of other files, and of images that the body only refers to.
    pub(super) file_tokens: u64,
    /// The number of requested responses per prompt.
    pub(super) choices: u64,
    /// The number of prompts in a list, each with `choices` responses; 1 without a list.
    pub(super) prompts: u64,
    pub(super) limit: Limit,
    pub(super) writes: Writes,
    /// Whether tools are declared, for which providers add tokens of their own.
    pub(super) tools: bool,
    pub(super) served: ServerToolUse,
    /// The first content that the body only refers to.
    pub(super) reference: Option<Reference>,
    /// Whether any content of the body is audio.
    pub(super) has_audio: bool,
    /// Whether the body requests audio.
    pub(super) makes_audio: bool,
    /// Whether the provider may first summarize the conversation.
    pub(super) compacts: bool,
    /// The requested terms; `None` if Tollgate knows no rates for them.
    pub(super) terms: Option<PriceTerms>,
    /// Whether the body predicts output: wrongly predicted tokens are billed too.
    pub(super) predicted: bool,
    pub(super) billed: Option<BilledQuantity>,
    /// Presumed number of runs of a tool without a cap.
    pub(super) tool_rounds: u64,
    /// The models of the list `models`, as far as they are read, and one more if there are too many.
    pub(super) models: Vec<String>,
}

/// The limit of output tokens, and its positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    /// The requested limit; the highest if there are several.
    pub(super) requested: Option<u64>,
    /// Whether a value is not a count, or a repeated field is a count and null.
    pub(super) odd: bool,
    /// The lowest limit that the rest of the body permits.
    pub(super) least: u64,
    /// The fields of the body that are a limit, each name once.
    pub(super) fields: Vec<LimitField>,
    /// The field that is added to a body without one.
    pub(super) added: Name,
    /// The position at which a limit can be inserted, and the text before and after it.
    pub(super) room: Option<(Range<usize>, &'static str, &'static str)>,
}

/// A field that is a limit of output tokens. A body may repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LimitField {
    pub(super) name: Name,
    /// The positions of its values.
    pub(super) places: Vec<Range<usize>>,
    /// Whether a value is null.
    pub(super) is_null: bool,
    /// Whether a value is not null.
    pub(super) is_set: bool,
    /// The highest value that is a count.
    pub(super) requested: Option<u64>,
    /// Whether a value is not a count, or the values are a count and null.
    pub(super) odd: bool,
}

impl Limit {
    /// Derives the requested limit from the fields.
    pub(super) fn read_fields(&mut self) {
        self.requested = self.fields.iter().filter_map(|field| field.requested).max();
        self.odd = self.fields.iter().any(|field| field.odd);
    }
}

/// The cache writes that a body may cause; each lifetime has its own rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Writes {
    #[default]
    None,
    /// Writes with the short lifetime.
    Short,
    /// Writes with the long lifetime.
    Long,
}

/// Tools that the provider runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ServerToolUse {
    /// Maximum number of runs of all tools that have a cap.
    pub(super) capped: u64,
    /// Whether one tool has no cap.
    pub(super) uncapped: bool,
    /// A cap over all tools together.
    pub(super) cap: Option<u64>,
    /// Whether one tool searches the web.
    pub(super) searches: bool,
    /// Sources that searches may read, each at the fee of a search.
    pub(super) sources: u64,
    /// Whether one tool queries Google Maps.
    pub(super) maps: bool,
    /// Whether one tool searches stored files.
    pub(super) file_searches: bool,
    /// Whether one tool has a fee that no price states.
    pub(super) unpriced: bool,
    /// Gigabytes of the containers in which tools run.
    pub(super) gigabytes: u64,
    /// Whether one tool adds tokens to the input before the first sampling.
    pub(super) adds: bool,
}

impl Extent {
    /// Returns the same extent with `rounds` presumed runs of a tool without a cap.
    #[must_use]
    pub const fn with_tool_rounds(mut self, rounds: u64) -> Self {
        self.tool_rounds = rounds;
        self
    }

    /// Returns the same extent for a model that searches the web in each request, for any body; the fee per request
    /// covers the search.
    #[must_use]
    pub const fn searching(mut self) -> Self {
        self.served.uncapped = true;
        self
    }

    /// Returns the same extent for `model` of a provider at `host`: a suffix of the name may add a search to any body. Its
    /// results precede the conversation, and no cap of the body applies to it.
    #[must_use]
    pub fn of_model(mut self, host: &str, model: &str) -> Self {
        if !self.free && searches_by_name(host, model) {
            self.served = ServerToolUse { uncapped: true, cap: None, searches: true, adds: true, ..self.served };
        }
        self
    }

    /// Adds a model of the list `models`.
    pub(super) fn add_model(&mut self, name: &str) {
        if self.models.len() <= MODELS_MAX {
            self.models.push(name.to_owned());
        }
    }

    /// Returns the other models by which the provider at the host may serve the call. The bound is then the highest of all.
    #[must_use]
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// Whether the list `models` has more models than are read.
    #[must_use]
    pub const fn lists_too_many_models(&self) -> bool {
        self.models.len() > MODELS_MAX
    }

    /// Returns the same extent for a provider at `host`, without the limits of output tokens and the models that it ignores.
    #[must_use]
    pub fn at_host(mut self, host: &str) -> Self {
        if !takes_models(host) {
            self.models.clear();
        } else if self.models.len() > MODELS_MAX {
            self.reference.get_or_insert(Reference::Models);
        }
        if self.format == Format::Chat && obeys_max_tokens_alone(host) {
            let limit = &mut self.limit;
            limit.fields.retain(|field| field.name == Name::MaxTokens);
            limit.read_fields();
            limit.added = Name::MaxTokens;
            limit.room = limit.room.take().map(|(at, _, behind)| (at, "\"max_tokens\":", behind));
        }
        self
    }

    pub(super) const fn new(format: Format, free: bool, bytes: usize) -> Self {
        Self {
            format,
            free,
            text_bytes: bytes as u64,
            images: 0,
            file_tokens: 0,
            choices: 1,
            prompts: 0,
            limit: Limit {
                requested: None,
                odd: false,
                least: 1,
                fields: Vec::new(),
                added: added(format),
                room: None,
            },
            writes: Writes::None,
            tools: false,
            served: ServerToolUse {
                capped: 0,
                uncapped: false,
                cap: None,
                searches: false,
                sources: 0,
                maps: false,
                file_searches: false,
                unpriced: false,
                gigabytes: 0,
                adds: false,
            },
            reference: None,
            has_audio: false,
            makes_audio: false,
            compacts: false,
            terms: Some(PriceTerms { tier: crate::price::Tier::Standard, us: false }),
            predicted: false,
            billed: None,
            tool_rounds: TOOL_ROUNDS,
            models: Vec::new(),
        }
    }

    /// Returns a provider tool without a cap, or the first content that the body only refers to.
    pub(super) fn reference(&self) -> Option<Reference> {
        let tool = self.served.uncapped && self.served.cap.is_none();
        tool.then_some(Reference::ServerTool).or(self.reference)
    }

    pub(super) const fn is_free(&self) -> bool {
        self.free
    }
}

/// Returns the limit that is added to a body of this format without one.
const fn added(format: Format) -> Name {
    match format {
        Format::Chat => Name::MaxCompletionTokens,
        Format::Responses | Format::GenerateContent => Name::MaxOutputTokens,
        Format::Completions
        | Format::Messages
        | Format::Embeddings
        | Format::EmbedContent
        | Format::Images
        | Format::Speech
        | Format::Transcription
        | Format::Moderations => Name::MaxTokens,
    }
}
