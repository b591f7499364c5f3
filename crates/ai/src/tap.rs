//! Reads a response while it is forwarded: usage, model, id, and whether it is complete.
//!
//! Streams are forwarded event by event, Gemini's array element by element: an incomplete event is held until it is
//! whole, so that an aborted stream contains no half event. Other bodies are forwarded without delay.

mod array;
mod guard;
mod hold;
mod reading;

use std::sync::Arc;

use bytes::Bytes;
use meter::{UnknownCost, Usage};

use crate::error::{self, FormatProblem};
use crate::failures::account_error::HiddenError;
use crate::format::Format;
use crate::price::PriceTerms;
use crate::response_edits::{ResponseEditor, ResponseEdits};
pub use crate::streams::framing::{ResponseFraming, begins_events};
use crate::streams::opening::{Opening, OpeningState};
use crate::streams::sse::{Framer, Piece};
use crate::streams::stop;
use array::Array;
pub use guard::AccountGuard;
use hold::Hold;
use reading::Reading;

/// The sign of life of a stream without comments, between its events or elements.
pub(crate) const BLANK_LINE: &[u8] = b"\n";

/// The facts that were read from a response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseFacts {
    /// The usage that the provider reported; the last report counts. `None` if it reported none.
    ///
    /// Images without reported usage are counted. A moderation reports no usage and uses nothing that is sold: its
    /// usage is present, but without any token class.
    pub usage: Option<Usage>,
    /// The terms of service, which determine the price. `None` if no usage is reported or the terms are unknown.
    pub terms: Option<PriceTerms>,
    /// The reason why reported usage has no cost, as far as the response shows it; a price at `terms` is then only a
    /// part of it.
    pub unknown: Option<UnknownCost>,
    /// The usage object as the provider wrote it, at most 8 KiB. For a Messages stream a list of two: the object at its
    /// start and the last one. `None` if no object was reported or it cannot be kept.
    pub raw_usage: Option<Arc<str>>,
    /// The model that created the response; at most its first 200 bytes.
    pub model: Option<Arc<str>>,
    /// The provider's id of the response; at most its first 200 bytes.
    pub id: Option<Arc<str>>,
    /// Whether the response is complete: the stream's terminal event arrived, or the whole JSON value. For a response
    /// that is not read, `true` means only that the upstream did not abort it.
    ///
    /// A chat stream is also complete once its last choice has a finish reason, as some providers do not send `[DONE]`;
    /// Gemini's streams have no other end, and its array is complete if a finish reason precedes its closing bracket.
    pub ended: bool,
    /// Whether the model called a tool of the client. Gemini's responses are not searched for calls.
    pub has_called_tools: bool,
    /// The error that the client got in place of one about the operator's account.
    pub hidden: Option<HiddenError>,
}

/// Reads one response. Any split of its bytes gives the same [`ResponseFacts`] and the same output.
#[derive(Debug)]
pub struct Tap {
    format: Format,
    /// In a box, because a tap is moved when it ends.
    reading: Box<Reading>,
    frames: Frames,
    /// The beginning of a chat stream that passes unchanged, until its first content.
    opening: Option<Box<Opening>>,
    framing: ResponseFraming,
    /// Edits the bytes that are forwarded; `None` if they pass as they are.
    editor: Option<Box<ResponseEditor>>,
    /// Hides the operator's account in errors; `None` if they pass as they are.
    guard: Option<Box<AccountGuard>>,
}

/// The way in which the response is forwarded.
#[derive(Debug)]
enum Frames {
    Json,
    Events(Events),
    Array(Array),
    Opaque,
}

/// The framing state of an event stream.
#[derive(Debug)]
struct Events {
    framer: Framer,
    hold: Hold,
    drop_usage_chunk: bool,
}

impl Tap {
    /// Creates a tap for a response in `format`, framed as [`ResponseFraming::from_content_type`] reports;
    /// `drop_usage_chunk` removes the extra usage chunk from a chat or completions stream.
    #[must_use]
    pub fn new(format: Format, framing: ResponseFraming, drop_usage_chunk: bool) -> Self {
        let drop_usage_chunk = drop_usage_chunk && matches!(format, Format::Chat | Format::Completions);
        let frames = match framing {
            ResponseFraming::Json => Frames::Json,
            ResponseFraming::Events => {
                Frames::Events(Events { framer: Framer::new(), hold: Hold::default(), drop_usage_chunk })
            }
            ResponseFraming::Array => Frames::Array(Array::default()),
            ResponseFraming::Opaque => Frames::Opaque,
        };
        Self {
            format,
            reading: Box::new(Reading::new(format, framing)),
            frames,
            opening: None,
            framing,
            editor: None,
            guard: None,
        }
    }

    /// Refuses the end of a chat stream without content: clients would take it for an empty response. [`Tap::close`] then writes
    /// the error.
    #[must_use]
    pub fn refusing_empty(self) -> Self {
        let is_chat =
            matches!(self.format, Format::Chat | Format::Completions) && matches!(self.frames, Frames::Events(_));
        let opening = is_chat.then(|| Box::new(Opening::new(self.format, ResponseFraming::Events)));
        Self { opening, ..self }
    }

    /// Whether the stream has ended without content, which [`Tap::refusing_empty`] refuses.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.reading.refuses_end()
    }

    /// Edits the response behind the reading, so that the facts are those of the provider.
    #[must_use]
    pub fn with_edits(self, edits: ResponseEdits) -> Self {
        let editor = ResponseEditor::new(self.format, self.framing, edits).map(Box::new);
        Self { editor, ..self }
    }

    /// Hides the operator's account in errors of the response.
    #[must_use]
    pub fn with_guard(self, guard: AccountGuard) -> Self {
        Self { guard: Some(Box::new(guard)), ..self }
    }

    /// Whether the response for the client may have another length than that of the provider.
    #[must_use]
    pub const fn has_edits(&self) -> bool {
        self.editor.is_some()
    }

    /// Reads more bytes and returns the bytes to forward now. For a stream these are all bytes up to the end of its
    /// last whole event or element, without a copy if nothing was held before. Events of more than 64 KiB are forwarded
    /// as they arrive.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        if let Some(opening) = &mut self.opening {
            match opening.push(&bytes) {
                OpeningState::Opening => {}
                OpeningState::Content => self.opening = None,
                OpeningState::Failed | OpeningState::Ended => {
                    self.opening = None;
                    self.reading.refuse_end();
                }
            }
        }
        let passed = match &mut self.frames {
            Frames::Events(events) => events.push(&mut self.reading, self.guard.as_deref(), bytes),
            Frames::Array(array) => array.push(&mut self.reading, self.guard.as_deref(), bytes),
            Frames::Json => {
                self.reading.push(&bytes);
                match &mut self.guard {
                    Some(guard) => guard.push_body(&mut self.reading, bytes),
                    None => bytes,
                }
            }
            Frames::Opaque => bytes,
        };
        match &mut self.editor {
            Some(editor) => editor.push(passed),
            None => passed,
        }
    }

    /// Ends the response: returns the bytes that are still held, and the facts that were read.
    ///
    /// If the response is complete, the held bytes are forwarded, as a last event may lack its blank line. If it was
    /// aborted, they are the half event that the client must not receive.
    #[must_use]
    pub fn finish(mut self) -> (Bytes, ResponseFacts) {
        let rest = match self.frames {
            Frames::Events(events) => events.finish(&mut self.reading, self.guard.as_deref()),
            Frames::Array(array) => array.finish(&mut self.reading, self.guard.as_deref()),
            Frames::Json => {
                self.reading.end(None);
                self.guard.as_mut().map_or_else(Bytes::new, |guard| guard.end_body(&mut self.reading))
            }
            Frames::Opaque => {
                self.reading.close();
                Bytes::new()
            }
        };
        (edited(self.editor, rest), self.reading.facts())
    }

    /// The upstream has ended the response regularly: returns the bytes that are still held, and the facts that were
    /// read.
    ///
    /// A stream without its format's last event gets the format's error event instead, as [`Tap::cut`] writes it:
    /// clients would take the end of the bytes for a regular end. Nothing is added if the provider reported an error
    /// itself.
    #[must_use]
    pub fn close(mut self, problem: &FormatProblem<'_>) -> (Bytes, ResponseFacts) {
        let rest = match self.frames {
            Frames::Events(events) => events.close(&mut self.reading, self.guard.as_deref(), problem),
            Frames::Array(array) => array.close(&mut self.reading, self.guard.as_deref(), problem),
            Frames::Json | Frames::Opaque => return self.finish(),
        };
        (edited(self.editor, rest), self.reading.facts())
    }

    /// The client has disconnected before the end: returns the facts that were read so far.
    #[must_use]
    pub fn abandon(mut self) -> ResponseFacts {
        let is_opaque = matches!(self.frames, Frames::Opaque);
        // The end of bytes that are not read is unknown.
        if is_opaque { self.reading.facts() } else { self.finish().1 }
    }

    /// Increases when [`Tap::used`] may have increased: when usage is reported, and every 256 text events.
    #[must_use]
    pub const fn news(&self) -> u32 {
        self.reading.news()
    }

    /// Returns the minimum usage of the response so far, and its terms: the reported usage, and one token per text
    /// event, as most providers report usage at the end only. 256 text events are not counted, as some events may hold
    /// no token. `None` if only the end of the response is missing.
    #[must_use]
    pub fn used(&self) -> Option<(Usage, PriceTerms)> {
        (!self.reading.is_ending()).then(|| self.reading.used())
    }

    /// Whether the model has finished, and the provider has not reported its usage, which follows at once.
    #[must_use]
    pub fn awaits_usage(&self) -> bool {
        matches!(self.frames, Frames::Events(_)) && self.reading.awaits_usage()
    }

    /// Ends a response that has used its whole reservation: returns its format's regular end of a response that is too
    /// long, and the facts that were read. Held bytes are dropped.
    #[must_use]
    pub fn stop(mut self) -> (Bytes, ResponseFacts) {
        let last = match self.frames {
            Frames::Events(events) => {
                let open = events.hold.is_passing();
                stop::events(self.format, open, &self.reading.partial()).into()
            }
            Frames::Array(array) => array.stop(&self.reading),
            Frames::Json | Frames::Opaque => Bytes::new(),
        };
        self.reading.end(None);
        (edited(self.editor, last), self.reading.facts())
    }

    /// Returns bytes that clients pass over, for a stream whose provider is silent; `None` for any other body, and after a
    /// part of an event.
    #[must_use]
    pub fn keep_alive(&self) -> Option<&'static [u8]> {
        match &self.frames {
            Frames::Events(events) if !events.hold.is_passing() => {
                Some(keep_alive(self.format, self.reading.is_within_message()))
            }
            Frames::Array(array) => array.keep_alive(),
            Frames::Events(_) | Frames::Json | Frames::Opaque => None,
        }
    }

    /// Aborts the response: returns the error event of its format, and the facts that were read. Held bytes are
    /// dropped.
    ///
    /// No error is written into a body, which is aborted itself, or after half an element of Gemini's array that was
    /// forwarded already.
    #[must_use]
    pub fn cut(mut self, problem: &FormatProblem<'_>) -> (Bytes, ResponseFacts) {
        let last = match self.frames {
            Frames::Events(events) => {
                let last = events.error(self.format, &self.reading, problem);
                events.finish(&mut self.reading, None);
                last
            }
            Frames::Array(array) => array.cut(&mut self.reading, problem),
            Frames::Json => {
                self.reading.end(None);
                Bytes::new()
            }
            Frames::Opaque => Bytes::new(),
        };
        (edited(self.editor, last), self.reading.facts())
    }
}

/// Returns an event of a format without an effect. Clients of Messages may take any event before the start for an error.
const fn keep_alive(format: Format, is_within_message: bool) -> &'static [u8] {
    match format {
        Format::Messages if is_within_message => b"event: ping\ndata: {\"type\":\"ping\"}\n\n",
        // Google's SDKs refuse comments, and pass over blank lines.
        Format::GenerateContent | Format::EmbedContent => BLANK_LINE,
        Format::Chat
        | Format::Completions
        | Format::Embeddings
        | Format::Moderations
        | Format::Responses
        | Format::Messages
        | Format::Images
        | Format::Speech
        | Format::Transcription => b": keepalive\n\n",
    }
}

/// Returns the edited last bytes of a response, behind those that the editor holds.
fn edited(editor: Option<Box<ResponseEditor>>, last: Bytes) -> Bytes {
    let Some(mut editor) = editor else { return last };
    let edited = editor.push(last);
    let held = editor.finish();
    if held.is_empty() { edited } else { [edited, held].concat().into() }
}

impl Events {
    fn push(&mut self, reading: &mut Reading, guard: Option<&AccountGuard>, bytes: Bytes) -> Bytes {
        let mut rest: &[u8] = &bytes;
        while !rest.is_empty() {
            if self.framer.between()
                && let Some(event) = self.framer.whole(rest)
            {
                rest = event.rest;
                let is_usage_chunk = reading.event(event.name, event.data);
                let drop = (is_usage_chunk && self.drop_usage_chunk) || reading.take_refused_end();
                let at = bytes.len() - rest.len();
                self.discard_long_error(guard, Some(event.name), &bytes, at);
                match self.other_event(reading, guard, &bytes, at) {
                    Some(other) => self.hold.replace(&bytes, at, &other),
                    None => self.hold.end(&bytes, at, drop),
                }
                continue;
            }
            let (piece, after) = self.framer.next(rest);
            rest = after;
            let at = bytes.len() - rest.len();
            match piece {
                Piece::None => {}
                Piece::Data(data) => reading.push_event(self.framer.name(), data),
                Piece::End => {
                    self.discard_long_error(guard, None, &bytes, at);
                    let drop = self.end(reading);
                    match self.other_event(reading, guard, &bytes, at) {
                        Some(other) => self.hold.replace(&bytes, at, &other),
                        None => self.hold.end(&bytes, at, drop),
                    }
                }
                Piece::EndTail => self.hold.end_tail(&bytes, at),
            }
            if self.framer.between() {
                self.hold.pass(at);
            }
        }
        self.discard_long_error(guard, None, &bytes, bytes.len());
        self.hold.take(bytes)
    }

    /// Discards the open event, which ends before `at` or later, if it may be an error that is too long to be read. `name` is
    /// that of an event that the framer has read as a whole.
    fn discard_long_error(&mut self, guard: Option<&AccountGuard>, name: Option<&[u8]>, bytes: &[u8], at: usize) {
        if guard.is_some() && self.hold.overflows(at) && !self.hold.is_discarding() {
            let begun = self.hold.open(bytes, at).unwrap_or_default();
            if guard::may_be_error(name.or_else(|| self.framer.name()), &begun) {
                self.hold.discard();
            }
        }
    }

    fn finish(mut self, reading: &mut Reading, guard: Option<&AccountGuard>) -> Bytes {
        self.discard_long_error(guard, None, &[], 0);
        // Clients read a last event whose blank line is missing, so it counts.
        let drop = self.end(reading);
        match self.other_event(reading, guard, &[], 0) {
            Some(other) => other.into(),
            None => self.hold.finish(drop),
        }
    }

    /// Returns the event in place of the open one, which has ended before `at`, if it is an error about the operator's account.
    fn other_event(
        &self,
        reading: &mut Reading,
        guard: Option<&AccountGuard>,
        bytes: &[u8],
        at: usize,
    ) -> Option<Vec<u8>> {
        let guard = guard?;
        if self.hold.is_discarding() {
            return Some(guard.long_event(reading));
        }
        guard.event(reading, || self.hold.open(bytes, at).map(|event| guard::data_of(&event)))
    }

    /// Returns the held bytes, or the error of the format if the stream lacks its end.
    fn close(self, reading: &mut Reading, guard: Option<&AccountGuard>, problem: &FormatProblem<'_>) -> Bytes {
        // A stream that is complete needs no error event.
        let error = (!reading.is_end_known()).then(|| self.error(reading.format(), reading, problem));
        let rest = self.finish(reading, guard);
        match error {
            Some(error) if !reading.is_end_known() => error,
            Some(_) | None => rest,
        }
    }

    /// Returns the error event that follows the forwarded events.
    fn error(&self, format: Format, reading: &Reading, problem: &FormatProblem<'_>) -> Bytes {
        error::event(format, self.hold.is_passing(), problem, &reading.partial()).into()
    }

    /// Reads an event that has ended. Returns whether it is dropped.
    fn end(&mut self, reading: &mut Reading) -> bool {
        if self.framer.has_data() {
            reading.note_event(self.framer.name());
        }
        let is_usage_chunk = self.framer.has_data() && reading.end(self.framer.name());
        self.framer.clear();
        (is_usage_chunk && self.drop_usage_chunk) || reading.take_refused_end()
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
