//! Live figures: what `GET /api/live` sends, as server-sent events or over a WebSocket. All clients that watch the same usage share one
//! read of it a second. The client whose second ends first reads, and all others are woken if the figures have changed.
//! The permission of each client is read once a second as well.

mod events;
mod socket;
mod stream;
mod topic;

pub(crate) use events::body;
pub(crate) use socket::{Handshake, send};
pub(crate) use stream::{LiveStream, WatchedUsage};
pub(crate) use topic::{LiveMessage, LiveTopic};
