//! What a caller asks for, read from its body; and the edits that a body may get.
//!
//! Only the model's name, for chat streams `stream_options.include_usage`, and a limit of the answer's tokens that must be
//! lowered are written. Every other byte is the caller's: unknown fields, order, spacing, escapes and large numbers survive.

mod google;
mod json;
mod multipart;
mod read;
mod rewrite;

use std::ops::Range;

use meter::Billed;
use thiserror::Error;

pub use read::read;
pub use rewrite::Rewritten;

/// Longest name of a model, in bytes, JSON escapes resolved.
pub const MODEL_BYTES_MAX: usize = 256;

/// What was read of a request, and where it stands in the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// The model's name as the caller wrote it, in the body or in the path; 1 to [`MODEL_BYTES_MAX`] bytes.
    pub model: String,
    /// Whether the answer shall be a stream.
    pub stream: bool,
    /// Whether the caller asked for the usage chunk of a chat or completions stream.
    pub include_usage: bool,
    /// What the answer costs by, where only the request tells it: the characters to be spoken.
    pub billable: Option<Billed>,
    models: Vec<Place>,
    usage_edit: Option<Edit>,
    limit_edits: Vec<(Range<usize>, String)>,
}

/// Where the body names the model, or would.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    at: Range<usize>,
    shape: Shape,
    /// Whether the model that stands there, or is meant where none stands, is the one that was asked for.
    agrees: bool,
}

/// How a model's name is written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// As a JSON string.
    Json,
    /// As a JSON string behind `models/`.
    Google,
    /// As it is.
    Form,
    /// As a first field of an object.
    Field,
    /// As the only field of an object.
    OnlyField,
    /// As a part of a form, in front of the first one.
    Part {
        /// Two hyphens and the boundary.
        delimiter: Box<str>,
    },
}

/// Bytes that would replace a range of the body, so that a stream tells its usage.
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
    /// A field requests a feature that Tollgate does not support.
    #[error("`{field}` at byte {offset} is not supported: {reason}")]
    Unsupported {
        /// Its name.
        field: &'static str,
        /// Why, and what to do.
        reason: &'static str,
        /// Where its value stands.
        offset: usize,
    },
    /// The path names a model that nobody has.
    #[error("the model in the path has {bytes} bytes, and may have 256")]
    LongModel {
        /// How long it is.
        bytes: usize,
    },
    /// No form where one must be, or one whose parts cannot be told apart.
    #[error("the body must be multipart/form-data, with a `boundary` of 1 to 70 characters in the content-type")]
    NoBoundary,
    /// A form that is not built as RFC 7578 and RFC 2046 say.
    #[error("the body is not valid multipart/form-data at byte {offset}: {reason}")]
    Multipart {
        /// Where.
        offset: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

impl RequestError {
    /// The field that is at fault, where one is: `param` in OpenAI's errors.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Missing { field }
            | Self::Invalid { field, .. }
            | Self::Duplicate { field, .. }
            | Self::Unsupported { field, .. } => Some(field),
            Self::NotUtf8 { .. }
            | Self::Syntax { .. }
            | Self::NotAnObject { .. }
            | Self::LongModel { .. }
            | Self::NoBoundary
            | Self::Multipart { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
