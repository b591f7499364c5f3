//! The changes of JSON bodies that a route makes.

use json_edits::Edits;

/// The changes of the bodies of requests or of responses.
#[derive(Debug, Clone)]
pub struct BodyChanges {
    /// The edits of each body.
    pub edits: Edits,
    /// The maximum size of a body, in bytes, without its content coding.
    pub bytes_max: u64,
}
