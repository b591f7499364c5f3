//! Live figures: what `GET /api/live` sends. All clients that watch the same usage share one read of the store a second.

mod stream;
mod topic;

pub(crate) use stream::{LiveStream, WatchedUsage};
pub(crate) use topic::{LiveMessage, LiveTopic};
