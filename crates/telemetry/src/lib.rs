//! Metrics, logs and the live state of a running Tollgate process.
//!
//! This crate depends on no other crate of the workspace, opens no socket, and stores text from clients only in label
//! values of bounded length.
//!
//! Reading order: [`metrics`] (every name that `/metrics` shows), [`logs`] (lines on stderr), [`live_state`]
//! (readiness, as the admin API reports it), [`traces`] (requests whose spans are exported).

mod cache_purge;
pub mod live_state;
pub mod logs;
pub mod metrics;
pub mod traces;

pub use cache_purge::{CachePurge, PurgeTarget};
pub use live_state::{LiveState, NotReady};
pub use metrics::{
    BackendBoard, BackendCondition, BackendStatus, FAILURE_CAUSES, FAILURE_OF_STATUS, Metrics, ReachedLimit,
    TARGET_RESULTS, TargetStatus,
};
