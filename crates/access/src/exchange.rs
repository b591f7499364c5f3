//! What nodes exchange: look-ups of keys, limits in Redis, and revisions of the store.

pub mod directory;
pub mod key_clients;
pub mod limits;
pub mod redis_key;
pub mod revision;
pub mod shared_responses;
pub mod subject_budgets;
