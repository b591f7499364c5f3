//! The parts of a client's request body that Tollgate reads, and the edits that it may apply.
//!
//! Tollgate writes only the model's name (or, where the path has it, the version of the API), `stream_options.include_usage` of
//! chat streams, a limit of output tokens that must be lowered, and the ids and keys of an account that users share. All other bytes are forwarded unchanged: unknown fields, order, spacing, escapes and large
//! numbers survive.

mod google;
mod hosted;
mod json;
mod multipart;
mod read;
mod rewrite;

use std::ops::Range;

use meter::BilledQuantity;
use thiserror::Error;

pub use hosted::HostedMessages;
pub use read::read;
pub use rewrite::{LoweredLimit, OwnedFields, RewrittenBody};

/// Longest name of a model, in bytes, after JSON escapes are resolved.
pub const MODEL_BYTES_MAX: usize = 256;

/// The field with the model's name.
const MODEL: &str = "model";
/// The field that requests a stream.
const STREAM: &str = "stream";

/// The fields of a request that Tollgate reads, and their positions in the body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFields {
    /// The model's name as the client wrote it, in the body or in the path; 1 to [`MODEL_BYTES_MAX`] bytes.
    pub model: String,
    /// Whether the client requested a stream.
    pub stream: bool,
    /// Whether the client requested the usage chunk of a chat or completions stream.
    pub include_usage: bool,
    /// The billed units where only the request reports them: the characters to be spoken.
    pub billable: Option<BilledQuantity>,
    /// Whether the client offers tools to the model: the list of tools is not empty.
    pub offers_tools: bool,
    /// The position of the session's id, as the client wrote it, with its quotes: OpenAI's `prompt_cache_key`, otherwise
    /// Anthropic's `metadata.user_id`.
    pub session: Option<Range<usize>>,
    models: Vec<Place>,
    usage_edit: Option<Edit>,
    limit_edits: Vec<(Range<usize>, String)>,
    /// What a [host](HostedMessages) that names the model in its path gets in place of the model.
    hosted_edits: Vec<(Range<usize>, String)>,
    /// What makes the call one of its user.
    owned_edits: Vec<(Range<usize>, String)>,
    /// The parts of a form, except those of the model and the stream.
    pub(crate) form: Vec<FormPart>,
}

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormPart {
    /// The position of the field's name.
    pub(crate) name: Range<usize>,
    /// The position of the content.
    pub(crate) content: Range<usize>,
}

/// A position at which the body names the model, or at which a name can be inserted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    at: Range<usize>,
    shape: Shape,
    /// Whether the model named here, or implied by its absence, equals the requested model.
    agrees: bool,
}

/// The syntax of a model's name at one position.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// A plain JSON string.
    Json,
    /// A JSON string with the prefix `models/`.
    Google,
    /// Plain text without quotes, in a form.
    Form,
    /// A new first field of a JSON object.
    Field,
    /// The only field of an empty JSON object.
    OnlyField,
    /// A new first part of a form.
    Part {
        /// Two hyphens and the boundary.
        delimiter: Box<str>,
    },
}

/// Bytes that replace a range of the body, so that a stream reports its usage.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Edit {
    at: Range<usize>,
    text: &'static str,
}

/// The reason why a body cannot be read. The text is for the client; offsets count bytes from 0.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallError {
    /// The body contains a byte sequence that is invalid UTF-8.
    #[error("the body is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// The offset of the first invalid byte.
        offset: usize,
    },
    /// The body is not exactly one JSON value.
    #[error("the body is not valid JSON at byte {offset}: {reason}")]
    Syntax {
        /// The offset at which parsing stopped.
        offset: usize,
        /// The parser's description of the error.
        reason: String,
    },
    /// The body is valid JSON, but not an object.
    #[error("the body must be a JSON object, but the value at byte {offset} is of another type")]
    NotAnObject {
        /// The offset of the value.
        offset: usize,
    },
    /// A required field is missing.
    #[error("the body has no `{field}`")]
    Missing {
        /// The name of the field.
        field: &'static str,
    },
    /// A field has the wrong type, is empty, or is too long.
    #[error("`{field}` at byte {offset} must be {expected}")]
    Invalid {
        /// The name of the field.
        field: &'static str,
        /// A description of valid values.
        expected: &'static str,
        /// The offset of the field's value.
        offset: usize,
    },
    /// A field occurs twice: two readers could use different ones.
    #[error("`{field}` occurs twice, again at byte {offset}")]
    Duplicate {
        /// The name of the field.
        field: &'static str,
        /// The offset of its second value.
        offset: usize,
    },
    /// A field requests a feature that Tollgate does not support.
    #[error("`{field}` at byte {offset} is not supported: {reason}")]
    Unsupported {
        /// The name of the field.
        field: &'static str,
        /// The reason, and advice for the client.
        reason: &'static str,
        /// The offset of the field's value.
        offset: usize,
    },
    /// The path names a model whose name is too long to exist.
    #[error("the model in the path has {bytes} bytes; at most 256 are allowed")]
    LongModel {
        /// The length of the model's name.
        bytes: usize,
    },
    /// The body is not a form although it must be one, or its boundary is missing or invalid.
    #[error("the body must be multipart/form-data, with a `boundary` of 1 to 70 characters in the content-type")]
    NoBoundary,
    /// The form violates RFC 7578 or RFC 2046.
    #[error("the body is not valid multipart/form-data at byte {offset}: {reason}")]
    Multipart {
        /// The offset of the error.
        offset: usize,
        /// A description of the error.
        reason: &'static str,
    },
}

impl CallError {
    /// Returns the field that caused the error, if any: `param` in OpenAI's errors.
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
