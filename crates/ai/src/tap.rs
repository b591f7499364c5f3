//! What an answer says of itself, read while it passes: usage, model, id, and whether it came to its end.
//!
//! A stream goes on event by event, Gemini's array element by element: one that has begun is held until it is whole, so
//! that a cut leaves no half of one. Bodies are not held up.

mod array;
mod framing;
mod hold;
mod reading;

use bytes::Bytes;
use meter::{UnknownCost, Usage};

use crate::error::{self, Problem};
use crate::format::Format;
use crate::price::Terms;
use crate::sse::{Framer, Piece};
use crate::stop;
use array::Array;
pub use framing::Framing;
use hold::Hold;
use reading::Reading;

/// What was seen of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the provider says that it used; of several figures the last. `None` when it says nothing.
    ///
    /// Images that come without figures are counted. A moderation says nothing and has used nothing that is sold: its
    /// usage is there, with no class told.
    pub usage: Option<Usage>,
    /// The terms on which it was served; its price depends on them. `None` where no usage is reported or the terms are unknown.
    pub terms: Option<Terms>,
    /// Why reported usage has no cost, as far as the response says; a price at `terms` is then no more than a part of it.
    pub unknown: Option<UnknownCost>,
    /// The usage object as the provider wrote it, at most 8 KiB; of a Messages stream a list of two, that of its start and
    /// the last one. `None` where none was told, or none that can be kept.
    pub raw_usage: Option<Box<str>>,
    /// The model that answered; its first 200 bytes at most.
    pub model: Option<String>,
    /// The provider's id of the answer; its first 200 bytes at most.
    pub id: Option<String>,
    /// Whether the answer came to its end: the stream's terminal event, or the whole JSON value. Of an answer that is not
    /// read it is known only that nobody cut it.
    ///
    /// A chat stream has ended too when its last choice said why it finished, as not everybody sends `[DONE]`; Gemini's
    /// has no other end.
    pub ended: bool,
}

/// Reads one answer. Any split of its bytes gives the same [`Seen`] and the same output.
#[derive(Debug)]
pub struct Tap {
    format: Format,
    reading: Reading,
    frames: Frames,
}

/// How the answer is passed on.
#[derive(Debug)]
enum Frames {
    Json,
    Events(Events),
    Array(Array),
    Opaque,
}

/// A stream's framing.
#[derive(Debug)]
struct Events {
    framer: Framer,
    hold: Hold,
    drop_usage_chunk: bool,
}

impl Tap {
    /// A tap for an answer in `format`, framed as [`Framing::of`] says; `drop_usage_chunk` takes the extra usage chunk out
    /// of a chat or completions stream.
    #[must_use]
    pub fn new(format: Format, framing: Framing, drop_usage_chunk: bool) -> Self {
        let drop_usage_chunk = drop_usage_chunk && matches!(format, Format::Chat | Format::Completions);
        let frames = match framing {
            Framing::Json => Frames::Json,
            Framing::Events => {
                Frames::Events(Events { framer: Framer::new(), hold: Hold::default(), drop_usage_chunk })
            }
            Framing::Array => Frames::Array(Array::default()),
            Framing::Opaque => Frames::Opaque,
        };
        Self { format, reading: Reading::new(format, framing), frames }
    }

    /// Reads on; answers what goes to the caller now. Of a stream that is all up to the end of its last whole event or
    /// element, in place where nothing was held of it before; one of more than 64 KiB goes on as it comes.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.frames {
            Frames::Events(events) => events.push(&mut self.reading, bytes),
            Frames::Array(array) => array.push(&mut self.reading, bytes),
            Frames::Json => {
                self.reading.push(&bytes);
                bytes
            }
            Frames::Opaque => bytes,
        }
    }

    /// The answer is over: what is still held, and what was seen.
    ///
    /// The rest goes on where the answer is whole, as a last event may lack its blank line. Of one that was cut it is the
    /// half event that no caller should see.
    #[must_use]
    pub fn finish(mut self) -> (Bytes, Seen) {
        let rest = match self.frames {
            Frames::Events(events) => events.finish(&mut self.reading),
            Frames::Array(array) => array.finish(&mut self.reading),
            Frames::Json => {
                self.reading.end(None);
                Bytes::new()
            }
            Frames::Opaque => {
                self.reading.close();
                Bytes::new()
            }
        };
        (rest, self.reading.seen())
    }

    /// The upstream has ended the answer in good order: what is still held, and what was seen.
    ///
    /// A stream that lacks its format's last event ends with its format's error event instead, as [`Tap::cut`] writes it:
    /// clients take the end of the bytes for a good end. Nothing is added where the provider reported an error itself.
    #[must_use]
    pub fn close(mut self, problem: &Problem<'_>) -> (Bytes, Seen) {
        let rest = match self.frames {
            Frames::Events(events) => events.close(self.format, &mut self.reading, problem),
            Frames::Array(array) => array.close(&mut self.reading, problem),
            Frames::Json | Frames::Opaque => return self.finish(),
        };
        (rest, self.reading.seen())
    }

    /// The caller has gone before the end: what was seen so far.
    #[must_use]
    pub fn abandon(self) -> Seen {
        let is_opaque = matches!(self.frames, Frames::Opaque);
        // Of bytes that nobody reads the end is not known.
        if is_opaque { self.reading.seen() } else { self.finish().1 }
    }

    /// Moves on when [`Tap::used`] may be more than it was: when usage is told, and every 256 events of text.
    #[must_use]
    pub const fn news(&self) -> u32 {
        self.reading.news()
    }

    /// What the answer has used by now, at the least: what was told, and a token for each event of text, as most providers tell
    /// theirs at the end; and on what terms. Of text 256 events are not counted, as some of them may hold none. `None` when
    /// nothing but its end is to come.
    #[must_use]
    pub fn used(&self) -> Option<(Usage, Terms)> {
        (!self.reading.is_ending()).then(|| self.reading.used())
    }

    /// The answer is cut because it has used what it may: what ends it in its format's own words for an answer that is too long,
    /// and what was seen. What was held is dropped.
    #[must_use]
    pub fn stop(mut self) -> (Bytes, Seen) {
        let last = match self.frames {
            Frames::Events(events) => {
                let open = events.hold.is_passing();
                stop::events(self.format, open, &self.reading.partial()).into()
            }
            Frames::Array(array) => array.stop(&self.reading),
            Frames::Json | Frames::Opaque => Bytes::new(),
        };
        self.reading.end(None);
        (last, self.reading.seen())
    }

    /// The answer is cut: what tells the caller so in the words of its format, and what was seen. What was held is dropped.
    ///
    /// Nothing is told in a body, which is cut itself, nor behind half an element of Gemini's array that went on already.
    #[must_use]
    pub fn cut(mut self, problem: &Problem<'_>) -> (Bytes, Seen) {
        let last = match self.frames {
            Frames::Events(events) => {
                let last = events.error(self.format, &self.reading, problem);
                events.finish(&mut self.reading);
                last
            }
            Frames::Array(array) => array.cut(&mut self.reading, problem),
            Frames::Json => {
                self.reading.end(None);
                Bytes::new()
            }
            Frames::Opaque => Bytes::new(),
        };
        (last, self.reading.seen())
    }
}

impl Events {
    fn push(&mut self, reading: &mut Reading, bytes: Bytes) -> Bytes {
        let mut rest: &[u8] = &bytes;
        while !rest.is_empty() {
            if self.framer.between()
                && let Some(event) = self.framer.whole(rest)
            {
                rest = event.rest;
                let drop = reading.event(event.name, event.data) && self.drop_usage_chunk;
                self.hold.end(&bytes, bytes.len() - rest.len(), drop);
                continue;
            }
            let (piece, after) = self.framer.next(rest);
            rest = after;
            let at = bytes.len() - rest.len();
            match piece {
                Piece::None => {}
                Piece::Data(data) => reading.push_event(self.framer.name(), data),
                Piece::End => {
                    let drop = self.end(reading);
                    self.hold.end(&bytes, at, drop);
                }
                Piece::EndTail => self.hold.end_tail(&bytes, at),
            }
            if self.framer.between() {
                self.hold.pass(at);
            }
        }
        self.hold.take(bytes)
    }

    fn finish(mut self, reading: &mut Reading) -> Bytes {
        // Clients read a last event whose blank line is missing, so it counts.
        let drop = self.end(reading);
        self.hold.finish(drop)
    }

    /// What is held, or the error of `format` where the stream lacks its end.
    fn close(self, format: Format, reading: &mut Reading, problem: &Problem<'_>) -> Bytes {
        // Of a stream that has ended already nothing is left to be read.
        let error = (!reading.is_told()).then(|| self.error(format, reading, problem));
        let rest = self.finish(reading);
        match error {
            Some(error) if !reading.is_told() => error,
            Some(_) | None => rest,
        }
    }

    /// The error event that follows the events which were passed on.
    fn error(&self, format: Format, reading: &Reading, problem: &Problem<'_>) -> Bytes {
        error::event(format, self.hold.is_passing(), problem, &reading.partial()).into()
    }

    /// An event is over: reads it. Whether it is dropped.
    fn end(&mut self, reading: &mut Reading) -> bool {
        if self.framer.has_data() {
            reading.note_event(self.framer.name());
        }
        let is_usage_chunk = self.framer.has_data() && reading.end(self.framer.name());
        self.framer.clear();
        is_usage_chunk && self.drop_usage_chunk
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
