//! What is seen of a running Tollgate: metrics, logs, and the board of live states.
//!
//! Never does: knowing any other crate of ours, opening a socket, keeping what a caller wrote beyond a bounded label.
//!
//! Read in this order: [`metrics`] (every name that `/metrics` shows), [`logs`] (lines on stderr), [`live_state`] (what the
//! control API says of readiness).

pub mod live_state;
pub mod logs;
pub mod metrics;

pub use live_state::{LiveState, NotReady};
pub use metrics::Metrics;
