//! Live figures: what `GET /api/live` sends. All clients that watch the same usage share one read of it a second; the permission of each
//! client is read as well.

mod stream;
mod topic;

pub(crate) use stream::{LiveStream, WatchedUsage};
pub(crate) use topic::{LiveMessage, LiveTopic};
