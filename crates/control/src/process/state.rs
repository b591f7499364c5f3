//! The state that the endpoints share.

use std::sync::Arc;
use std::time::Duration;

use access::credentials::token::Signer;
use access::{Clock, Directory, Mono, Vault};
use billing::LiveBooks;
use cluster::windows::Windows;
use config::Live;
use ledger::Ledger;
use meter::Meter;
use store::Store;
use telemetry::{BackendBoard, LiveState, Metrics};
use tls::ListenerTls;

use crate::configuration::Configurator;
use crate::process::cache_purges::CachePurges;
use crate::process::day_cache::DayCache;
use crate::process::known_settings::KnownSettings;
use crate::process::live_readers::LiveReaders;
use crate::process::notification_limit::NotificationLimit;
use crate::process::outbound::Outbound;
use crate::process::passwords::Passwords;
use crate::process::pictures::PictureDrawer;
use crate::process::sessions::SessionCache;
use crate::process::setup::SetupState;

/// Everything that the admin API uses. Endpoints do not change its fields.
#[derive(Debug)]
pub struct State {
    /// Users, keys, plans and budgets.
    pub store: Store,
    /// The usage that is recorded in the store.
    pub ledger: Ledger,
    /// The used credits and budgets at this moment. `None` in a process without the proxy; then the store reports
    /// them, without the usage that is still in the proxies' spools.
    pub meter: Option<Arc<Meter>>,
    /// The part of the API that is served.
    pub serves: ServedApi,
    /// Authenticates requests by their keys.
    pub directory: Arc<Directory>,
    /// The metrics that `/metrics` shows, in which requests are counted.
    pub metrics: Arc<Metrics>,
    /// The readiness of this instance.
    pub live_state: Arc<LiveState>,
    /// The purges of stored responses, which other nodes apply too.
    pub purges: Arc<CachePurges>,
    /// The backends of the proxy, if this process has one.
    pub board: Arc<BackendBoard>,
    /// The source of the time.
    pub clock: Clock,
    /// The pages of the dashboard.
    pub dashboard: dashboard::Files,
    /// The version of the binary.
    pub version: &'static str,
    /// The configuration that is in force.
    pub live: Arc<Live>,
    /// Applies configurations while the process runs.
    pub configurator: Arc<Configurator>,
    /// Subscriptions, invoices and payments, while billing is on.
    pub billing: LiveBooks,
    /// Counters of the rate limits.
    pub windows: Windows,
    /// The example files that the insights endpoints respond with; `None` for real usage.
    pub examples: Option<insights::Examples>,
    /// Encrypts and decrypts provider credentials.
    pub vault: Arc<Vault>,
    /// Signs access tokens; `None` if only probes are served.
    pub signer: Option<Signer>,
    /// Limits on connections and requests.
    pub limits: ServerLimits,
    /// The pool that hashes passwords.
    pub passwords: Passwords,
    /// The TLS of the listener; `None` if it serves HTTP.
    pub tls: Option<Arc<ListenerTls>>,
}

/// The part of the API that a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedApi {
    /// All endpoints of the API.
    Api,
    /// Only `/livez`, `/readyz` and `/metrics`, beside a proxy whose admin API is another process.
    Probes,
}

/// Limits on the connections and requests of this process.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// The maximum number of connections. A further connection replaces the longest idle one. Without an idle one, it
    /// waits in the listener's backlog. Default 1,024.
    pub connections_max: usize,
    /// The maximum number of connections per address (an IPv6 /64); `trusted_proxies` are exempt. A further connection
    /// replaces the longest idle one of its address. Without an idle one, it is closed at once. Default 256.
    pub connections_per_address_max: usize,
    /// The deadline for a request's head, including the wait for it on an idle connection. Default 10 s.
    pub head: Duration,
    /// The deadline for a request's body. Default 10 s.
    pub body: Duration,
    /// The deadline for the whole request. Default 30 s.
    pub call: Duration,
    /// The maximum age of a connection; it also ends connections of clients that do not read. Default 10 min.
    pub connection: Duration,
    /// The time that requests in flight have after the shutdown began. Default 5 s.
    pub drain: Duration,
}

impl Default for ServerLimits {
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
    /// The start of the listener.
    pub(crate) started: Mono,
    /// Whether the listener is bound to loopback.
    pub(crate) loopback: bool,
    /// A cache of sessions.
    pub(crate) sessions: SessionCache,
    /// Whether the store still needs its first admin.
    pub(crate) setup: SetupState,
    /// The client for requests to providers.
    pub(crate) outbound: Outbound,
    /// The limits of notifications of the payment provider.
    pub(crate) notifications: NotificationLimit,
    /// Computed responses of insights.
    pub(crate) days: DayCache,
    /// The settings of insights that were read last.
    pub(crate) insight_settings: KnownSettings,
    /// Draws charts as PNG.
    pub(crate) pictures: PictureDrawer,
    /// The figures that clients watch now.
    pub(crate) live_readers: LiveReaders,
}

impl App {
    /// Creates the state of a listener that begins to serve.
    pub(crate) fn new(state: State, loopback: bool) -> Self {
        let started = state.clock.mono();
        let sessions = SessionCache::new(state.clock.clone());
        let setup = SetupState::new(state.clock.clone());
        let (outbound, notifications, pictures) = Default::default();
        let insight_settings = KnownSettings::default();
        let days = DayCache::new(state.clock.clone());
        let live_readers = LiveReaders::new(state.clock.clone(), state.limits.connections_max);
        Self {
            state,
            started,
            loopback,
            sessions,
            setup,
            outbound,
            notifications,
            days,
            insight_settings,
            pictures,
            live_readers,
        }
    }
}

impl std::ops::Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}
