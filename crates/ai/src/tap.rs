//! What an answer says of itself, read while it passes: usage, model, id, and whether it came to its end.
//!
//! Nothing is held up, but for an event of a chat stream that may be the usage chunk which the caller did not ask for.

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
    /// The model that answered; at most 256 bytes.
    pub model: Option<String>,
    /// The provider's id of the answer; at most 256 bytes.
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
    hold: Option<Hold>,
}

impl Tap {
    /// A tap for an answer in `format`. `streamed` says that it is a stream of events (its `content-type`, not what was
    /// asked for); `drop_usage_chunk` takes the extra usage chunk out of a chat stream.
    #[must_use]
    pub fn new(format: Format, streamed: bool, drop_usage_chunk: bool) -> Self {
        let hold = (drop_usage_chunk && format == Format::Chat).then(Hold::default);
        let events = streamed.then(|| Events { framer: Framer::new(), hold });
        Self { reading: Reading::new(format, streamed), events }
    }

    /// Reads on; answers what goes to the caller now.
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        let Some(events) = &mut self.events else {
            self.reading.push(&bytes);
            return bytes;
        };
        let mut rest: &[u8] = &bytes;
        while !rest.is_empty() {
            let (piece, after) = events.framer.next(rest);
            rest = after;
            let at = bytes.len() - rest.len();
            match piece {
                Piece::None => {}
                Piece::Data(data) => self.reading.push_event(events.framer.name(), data),
                Piece::End => {
                    let is_usage_chunk = end(&mut self.reading, &mut events.framer);
                    if let Some(hold) = &mut events.hold {
                        hold.end(&bytes, at, is_usage_chunk);
                    }
                }
                Piece::EndTail => {
                    if let Some(hold) = &mut events.hold {
                        hold.end_tail(&bytes, at);
                    }
                }
            }
        }
        match &mut events.hold {
            Some(hold) => hold.take(&bytes),
            None => bytes,
        }
    }

    /// The answer is over, whole or cut: what was still held, and what was seen.
    #[must_use]
    pub fn finish(mut self) -> (Bytes, Seen) {
        let Some(mut events) = self.events else {
            self.reading.end(None);
            return (Bytes::new(), self.reading.seen());
        };
        // Clients read a last event whose blank line is missing, so it counts.
        let is_usage_chunk = end(&mut self.reading, &mut events.framer);
        let rest = events.hold.map(|hold| hold.finish(is_usage_chunk)).unwrap_or_default();
        (rest, self.reading.seen())
    }
}

/// An event is over: reads it. Whether it is the usage chunk.
fn end(reading: &mut Reading, framer: &mut Framer) -> bool {
    let is_usage_chunk = framer.has_data() && reading.end(framer.name());
    framer.clear();
    is_usage_chunk
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
