//! Edits of JSON texts by JSON Pointers (RFC 6901), without I/O.
//!
//! Only the values that an edit names are read as a tree. All others are copied as they were received, so that numbers, strings
//! and the order of members do not change. A text that two parsers could read differently is refused: one in which an object
//! repeats a name.
//!
//! ```
//! use json_edits::{Edits, Pointer};
//!
//! let edits = Edits {
//!     remove: vec![Pointer::parse("/debug")?],
//!     rename: vec![(Pointer::parse("/old")?, Pointer::parse("/new")?)],
//!     set: vec![(Pointer::parse("/source")?, "\"gateway\"".into())],
//! };
//! let edited = edits.apply(br#"{"debug": true, "old": 1.10, "rest": [1e400]}"#)?;
//! assert_eq!(edited, br#"{"new":1.10,"rest":[1e400],"source":"gateway"}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: `json_error`, `pointer`, `room` (bounded memory), `scan` (the check of a text), `tree` (the values that edits change), `edits`.

mod edits;
mod json_error;
mod pointer;
mod room;
mod scan;
mod tree;

pub use edits::{EditError, Edits};
pub use json_error::{DEPTH_MAX, JsonError};
pub use pointer::Pointer;
pub use room::Room;
pub use scan::check;
