//! What an answer says of itself, read while it passes: usage, model, id, and whether it came to its end.
//!
//! A stream goes on event by event: one that has begun is held until it is whole, so that a cut leaves no half of one.
//! Bodies are not held up.

mod hold;
mod reading;

use bytes::Bytes;
use meter::Usage;

use crate::format::Format;
use crate::sse::{Framer, Piece};
use hold::Hold;
use reading::Reading;

/// What was seen of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What the provider says that it used; of several figures the last. `None` when it says nothing.
    pub usage: Option<Usage>,
    /// Whether the usage is told and the price table's rates hold for it. They do not where the answer says that it had
    /// another tier, speed or place than the standard one.
    pub priceable: bool,
    /// The model that answered; its first 200 bytes at most.
    pub model: Option<String>,
    /// The provider's id of the answer; its first 200 bytes at most.
    pub id: Option<String>,
    /// Whether the answer came to its end: the stream's terminal event, or the whole JSON value.
    ///
    /// A chat stream has ended too when its last choice said why it finished, as not everybody sends `[DONE]`.
    pub ended: bool,
}

/// Reads one answer. Any split of its bytes gives the same [`Seen`] and the same output.
#[derive(Debug)]
pub struct Tap {
    reading: Reading,
    events: Option<Events>,
}

/// A stream's framing.
#[derive(Debug)]
struct Events {
    framer: Framer,
    hold: Hold,
    drop_usage_chunk: bool,
}

impl Tap {
    /// A tap for an answer in `format`. `streamed` says that it is a stream of events (its `content-type`, not what was
    /// asked for); `drop_usage_chunk` takes the extra usage chunk out of a chat stream.
    #[must_use]
    pub fn new(format: Format, streamed: bool, drop_usage_chunk: bool) -> Self {
        let drop_usage_chunk = drop_usage_chunk && format == Format::Chat;
        let events = streamed.then(|| Events { framer: Framer::new(), hold: Hold::default(), drop_usage_chunk });
        Self { reading: Reading::new(format, streamed), events }
    }

    /// Reads on; answers what goes to the caller now. Of a stream that is all up to the end of its last whole event, in
    /// place where nothing was held of it before; an event of more than 64 KiB goes on as it comes.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.events {
            Some(events) => events.push(&mut self.reading, bytes),
            None => {
                self.reading.push(&bytes);
                bytes
            }
        }
    }

    /// The answer is over: what is still held, and what was seen.
    ///
    /// The rest goes on where the answer is whole, as a last event may lack its blank line. Of one that was cut it is the
    /// half event that no caller should see.
    #[must_use]
    pub fn finish(mut self) -> (Bytes, Seen) {
        let rest = match self.events {
            Some(events) => events.finish(&mut self.reading),
            None => {
                self.reading.end(None);
                Bytes::new()
            }
        };
        (rest, self.reading.seen())
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

    /// An event is over: reads it. Whether it is dropped.
    fn end(&mut self, reading: &mut Reading) -> bool {
        let is_usage_chunk = self.framer.has_data() && reading.end(self.framer.name());
        self.framer.clear();
        is_usage_chunk && self.drop_usage_chunk
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
