//! What a caller asks for, read from its body; and the two edits that a body may get.
//!
//! Only `model` and, for chat streams, `stream_options.include_usage` are read and written. Every other byte is the
//! caller's: unknown fields, order, spacing, escapes and large numbers survive.

mod read;
mod rewrite;

use std::ops::Range;

use thiserror::Error;

pub use read::read;
pub use rewrite::Rewritten;

/// Longest name of a model, in bytes, JSON escapes resolved.
pub const MODEL_BYTES_MAX: usize = 256;

/// What was read of a body, and where it stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The model's name as the caller wrote it; 1 to [`MODEL_BYTES_MAX`] bytes.
    pub model: String,
    /// Whether the answer shall be a stream of events.
    pub stream: bool,
    /// Whether the caller asked for the usage chunk of a chat stream.
    pub include_usage: bool,
    model_at: Range<usize>,
    usage_edit: Option<Edit>,
}

/// Bytes that would replace a range of the body, so that a chat stream tells its usage.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    at: Range<usize>,
    text: &'static str,
}

/// Why a body cannot be read. The text is for the caller; offsets count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// A byte sequence that no text has.
    #[error("the body is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Where.
        offset: usize,
    },
    /// Not one JSON value.
    #[error("the body is not valid JSON at byte {offset}: {reason}")]
    Syntax {
        /// Where reading stopped.
        offset: usize,
        /// The parser's words.
        reason: String,
    },
    /// JSON, but no object.
    #[error("the body must be a JSON object, but at byte {offset} stands something else")]
    NotAnObject {
        /// Where.
        offset: usize,
    },
    /// A field that must be there.
    #[error("the body has no `{field}`")]
    Missing {
        /// Its name.
        field: &'static str,
    },
    /// A field of another type, or empty, or too long.
    #[error("`{field}` at byte {offset} must be {expected}")]
    Invalid {
        /// Its name.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// Where its value stands.
        offset: usize,
    },
    /// A field that stands twice: two readers could take different ones.
    #[error("`{field}` stands twice, again at byte {offset}")]
    Duplicate {
        /// Its name.
        field: &'static str,
        /// Where its second value stands.
        offset: usize,
    },
}

#[cfg(test)]
mod tests;
