//! Events of text in a stream, counted: each holds a token at the least, and most providers tell how many only at the end.

use crate::format::Format;

/// So many events may hold no token: a role, a filter's verdict, the end of a choice.
const DOUBT: u64 = 256;
/// The count is news each time that so many more came.
const STEP: u64 = 256;

/// The names of events in which Responses tells text.
const DELTAS: [&[u8]; 5] = [
    b"response.output_text.delta",
    b"response.refusal.delta",
    b"response.reasoning_text.delta",
    b"response.reasoning_summary_text.delta",
    b"response.function_call_arguments.delta",
];

/// What of a stream was text.
#[derive(Debug, Default)]
pub(super) struct Texts {
    events: u64,
    blocks_begun: u64,
    blocks_ended: u64,
}

impl Texts {
    /// An event of this name is over. Whether that is news.
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

    /// Tokens that it has at the least. A block of Messages has two deltas that may hold none: an empty one, and a signature.
    pub(super) const fn tokens(&self) -> u64 {
        self.events.saturating_sub(DOUBT).saturating_sub(self.blocks_begun.saturating_mul(2))
    }

    /// Whether there were blocks, and none is open.
    pub(super) const fn blocks_are_over(&self) -> bool {
        self.blocks_begun > 0 && self.blocks_begun == self.blocks_ended
    }

    /// The block that has begun and not ended; they come one after the other.
    pub(super) const fn open_block(&self) -> Option<u64> {
        if self.blocks_begun > self.blocks_ended { self.blocks_begun.checked_sub(1) } else { None }
    }
}
