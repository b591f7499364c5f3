//! Counts text events of a stream: each holds at least one token, and most providers report usage only at the end.

use crate::format::Format;

/// Maximum number of events that may hold no token: a role, a filter's verdict, the end of a choice.
const DOUBT: u64 = 256;
/// Number of text events after which the count is reported again.
const STEP: u64 = 256;

/// The names of Responses events that carry text.
const DELTAS: [&[u8]; 5] = [
    b"response.output_text.delta",
    b"response.refusal.delta",
    b"response.reasoning_text.delta",
    b"response.reasoning_summary_text.delta",
    b"response.function_call_arguments.delta",
];

/// The text events of one stream.
#[derive(Debug, Default)]
pub(super) struct Texts {
    events: u64,
    blocks_begun: u64,
    blocks_ended: u64,
}

impl Texts {
    /// Counts an event of this name that has ended. Returns whether the count must be reported.
    pub(super) fn add(&mut self, format: Format, name: Option<&[u8]>) -> bool {
        let is_text = match (format, name) {
            (Format::Chat | Format::Completions, _) => true,
            (Format::Responses, Some(name)) => DELTAS.contains(&name),
            (Format::Messages, Some(b"content_block_delta")) => true,
            (Format::Messages, Some(b"content_block_start")) => {
                self.blocks_begun += 1;
                false
            }
            (Format::Messages, Some(b"content_block_stop")) => {
                self.blocks_ended += 1;
                false
            }
            _ => false,
        };
        self.events += u64::from(is_text);
        is_text && self.events.is_multiple_of(STEP)
    }

    /// Returns the minimum number of tokens. Each Messages block may have two deltas without a token: an empty one, and
    /// a signature.
    pub(super) const fn tokens(&self) -> u64 {
        self.events.saturating_sub(DOUBT).saturating_sub(self.blocks_begun.saturating_mul(2))
    }

    /// Whether blocks have begun and all of them have ended.
    pub(super) const fn blocks_are_over(&self) -> bool {
        self.blocks_begun > 0 && self.blocks_begun == self.blocks_ended
    }

    /// Returns the number of the open block; blocks follow one another.
    pub(super) const fn open_block(&self) -> Option<u64> {
        if self.blocks_begun > self.blocks_ended { self.blocks_begun.checked_sub(1) } else { None }
    }
}
