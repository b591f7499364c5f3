//! Parts of streams: frames, events, their begin and their end.

pub(crate) mod framing;
pub mod opening;
pub(crate) mod partial;
pub(crate) mod sse;
pub(crate) mod stop;
