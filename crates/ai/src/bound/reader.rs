//! Interprets each token of a body by the path at which it is found.

mod rules;

use std::ops::Range;

use super::Reference;
use super::estimate::{DOCUMENT_BYTES_PER_TOKEN, FILE_TOKENS, RECORDING_BYTES_PER_TOKEN};
use super::extent::{Extent, LimitField, Writes};
use super::names::Name;
use super::walk::{Text, Token, Walk};
use crate::endpoint::{Endpoint, EndpointCall};
use crate::format::Format;
use crate::price::Tier;
use crate::request::RequestFields;

/// Maximum number of images that a form of OpenAI's can request (its API reference, read 2026-11-20).
const FORM_IMAGES_MAX: u64 = 10;

/// Maximum depth to which any API gives a meaning; deeper values are skipped.
const DEPTH_MAX: usize = 24;

/// Maximum number of responses of OpenAI (its API reference, read 2026-11-20): presumed if the requested number is
/// invalid.
const CHOICES_MAX: u64 = 128;

/// Builds an [`Extent`] from the tokens of a body; see the module.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) extent: Extent,
    /// The keys of the open objects and lists; the first is the body itself.
    path: [Name; DEPTH_MAX],
    lists: [bool; DEPTH_MAX],
    depth: usize,
    blobs: Vec<Blob>,
    tools: Vec<Tool>,
    pub(super) item: Item,
}

/// The position of a value: the keys above it, its own key, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot<'a> {
    pub(super) path: &'a [Name],
    pub(super) name: Name,
    pub(super) at: Range<usize>,
}

/// A value of the body other than an object or list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Text(Text<'a>),
    Word(&'a str),
}

/// An image or a file inside the body, as far as it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Blob {
    depth: usize,
    pub(super) data_bytes: u64,
    pub(super) encoded: bool,
    /// Whether the body also names another encoding.
    pub(super) plain: bool,
    pub(super) image: bool,
    /// Whether the kind is neither an image nor text.
    pub(super) other: bool,
    /// Whether the kind is a recording: audio or video.
    pub(super) recorded: bool,
    pub(super) referred: Option<Reference>,
}

/// A declared tool, as far as it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tool {
    pub(super) depth: usize,
    pub(super) served: bool,
    pub(super) searches: bool,
    /// Sources that a search may read, if each has the fee of a search.
    pub(super) sources: u64,
    /// The largest stated maximum of sources.
    pub(super) cap_of_sources: Option<u64>,
    /// Whether a mode was read.
    pub(super) has_mode: bool,
    pub(super) maps: bool,
    pub(super) file_searches: bool,
    pub(super) unpriced: bool,
    /// Whether the tool runs in a container.
    pub(super) contained: bool,
    /// Whether the client provides the tool's environment.
    pub(super) is_own: bool,
    /// Gigabytes of that container, if they are stated.
    pub(super) gigabytes: Option<u64>,
    pub(super) adds: bool,
    pub(super) cap: Option<u64>,
}

/// An item of a Responses request, as far as it is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) id: bool,
    pub(super) other: bool,
}

impl Extent {
    /// Reads a body that [`read`](crate::request::read) parsed into `fields`.
    #[must_use]
    pub fn read(called: &EndpointCall<'_>, fields: &RequestFields, body: &[u8]) -> Self {
        let Some(format) = called.endpoint.format() else { return Self::new(Format::Chat, true, body.len()) };
        let free = called.endpoint.free() || format == Format::Moderations;
        let mut extent = Self { billed: fields.billable, ..Self::new(format, free, body.len()) };
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
}

impl Reader {
    pub(super) fn new(extent: Extent) -> Self {
        Self {
            extent,
            path: [Name::Other; DEPTH_MAX],
            lists: [false; DEPTH_MAX],
            depth: 0,
            blobs: Vec::new(),
            tools: Vec::new(),
            item: Item::default(),
        }
    }

    pub(super) fn read(mut self, body: &[u8]) -> Extent {
        let mut walk = Walk::new(body);
        let mut key = Name::Other;
        while let Some(token) = walk.next() {
            match token {
                Token::Key(text) => key = Name::from_key(&text.resolved()),
                Token::Open { list, at } => {
                    let name = self.name(key);
                    if !self.open(name, list, at, body) {
                        walk.pass_over(list);
                    }
                }
                Token::Close => self.close(),
                Token::String(text, at) => self.value(self.name(key), Value::Text(text), at),
                Token::Word(word, at) => self.value(self.name(key), Value::Word(word), at),
            }
        }
        self.extent
    }

    /// Returns the name of the value: its key, or `Element` in a list.
    fn name(&self, key: Name) -> Name {
        let in_list = self.depth.checked_sub(1).and_then(|at| self.lists.get(at)) == Some(&true);
        if in_list { Name::Element } else { key }
    }

    /// Reads the start of an object or list. Returns whether its contents are read.
    fn open(&mut self, name: Name, list: bool, at: usize, body: &[u8]) -> bool {
        let path = self.path;
        let above = path.get(1..self.depth).unwrap_or_default();
        let enters = self.depth == 0 || rules::opens(self, &Spot { path: above, name, at: at..at + 1 }, body);
        if !enters {
            return false;
        }
        let Some(place) = self.path.get_mut(self.depth) else {
            return false;
        };
        let Some(is_list) = self.lists.get_mut(self.depth) else {
            return false;
        };
        (*place, *is_list) = (name, list);
        if self.depth == 0 {
            rules::begins(self, at, body);
        }
        self.depth += 1;
        true
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if let Some(blob) = self.blobs.pop_if(|blob| blob.depth == self.depth) {
            rules::closes_blob(self, blob);
        }
        if let Some(tool) = self.tools.pop_if(|tool| tool.depth == self.depth) {
            self.count(tool);
        }
        let path = self.path;
        if let [Name::Input, Name::Element] = path.get(1..=self.depth).unwrap_or_default() {
            let item = std::mem::take(&mut self.item);
            if item.id && !item.other {
                self.refer(Reference::Item);
            }
        }
    }

    fn value(&mut self, name: Name, value: Value<'_>, at: Range<usize>) {
        let path = self.path;
        rules::value(self, &Spot { path: path.get(1..self.depth).unwrap_or_default(), name, at }, value);
    }

    /// Starts an image or a file with the object that begins here.
    pub(super) fn begin_blob(&mut self) {
        self.blobs.push(Blob { depth: self.depth, ..Blob::default() });
    }

    pub(super) fn blob(&mut self) -> Option<&mut Blob> {
        let depth = self.depth;
        self.blobs.last_mut().filter(|blob| blob.depth + 1 == depth)
    }

    /// Starts a tool with the object that begins here.
    pub(super) fn begin_tool(&mut self) {
        self.tools.push(Tool { depth: self.depth, ..Tool::default() });
    }

    pub(super) fn tool(&mut self) -> Option<&mut Tool> {
        let depth = self.depth;
        self.tools.last_mut().filter(|tool| tool.depth + 1 == depth)
    }

    /// Counts a tool if the provider runs it.
    pub(super) fn count(&mut self, tool: Tool) {
        let served = &mut self.extent.served;
        if tool.served && !tool.is_own {
            served.uncapped |= tool.cap.is_none();
            served.capped = served.capped.saturating_add(tool.cap.unwrap_or(0));
            served.searches |= tool.searches;
            served.sources = served.sources.saturating_add(tool.sources);
            served.maps |= tool.maps;
            served.file_searches |= tool.file_searches;
            served.unpriced |= tool.unpriced;
            served.adds |= tool.adds;
            let gigabytes = if tool.contained { tool.gigabytes.unwrap_or(1) } else { 0 };
            served.gigabytes = served.gigabytes.saturating_add(gigabytes);
        }
    }

    /// Counts a tool that is declared by a single field.
    pub(super) fn serves(&mut self, tool: Tool) {
        self.count(Tool { served: true, ..tool });
    }

    /// Returns the tool that contains the current value, at any depth.
    pub(super) fn tool_around(&mut self) -> Option<&mut Tool> {
        self.tools.last_mut()
    }

    pub(super) fn refer(&mut self, reference: Reference) {
        let extent = &mut self.extent;
        extent.has_audio |= reference == Reference::Audio;
        extent.compacts |= reference == Reference::Compaction;
        extent.reference = extent.reference.or(Some(reference));
    }

    /// Refers to a document that has `bytes` bytes in the body.
    pub(super) fn add_document(&mut self, bytes: u64) {
        self.refer(Reference::Document);
        self.add_file(bytes / DOCUMENT_BYTES_PER_TOKEN);
        self.exclude(bytes);
    }

    /// Refers to a recording that has `bytes` bytes in the body.
    pub(super) fn add_recording(&mut self, reference: Reference, bytes: u64) {
        self.refer(reference);
        self.add_file(bytes / RECORDING_BYTES_PER_TOKEN);
        self.exclude(bytes);
    }

    /// Refers to a file at a URL.
    pub(super) fn add_url(&mut self) {
        self.refer(Reference::Url);
        self.add_file(0);
    }

    /// Adds a file to the estimate of the input, with `tokens` for its bytes.
    pub(super) fn add_file(&mut self, tokens: u64) {
        self.extent.file_tokens = self.extent.file_tokens.saturating_add(FILE_TOKENS).saturating_add(tokens);
    }

    /// Excludes the bytes of a file from those of the text.
    pub(super) fn exclude(&mut self, bytes: u64) {
        self.extent.text_bytes = self.extent.text_bytes.saturating_sub(bytes);
    }

    /// Counts an image that is given by its URL or by its data.
    pub(super) fn image(&mut self, value: Value<'_>) {
        match value {
            // PHP escapes the slash.
            Value::Text(url) if [&b"data:image/"[..], b"data:image\\/"].iter().any(|start| url.begins_with(start)) => {
                self.add_image(url.bytes());
            }
            Value::Text(url) if url.begins_with(b"data:") => self.add_document(url.bytes()),
            Value::Text(_) => self.add_url(),
            Value::Word(_) => {}
        }
    }

    /// Counts an image that has `bytes` bytes in the body.
    pub(super) fn add_image(&mut self, bytes: u64) {
        self.extent.images = self.extent.images.saturating_add(1);
        self.exclude(bytes);
    }

    /// Reads a limit of output tokens. Of two equal fields a provider may use either, so a null is then no limit.
    pub(super) fn limit(&mut self, value: Value<'_>, spot: &Spot<'_>) {
        let limit = &mut self.extent.limit;
        let name = spot.name;
        let is_null = value.is_null();
        if !limit.fields.iter().any(|field| field.name == name) {
            let is_null = false;
            let is_set = false;
            let requested = None;
            let odd = false;
            limit.fields.push(LimitField { name, places: Vec::new(), is_null, is_set, requested, odd });
        }
        if let Some(field) = limit.fields.iter_mut().find(|field| field.name == name) {
            field.places.push(spot.at.clone());
            field.is_null |= is_null;
            field.is_set |= !is_null;
            let count = value.count();
            field.requested = field.requested.max(count);
            field.odd |= field.is_set && (field.is_null || count.is_none());
        }
        limit.read_fields();
    }

    pub(super) fn choices(&mut self, value: Value<'_>) {
        if !value.is_null() {
            let count = value.count().unwrap_or(CHOICES_MAX);
            self.extent.choices = self.extent.choices.max(count);
        }
    }

    pub(super) fn writes(&mut self, writes: Writes) {
        self.extent.writes = self.extent.writes.max(writes);
    }

    pub(super) fn tier(&mut self, value: Value<'_>) {
        if let Value::Text(word) = value {
            let of = if self.extent.format == Format::GenerateContent { Tier::of_google } else { Tier::of_openai };
            self.set_tier(of(&word.resolved()));
        }
    }

    pub(super) fn set_tier(&mut self, tier: Option<Tier>) {
        self.extent.terms = self.extent.terms.zip(tier).map(|(terms, tier)| crate::price::PriceTerms { tier, ..terms });
    }
}

impl Value<'_> {
    pub(super) fn is_null(self) -> bool {
        self == Value::Word("null")
    }

    /// Returns a count as lenient readers do: a fraction is rounded up, and a string may hold it.
    pub(super) fn count(self) -> Option<u64> {
        let text = match self {
            Self::Text(text) => text.resolved(),
            Self::Word(word) => word.into(),
        };
        let text = text.trim();
        if let Ok(count) = text.parse() {
            return Some(count);
        }
        let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates, and is no less")]
        Some(number.ceil() as u64)
    }

    pub(super) fn says(self, words: &[&str]) -> bool {
        matches!(self, Value::Text(text) if words.contains(&&*text.resolved()))
    }

    /// Whether the value is a string that is not empty.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Value::Text(text) if text.bytes() > 0)
    }
}
