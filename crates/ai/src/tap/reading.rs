//! Reads the facts of a response from each format.

mod calls;
mod errors;
mod keys;
mod paths;
mod raw;
mod texts;
mod tools;

use std::sync::Arc;

use access::Tokens;
use memchr::memchr;
use meter::{Source, UnknownCost, Usage};

use super::ResponseFacts;
use crate::format::Format;
use crate::price::{PriceTerms, Tier};
use crate::scan::Scanner;
use crate::scan::text::{BorrowedText, unquoted};
use crate::short::Short;
use crate::streams::framing::ResponseFraming;
use crate::streams::partial::Partial;
use crate::usage::plain::{self, PlainNames, PlainUsage};
use crate::usage::{all_figures_are_counts, chat, fees, google, media, messages, responses};
use errors::{EventError, is_error};
use keys::{ESCAPED_LETTER, QUOTED_ERROR, QUOTED_FINISH, QUOTED_TIER, QUOTED_USAGE, leads_to, values};
use paths::{BLOCK, CHOICE_USAGE, DELTA_USAGE, DURATION, ERROR, FINISH, ID, ITEMS, MODEL, TIER, TYPE, USAGE};

/// Longest model name or id that is kept, in bytes; longer ones are cut.
const NAME_BYTES_MAX: usize = 200;
/// The data of the event that ends a chat stream.
const DONE: &[u8] = b"[DONE]";

/// Reads a response's single JSON value, or the values of its events one by one.
#[derive(Debug)]
pub(super) struct Reading {
    format: Format,
    framing: ResponseFraming,
    scanner: Scanner,
    head: Short<{ DONE.len() }>,
    figures: messages::MessagesFigures,
    /// The terms that were reported last; `None` if Tollgate does not know them.
    terms: Option<PriceTerms>,
    /// Calls of tools that the provider runs itself.
    tools: tools::Tools,
    /// Whether a reported figure was not a count.
    unreadable: bool,
    /// Images without reported figures, in events.
    images: u64,
    raw: raw::RawUsages,
    texts: texts::Texts,
    news: u32,
    /// Events so far, including dropped ones.
    events: u64,
    /// The creation time of the response, in Unix seconds.
    created: u64,
    /// Whether the provider reported an error in a separate event, or in an element of Gemini's array.
    has_failed: bool,
    /// Whether the end of a stream that has no content is refused.
    refuses_end: bool,
    /// Whether the event that ended last is such an end.
    has_refused_end: bool,
    /// Whether Gemini reported a finish reason, or the reason for which it blocked the prompt.
    has_finished: bool,
    event_error: EventError,
    is_failed_response: bool,
    facts: ResponseFacts,
}

impl Reading {
    pub(super) fn new(format: Format, framing: ResponseFraming) -> Self {
        Self {
            format,
            framing,
            scanner: Scanner::new(paths::for_response(format, framing)),
            head: Short::new(),
            figures: messages::MessagesFigures::default(),
            terms: Some(PriceTerms::default()),
            tools: tools::Tools::default(),
            unreadable: false,
            images: 0,
            raw: raw::RawUsages::default(),
            texts: texts::Texts::default(),
            news: 0,
            events: 0,
            created: 0,
            has_failed: false,
            refuses_end: false,
            has_refused_end: false,
            has_finished: false,
            event_error: EventError::None,
            is_failed_response: false,
            facts: ResponseFacts::default(),
        }
    }

    /// Switches to a body, as the stream turned out to be one JSON value.
    pub(super) const fn expect_body(&mut self) {
        self.framing = ResponseFraming::Json;
    }

    /// Reads a further part of the value.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.scanner.push(bytes);
    }

    /// Reads a whole event. Returns whether it is a usage chunk.
    pub(super) fn event(&mut self, name: &[u8], data: &[u8]) -> bool {
        self.note_event(Some(name));
        let idle = if self.has_choices() { self.is_idle_chunk(data) } else { !self.matters(Some(name)) };
        if idle {
            self.note_tool(Some(name));
            return false;
        }
        self.push_event(Some(name), data);
        self.end(Some(name))
    }

    /// Reads a further part of an event's data. The name of most text events shows that they contain nothing else.
    pub(super) fn push_event(&mut self, name: Option<&[u8]>, data: &[u8]) {
        if self.has_choices() {
            self.head.add(data);
        } else if !self.matters(name) {
            return;
        }
        self.scanner.push(data);
    }

    /// Ends the value, or the data of an event of this name. Returns whether it is a usage chunk: without a choice and
    /// with usage.
    pub(super) fn end(&mut self, name: Option<&[u8]>) -> bool {
        let mut is_usage_chunk = false;
        self.note_tool(name);
        if self.framing == ResponseFraming::Events && self.head.get() == Some(DONE) {
            self.has_refused_end = self.refuses_end && !self.has_failed;
            self.facts.ended = !self.has_refused_end;
        } else if self.scanner.whole() {
            is_usage_chunk = self.read(name);
        }
        self.head.clear();
        self.scanner.reset();
        is_usage_chunk
    }

    /// Ends the last value of the response.
    pub(super) const fn close(&mut self) {
        self.facts.ended = true;
    }

    /// Ends Gemini's array at its closing bracket. Without a finish reason, the response is incomplete.
    pub(super) const fn close_array(&mut self) {
        self.facts.ended = self.has_finished;
    }

    /// Takes the facts that were read.
    pub(super) fn facts(&mut self) -> ResponseFacts {
        if self.format == Format::Messages {
            self.facts.usage = self.figures.usage();
            self.terms = self.figures.terms(self.facts.model.as_deref());
        }
        self.facts.usage = self.facts.usage.map(|usage| self.with_tools(usage));
        self.facts.unknown = if self.facts.usage.is_none() {
            None
        } else if self.unreadable {
            Some(UnknownCost::UnreadableUsage)
        } else if self.tools.unpriced() {
            Some(UnknownCost::UnpricedTool)
        } else if self.terms.is_none() {
            Some(UnknownCost::UnknownTerms)
        } else {
            None
        };
        self.facts.terms = if self.facts.usage.is_some() { self.terms } else { None };
        self.facts.raw_usage = self.raw.json();
        std::mem::take(&mut self.facts)
    }

    /// Adds the calls of tools that the usage object does not report. Calls that both report are the same calls.
    fn with_tools(&self, usage: Usage) -> Usage {
        Usage { tools: tools::most(&usage.tools, &self.tools.calls()), ..usage }
    }

    /// Counts an event of this name that has ended.
    pub(super) fn note_event(&mut self, name: Option<&[u8]>) {
        self.events = self.events.saturating_add(1);
        self.event_error = EventError::of_name(name);
        self.has_failed |= self.event_error == EventError::Error;
        self.news = self.news.wrapping_add(u32::from(self.texts.add(self.format, name)));
    }

    pub(super) const fn news(&self) -> u32 {
        self.news
    }

    /// Whether the client knows how the stream ended: by its format's last event, or by an error of the provider.
    pub(super) const fn is_end_known(&self) -> bool {
        self.facts.ended || self.has_failed
    }

    /// Whether the usage is due: it follows the finish reason of Chat, and the last block of Messages.
    pub(super) fn awaits_usage(&self) -> bool {
        (matches!(self.format, Format::Chat | Format::Completions) && self.facts.ended && self.facts.usage.is_none())
            || (self.format == Format::Messages && !self.is_end_known() && self.texts.blocks_are_over())
    }

    /// Whether the stream of Messages has begun, and its end is not known.
    pub(super) const fn is_within_message(&self) -> bool {
        self.facts.id.is_some() && !self.is_end_known()
    }

    /// Whether only the end of the response is missing.
    pub(super) const fn is_ending(&self) -> bool {
        self.facts.ended || self.has_finished || self.texts.blocks_are_over()
    }

    /// Returns the minimum usage so far, and its terms.
    pub(super) fn used(&self) -> (Usage, PriceTerms) {
        let reported = if self.format == Format::Messages { self.figures.usage() } else { self.facts.usage };
        let mut usage = reported.unwrap_or(Usage::empty(Source::Bounded));
        let reported_output = usage.output.unwrap_or_default().saturating_add(usage.reasoning.unwrap_or_default());
        let text = Tokens(self.texts.tokens());
        if text > reported_output {
            usage.output = Some(text.saturating_sub(usage.reasoning.unwrap_or_default()));
        }
        if usage.has_tokens() {
            usage = self.with_tools(usage);
        }
        (usage, self.terms.unwrap_or_default())
    }

    /// Returns the known facts of the stream, for Tollgate's own end of it.
    pub(super) fn partial(&self) -> Partial<'_> {
        let (usage, _) = self.used();
        let output = usage.output.unwrap_or_default().saturating_add(usage.reasoning.unwrap_or_default());
        let input = usage.total().saturating_sub(output);
        Partial {
            id: self.facts.id.as_deref(),
            model: self.facts.model.as_deref(),
            created: self.created,
            tokens: (input, output),
            block: self.texts.open_block(),
            sequence: self.events,
        }
    }

    /// Counts a tool call of an event with this name or type.
    fn note_tool(&mut self, name: Option<&[u8]>) {
        if self.format == Format::Responses
            && let Some(name) = name
        {
            self.tools.announce(name);
            self.facts.has_called_tools |= calls::announces(self.format, name);
        }
    }

    /// Whether its events are chunks without a name, with choices, which `[DONE]` ends.
    const fn has_choices(&self) -> bool {
        matches!(self.format, Format::Chat | Format::Completions)
    }

    /// Whether events of this name are read; events without a name always are.
    fn matters(&self, name: Option<&[u8]>) -> bool {
        match (self.format, name) {
            (_, Some(b"")) => true,
            (
                Format::Chat
                | Format::Completions
                | Format::Embeddings
                | Format::Moderations
                | Format::GenerateContent
                | Format::EmbedContent,
                _,
            ) => true,
            (Format::Responses, Some(b"response.created"))
            | (Format::Messages, Some(b"message_start" | b"message_delta")) => true,
            (_, Some(name)) => is_terminal(self.format, name),
            (_, None) => false,
        }
    }

    /// Whether reading this chat chunk would change nothing. This is known for nearly all chunks without a scan.
    ///
    /// A string that only resembles a key causes a scan and no other effect.
    fn is_idle_chunk(&self, data: &[u8]) -> bool {
        // A chunk after the final one can revoke the end.
        !self.facts.ended
            && self.facts.model.is_some()
            && self.facts.id.is_some()
            && data != DONE
            && !leads_to(&QUOTED_USAGE, b'{', data)
            && !leads_to(&QUOTED_FINISH, b'"', data)
            && !values(&QUOTED_ERROR, data).any(is_error)
            && !values(&QUOTED_TIER, data).any(|value| self.is_news(value))
            && ESCAPED_LETTER.find(data).is_none()
    }

    /// Whether a tier that begins with `tier` may differ from the last one. All of OpenAI's chunks have a tier.
    fn is_news(&self, tier: &[u8]) -> bool {
        let Some(word) = tier.strip_prefix(b"\"") else { return false };
        let word = memchr(b'"', word).and_then(|end| word.get(..end)).and_then(|word| std::str::from_utf8(word).ok());
        word.is_none_or(|word| terms_of(word) != self.terms)
    }

    fn read(&mut self, name: Option<&[u8]>) -> bool {
        for (path, text) in [(MODEL, &mut self.facts.model), (ID, &mut self.facts.id)] {
            if text.is_none() {
                *text = self.scanner.picked(path).and_then(string);
            }
        }
        self.read_state();
        self.facts.has_called_tools |= calls::reports(self.format, &self.scanner);
        let is_terminal = {
            let kind = self.scanner.picked(TYPE).and_then(unquoted).or(name);
            if self.format == Format::Responses
                && name.is_none_or(<[u8]>::is_empty)
                && let Some(kind) = self.scanner.picked(TYPE).and_then(unquoted)
            {
                self.tools.announce(kind);
            }
            kind.is_some_and(|kind| is_terminal(self.format, kind))
        };
        let has_usage = self.read_usage(is_terminal);
        if let ResponseFraming::Json | ResponseFraming::Opaque = self.framing {
            self.facts.ended = true;
        }
        if matches!(self.format, Format::GenerateContent | Format::EmbedContent) {
            let is_text = |path| self.scanner.picked(path).is_some_and(|reason| reason.starts_with(b"\""));
            self.has_finished |= is_text(FINISH) || is_text(BLOCK);
        }
        if self.framing != ResponseFraming::Events {
            return false;
        }
        match self.format {
            Format::Chat | Format::Completions | Format::Embeddings | Format::Moderations => {
                let has_error = self.scanner.picked(ERROR).is_some_and(is_error);
                if let Some(reason) = self.scanner.picked(FINISH) {
                    // OpenRouter's last chunk has the reason `error` if the provider has failed.
                    self.facts.ended = reason.starts_with(b"\"") && reason != b"\"error\"" && !has_error;
                }
                has_usage && self.scanner.elements(FINISH) == Some(0)
            }
            Format::GenerateContent | Format::EmbedContent => {
                self.facts.ended |= self.has_finished;
                false
            }
            Format::Responses | Format::Messages | Format::Images | Format::Speech | Format::Transcription => {
                self.facts.ended |= is_terminal;
                false
            }
        }
    }

    /// Reads the usage. Returns whether an object reports it, with any content.
    fn read_usage(&mut self, is_terminal: bool) -> bool {
        let of_choice = self.has_choices() && self.framing == ResponseFraming::Events;
        let of_choice = || if of_choice { self.scanner.picked(CHOICE_USAGE) } else { None };
        let is_object = |json: &&[u8]| json.starts_with(b"{");
        let json = self.scanner.picked(USAGE).filter(is_object).or_else(|| of_choice().filter(is_object));
        let has_usage = json.is_some();
        self.news = self.news.wrapping_add(u32::from(has_usage || self.scanner.picked(DELTA_USAGE).is_some()));
        let reported = if self.format == Format::Messages { json.or(self.scanner.picked(DELTA_USAGE)) } else { json };
        let plain = json.and_then(|json| plain::read(json, PlainNames::for_format(self.format)?));
        if let Some(json) = reported {
            // Each of Anthropic's objects reports some figures; the last object of other formats reports all.
            let unreadable = plain.is_none() && !all_figures_are_counts(json);
            self.unreadable = unreadable || (self.unreadable && self.format == Format::Messages);
        }
        let delta = if self.format == Format::Messages { self.scanner.picked(DELTA_USAGE) } else { None };
        self.raw.keep(json, delta);
        let usage = match self.format {
            Format::Chat | Format::Completions | Format::Embeddings => {
                with_fees(json, plain, &mut self.raw, &mut self.tools, chat::read)
            }
            Format::Responses => {
                self.tools.read_response(&self.scanner);
                with_fees(json, plain, &mut self.raw, &mut self.tools, responses::read)
            }
            Format::Messages => {
                for json in [json, self.scanner.picked(DELTA_USAGE)].into_iter().flatten() {
                    self.figures.read(json);
                }
                None
            }
            Format::GenerateContent | Format::EmbedContent => {
                self.tools.read_grounding(&self.scanner);
                let reported = json.and_then(|json| google::read(json, self.format == Format::EmbedContent));
                reported.map(|reported| {
                    self.terms = reported.terms;
                    reported.usage
                })
            }
            Format::Images => {
                let reported = json.and_then(media::images).map(|(usage, is_standard)| {
                    self.terms = is_standard.then(PriceTerms::default);
                    usage
                });
                reported.or_else(|| self.images_made(is_terminal))
            }
            Format::Speech => json.and_then(media::speech),
            Format::Transcription => {
                json.and_then(media::transcription).or_else(|| self.scanner.picked(DURATION).and_then(media::duration))
            }
            Format::Moderations => self.scanner.elements(ITEMS).map(|_| Usage::empty(Source::Reported)),
        };
        self.facts.usage = usage.or(self.facts.usage);
        if self.format != Format::Messages
            && let Some(tier) = self.scanner.picked(TIER).and_then(string)
        {
            self.terms = terms_of(&tier);
        }
        has_usage
    }

    /// Counts the images of a body, or of the events so far, if no figures are reported.
    fn images_made(&mut self, is_terminal: bool) -> Option<Usage> {
        let images = if self.framing == ResponseFraming::Events {
            self.images = self.images.saturating_add(u64::from(is_terminal));
            self.images
        } else {
            self.scanner.elements(ITEMS).map_or(0, u64::from)
        };
        // Figures that were reported earlier are better than a count.
        (images > 0 && !self.facts.usage.is_some_and(|usage| usage.has_tokens())).then(|| media::image_usage(images))
    }
}

/// Reads the usage object of OpenAI or a compatible provider, which `raw` keeps, with the fees beside the tokens.
fn with_fees(
    json: Option<&[u8]>,
    plain: Option<PlainUsage>,
    raw: &mut raw::RawUsages,
    tools: &mut tools::Tools,
    read: impl Fn(&[u8]) -> Option<Usage>,
) -> Option<Usage> {
    let json = json?;
    let usage = match plain {
        Some(plain) => plain.usage?,
        None => {
            let fees = fees::read(json);
            tools.add_unpriced(fees.unpriced);
            Usage { tools: fees.tools, ..read(json)? }
        }
    };
    raw.note_parsed();
    Some(usage)
}

/// Returns the terms of OpenAI's tiers.
fn terms_of(word: &str) -> Option<PriceTerms> {
    Tier::of_openai(word).map(|tier| PriceTerms { tier, us: false })
}

fn is_terminal(format: Format, kind: &[u8]) -> bool {
    match format {
        Format::Responses => matches!(kind, b"response.completed" | b"response.incomplete" | b"response.failed"),
        Format::Messages => kind == b"message_stop",
        Format::Images => matches!(kind, b"image_generation.completed" | b"image_edit.completed"),
        Format::Speech => kind == b"speech.audio.done",
        Format::Transcription => kind == b"transcript.text.done",
        Format::Chat
        | Format::Completions
        | Format::Embeddings
        | Format::Moderations
        | Format::GenerateContent
        | Format::EmbedContent => false,
    }
}

/// Returns the text of a string; `None` if it is not a string or is empty.
fn string(json: &[u8]) -> Option<Arc<str>> {
    let BorrowedText(text) = serde_json::from_slice(json).ok()?;
    text.get(..text.floor_char_boundary(NAME_BYTES_MAX)).filter(|text| !text.is_empty()).map(Arc::from)
}

#[cfg(test)]
impl Reading {
    pub(super) fn buffered_bytes(&self) -> usize {
        self.scanner.buffered_bytes() + self.raw.buffered_bytes()
    }
}
