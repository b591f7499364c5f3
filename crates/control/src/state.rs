//! What the endpoints answer from.

use std::sync::Arc;
use std::time::Duration;

use access::{Clock, Directory, Mono};
use meter::Meter;
use store::Store;
use telemetry::{Board, Metrics};

/// Everything that the control API reads; nothing of it is changed by an endpoint.
#[derive(Debug)]
pub struct State {
    /// Users, keys and recorded usage.
    pub store: Store,
    /// What is used of quotas at this moment.
    pub meter: Arc<Meter>,
    /// Who holds a key.
    pub directory: Arc<Directory>,
    /// What `/metrics` shows, and where calls are counted.
    pub metrics: Arc<Metrics>,
    /// Whether this instance is ready.
    pub board: Arc<Board>,
    /// The time.
    pub clock: Clock,
    /// The binary's version.
    pub version: &'static str,
    /// The product's name: the realm in `WWW-Authenticate`.
    pub brand: String,
    /// What a connection may take.
    pub limits: Limits,
}

/// What connections and calls may take of this process.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once; more wait in the listener's backlog. Default 1,024.
    pub connections_max: usize,
    /// Until a call's head has arrived, the wait for it on an idle connection included. Default 10 s.
    pub head: Duration,
    /// Until a call's body has arrived. Default 10 s.
    pub body: Duration,
    /// The whole call. Default 30 s.
    pub call: Duration,
    /// The whole connection: also a caller that does not read ends by then. Default 10 min.
    pub connection: Duration,
    /// What is in flight may go on for so long after the shutdown began. Default 5 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1_024,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            call: Duration::from_secs(30),
            connection: Duration::from_secs(600),
            drain: Duration::from_secs(5),
        }
    }
}

/// The state of one listener.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) state: State,
    /// When serving began.
    pub(crate) started: Mono,
    /// Whether the listener is bound to loopback.
    pub(crate) loopback: bool,
}

impl std::ops::Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}
