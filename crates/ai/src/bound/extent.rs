//! What a body says of how much may be used.

use std::ops::Range;

use meter::Billed;

use super::Reference;
use super::reader::Reader;
use crate::endpoint::{Called, Endpoint};
use crate::format::Format;
use crate::price::Terms;
use crate::request::Asked;

/// Most images that a form of OpenAI's asks for (its API reference, read 2026-11-20).
const FORM_IMAGES_MAX: u64 = 10;

/// How often a tool without a cap is taken to be run where nothing else is configured. Each round counts as a whole window of
/// the model, which is room for what many searches return.
pub const TOOL_ROUNDS: u64 = 1;

/// What a body says of how much may be used; read once, for prices and limits that may be known later.
///
/// Reading takes 0.8 to 1.5 times what [`read`](crate::request::read) took (`benches/bound.rs`), so it is for calls to which
/// a budget applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    pub(super) format: Format,
    pub(super) free: bool,
    /// Bytes of the body without those of its images.
    pub(super) text_bytes: u64,
    pub(super) images: u64,
    /// Answers that are asked for.
    pub(super) choices: u64,
    /// Questions of a list, each with so many answers; without a list there is one.
    pub(super) prompts: u64,
    pub(super) limit: Limit,
    pub(super) writes: Writes,
    /// Whether tools are declared, for which providers add words of their own.
    pub(super) tools: bool,
    pub(super) served: Served,
    pub(super) reference: Option<Reference>,
    /// `None`: terms that we know no rates of.
    pub(super) terms: Option<Terms>,
    /// Whether words are predicted: those that turn out wrong are paid for too.
    pub(super) predicted: bool,
    pub(super) billed: Option<Billed>,
    /// How often a tool without a cap is taken to be run.
    pub(super) tool_rounds: u64,
}

/// The limit of an answer's tokens, and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Limit {
    /// What is asked for; of several the most.
    pub(super) asked: Option<u64>,
    /// Whether something stands there that is no count.
    pub(super) odd: bool,
    /// The least that may be asked for beside what else the body says.
    pub(super) least: u64,
    /// Where it stands.
    pub(super) places: Vec<Range<usize>>,
    /// Where it would be put, and between what.
    pub(super) room: Option<(Range<usize>, &'static str, &'static str)>,
}

/// Which writes to caches a body may lead to, as far as each has its rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Writes {
    #[default]
    None,
    /// For the short lifetime.
    Short,
    /// For the long one.
    Long,
}

/// Tools that the provider runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Served {
    /// How often those are run at most that have a cap.
    pub(super) capped: u64,
    /// Whether there is one that has none.
    pub(super) uncapped: bool,
    /// A cap over all of them.
    pub(super) cap: Option<u64>,
    /// Whether one of them searches the web.
    pub(super) searches: bool,
    /// Sources that searches may read, each at the fee of a search.
    pub(super) sources: u64,
    /// Whether one of them asks Google Maps.
    pub(super) maps: bool,
    /// Whether one of them searches stored files.
    pub(super) file_searches: bool,
    /// Gigabytes of the containers in which they run.
    pub(super) gigabytes: u64,
    /// Whether one of them adds words of its own to the input before the model is asked first.
    pub(super) adds: bool,
}

impl Extent {
    /// Reads a body that [`read`](crate::request::read) took as `asked`.
    #[must_use]
    pub fn read(called: &Called<'_>, asked: &Asked, body: &[u8]) -> Self {
        let Some(format) = called.endpoint.format() else { return Self::of(Format::Chat, true, body.len()) };
        let free = called.endpoint.free() || format == Format::Moderations;
        let mut extent = Self { billed: asked.billable, ..Self::of(format, free, body.len()) };
        if free {
            return extent;
        }
        let is_form = !body.trim_ascii_start().starts_with(b"{");
        if is_form {
            extent.reference = Some(Reference::Upload);
            extent.choices = if format == Format::Images { FORM_IMAGES_MAX } else { 1 };
            return extent;
        }
        if called.endpoint == Endpoint::ImagesEdits {
            extent.reference = Some(Reference::Url);
        }
        Reader::new(extent).read(body)
    }

    /// The same call, where a tool without a cap is taken to be run `rounds` times.
    #[must_use]
    pub const fn with_tool_rounds(mut self, rounds: u64) -> Self {
        self.tool_rounds = rounds;
        self
    }

    /// The same call to a model that searches the web in each request, whatever the body says; the fee of a request covers the
    /// search.
    #[must_use]
    pub const fn searching(mut self) -> Self {
        self.served.uncapped = true;
        self
    }

    const fn of(format: Format, free: bool, bytes: usize) -> Self {
        Self {
            format,
            free,
            text_bytes: bytes as u64,
            images: 0,
            choices: 1,
            prompts: 0,
            limit: Limit { asked: None, odd: false, least: 1, places: Vec::new(), room: None },
            writes: Writes::None,
            tools: false,
            served: Served {
                capped: 0,
                uncapped: false,
                cap: None,
                searches: false,
                sources: 0,
                maps: false,
                file_searches: false,
                gigabytes: 0,
                adds: false,
            },
            reference: None,
            terms: Some(Terms { tier: crate::price::Tier::Standard, us: false }),
            predicted: false,
            billed: None,
            tool_rounds: TOOL_ROUNDS,
        }
    }

    /// What the body only refers to, of several the first.
    pub(super) fn reference(&self) -> Option<Reference> {
        let tool = self.served.uncapped && self.served.cap.is_none();
        self.reference.or(tool.then_some(Reference::ServerTool))
    }

    pub(super) const fn is_free(&self) -> bool {
        self.free
    }
}
