//! A stream of events with damage.

use std::collections::VecDeque;

use ai::{Dialect, Format};
use hyper::body::Bytes;

use crate::error::MockError;
use crate::faults::damage::{BodyDamage, values};
use crate::wire::{EventSequence, StreamStage};

/// The text of a long event repeats blocks of this size.
const BLOCK_BYTES: usize = 64 * 1024;
/// The number of regular events before that of `error-event`.
const ERROR_AFTER: u64 = 5;

/// The events of a stream with damage.
pub(crate) struct DamagedStream {
    script: EventSequence,
    damage: BodyDamage,
    events: u64,
    /// The event after the next one. It is `None` if the next one is the last.
    ahead: Option<(StreamStage, Bytes)>,
    queue: VecDeque<Bytes>,
    ended: bool,
}

impl DamagedStream {
    pub(crate) fn new(mut script: EventSequence, damage: BodyDamage) -> Self {
        let ahead = script.next();
        Self { script, damage, events: 0, ahead, queue: VecDeque::new(), ended: false }
    }

    /// The next piece of the body; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        while self.queue.is_empty() && !self.ended {
            self.refill();
        }
        self.queue.pop_front()
    }

    fn refill(&mut self) {
        let Some((stage, event)) = self.ahead.take() else {
            self.ended = true;
            return;
        };
        self.ahead = self.script.next();
        self.events += 1;
        let is_last = self.ahead.is_none();
        match self.damage {
            BodyDamage::ErrorEvent if self.events > ERROR_AFTER || is_last => {
                self.ended = true;
                let error = MockError::overloaded(self.format().dialect());
                self.queue.extend(self.script.broken(&error, self.events - 1));
            }
            // Chat completions report the end in a chunk before the last event.
            BodyDamage::Unfinished if is_last || (stage == StreamStage::Closing && self.has_choices()) => {
                self.ended = true;
            }
            BodyDamage::OpenEvent if is_last => self.queue.push_back(event.slice(..event.trim_ascii_end().len())),
            BodyDamage::Event(bytes) if stage == StreamStage::Piece && self.queue.is_empty() => {
                self.giant(&event, bytes);
            }
            BodyDamage::Backwards => self.backwards(stage, event),
            BodyDamage::CrLf if self.format().dialect() != Dialect::Google => {
                self.queue.push_back(values::with_crlf(&event));
            }
            BodyDamage::Comments if self.format().dialect() != Dialect::Google => {
                self.queue.push_back(Bytes::from_static(b": keepalive\n\n"));
                self.queue.push_back(event);
            }
            BodyDamage::Bytewise => self.queue.extend((0..event.len()).map(|at| event.slice(at..=at))),
            BodyDamage::Joined => self.join(&event),
            BodyDamage::Count(_)
            | BodyDamage::Duplicates
            | BodyDamage::Deep(_)
            | BodyDamage::NotUtf8
            | BodyDamage::BrokenJson => {
                self.queue.push_back(values::damaged(self.damage, &event));
            }
            _ => self.queue.push_back(event),
        }
    }

    /// Messages and Gemini report counts in several events: all but the last are raised. Other formats report them in
    /// one event, which is preceded by a raised copy.
    fn backwards(&mut self, stage: StreamStage, event: Bytes) {
        let more = values::raised(&event);
        let once = !matches!(self.format(), Format::Messages | Format::GenerateContent);
        if once && more != event {
            self.queue.push_back(more);
            self.queue.push_back(event);
        } else {
            self.queue.push_back(if stage == StreamStage::Closing { event } else { more });
        }
    }

    /// Adds `bytes` of text to the first piece and omits the other pieces.
    fn giant(&mut self, event: &Bytes, bytes: usize) {
        let (head, tail) = event.split_at(values::text_at(event));
        let block = Bytes::from(vec![b'x'; BLOCK_BYTES]);
        self.queue.push_back(Bytes::copy_from_slice(head));
        self.queue.extend(std::iter::repeat_n(block.clone(), bytes / BLOCK_BYTES));
        self.queue.push_back(block.slice(..bytes % BLOCK_BYTES));
        self.queue.push_back(Bytes::copy_from_slice(tail));
        while matches!(self.ahead, Some((StreamStage::Piece, _))) {
            self.ahead = self.script.next();
        }
    }

    fn join(&mut self, first: &Bytes) {
        let mut all = first.to_vec();
        while let Some((_, event)) = self.ahead.take() {
            all.extend_from_slice(&event);
            self.ahead = self.script.next();
        }
        self.queue.push_back(Bytes::from(all));
    }

    const fn has_choices(&self) -> bool {
        matches!(self.format(), Format::Chat | Format::Completions)
    }

    const fn format(&self) -> Format {
        self.script.format()
    }
}
