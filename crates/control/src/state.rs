//! What the endpoints answer from.

use std::sync::Arc;
use std::time::Duration;

use access::token::Signer;
use access::{Clock, Directory, Mono, Vault};
use config::Live;
use meter::Meter;
use store::Store;
use store::windows::Windows;
use telemetry::{LiveState, Metrics};

use crate::outbound::Outbound;
use crate::passwords::Passwords;
use crate::sessions::Sessions;

/// Everything that the control API reads; nothing of it is changed by an endpoint.
#[derive(Debug)]
pub struct State {
    /// Users, keys and recorded usage.
    pub store: Store,
    /// What is used of quotas at this moment; `None` in a process without the proxy, where the store says it, which is
    /// behind by what the proxies' spools hold.
    pub meter: Option<Arc<Meter>>,
    /// What is served.
    pub serves: Serves,
    /// Who holds a key.
    pub directory: Arc<Directory>,
    /// What `/metrics` shows, and where calls are counted.
    pub metrics: Arc<Metrics>,
    /// Whether this instance is ready.
    pub board: Arc<LiveState>,
    /// The time.
    pub clock: Clock,
    /// The binary's version.
    pub version: &'static str,
    /// What is configured.
    pub live: Arc<Live>,
    /// How often who has called lately.
    pub windows: Windows,
    /// What seals credentials of providers.
    pub vault: Arc<Vault>,
    /// What signs access tokens; `None` where only probes are served.
    pub signer: Option<Signer>,
    /// What a connection may take.
    pub limits: Limits,
}

/// How much of the API a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// All of it.
    Api,
    /// `/livez`, `/readyz` and `/metrics`: beside a proxy whose control API is another process.
    Probes,
}

/// What connections and calls may take of this process.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at once. A further one takes the place of the longest idle connection. Without an idle one, it waits in the
    /// listener's backlog. Default 1,024.
    pub connections_max: usize,
    /// Connections at once from one address (an IPv6 /64), except `trusted_proxies`. A further one takes the place of the longest
    /// idle connection of that address. Without an idle one, it is closed at once. Default 256.
    pub connections_per_address_max: usize,
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
            connections_per_address_max: 256,
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
    /// Who has signed in, as the store had it a moment ago.
    pub(crate) sessions: Sessions,
    /// Who may hash a password now.
    pub(crate) passwords: Passwords,
    /// What control asks of providers.
    pub(crate) outbound: Outbound,
}

impl App {
    /// The state of a listener that begins to serve.
    pub(crate) fn new(state: State, loopback: bool) -> Self {
        let started = state.clock.mono();
        let (sessions, passwords) = (Sessions::new(state.clock.clone()), Passwords::new(state.metrics.clone()));
        Self { state, started, loopback, sessions, passwords, outbound: Outbound::default() }
    }
}

impl std::ops::Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}
