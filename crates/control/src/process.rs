//! The state of the process: its caches, bounded work, sessions and outgoing connections.

pub mod billing_settings;
pub(crate) mod bounded_work;
pub(crate) mod cache_purges;
pub(crate) mod day_cache;
pub(crate) mod holder_permits;
pub(crate) mod known_settings;
pub(crate) mod live_readers;
pub(crate) mod notification_limit;
pub(crate) mod outbound;
pub(crate) mod passwords;
pub(crate) mod pictures;
pub(crate) mod sessions;
pub(crate) mod setup;
pub mod state;
