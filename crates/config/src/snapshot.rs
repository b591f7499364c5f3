//! The checked configuration: immutable, plain data, which no code validates again.

mod budgets;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Plan, PublicKey, Secret};
use ai::price::Prices;
use ipnet::IpNet;

use crate::router::Router;

pub use budgets::{BudgetDimension, BudgetLimit, Budgets, QuotaStatus, Unbounded};

/// The whole configuration, as one value that a request uses to its end.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The product's name and the prefix of its keys.
    pub brand: Brand,
    /// Addresses of the proxy's listeners; never empty.
    pub listen: Vec<SocketAddr>,
    /// Settings of the control API.
    pub control: Control,
    /// The public URLs of the proxy and of control.
    pub public_url: PublicUrl,
    /// The mode of signup.
    pub signup: Signup,
    /// The token that grants access to `/metrics` if control is not on loopback; `None` denies access there.
    pub metrics_token: Option<Secret>,
    /// Peers whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// A Redis that shares rate limits between nodes.
    pub redis: Option<Secret>,
    /// The rate limit of the proxy for requests without a valid key, by address.
    pub unauthenticated: Option<WindowLimit>,
    /// Maximum numbers of connections and requests in flight.
    pub connections: Connections,
    /// The phases of a shutdown.
    pub drain: Drain,
    /// Format and levels of logs.
    pub log: Log,
    /// The folder of the store's file, the spool and the lock.
    pub data: PathBuf,
    /// The database of users, keys and usage.
    pub store: Store,
    /// The spool of usage events.
    pub spool: Spool,
    /// The retention of usage rows.
    pub retention: Retention,
    /// The leases of quotas and budgets.
    pub lease: Lease,
    /// Deadlines of ordinary routes.
    pub timeouts: Timeouts,
    /// Bounds of heads and bodies.
    pub sizes: Sizes,
    /// The treatment of an LLM request whose client has disconnected.
    pub on_hangup: OnHangup,
    /// Providers that are on.
    pub providers: Vec<Arc<Provider>>,
    /// The built-in mock provider.
    pub mock: Mock,
    /// Models that clients may request; those whose provider is off are missing.
    pub models: Vec<Arc<Model>>,
    /// Configured prices of `prices`; see [`Snapshot::price`].
    pub prices: Prices,
    /// The file with a newer price table.
    pub price_file: Option<PriceFile>,
    /// Prices of the built-in table and that file, under the names of kinds and of hosts.
    pub prices_builtin: Prices,
    /// The LLM endpoints; `None` if they are off.
    pub ai: Option<Ai>,
    /// Plans that the store must have.
    pub plans: Vec<Plan>,
    /// Budgets of keys and users, beside those of plans.
    pub budgets: Budgets,
    /// The status of the proxy's response if a quota or budget is exhausted.
    pub quota_status: QuotaStatus,
    /// Upstreams of ordinary routes.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Selects the route of a request.
    pub router: Router,
}

/// The section `brand` of the file.
#[derive(Debug, Clone)]
pub struct Brand {
    /// The name that people see. Default `Tollgate`.
    pub name: String,
    /// 1 to 32 characters of a-z and 0-9. Keys begin with it and an underscore, and machines use it as the brand's
    /// name: cookies, `owned_by`, the install script's folder, variable and provider. Default: the letters and digits
    /// of `name`.
    pub key_prefix: String,
}

impl Brand {
    /// Returns the brand's name for machines: `key_prefix`.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.key_prefix
    }

    /// Returns the environment variable in which clients store a key: `TOLLGATE_KEY`. The name of a shell's variable
    /// must not begin with a digit (POSIX.1-2024, XBD 8.1), so an underscore is added before a digit.
    #[must_use]
    pub fn key_variable(&self) -> String {
        let slug = self.slug().to_ascii_uppercase();
        let guard = if slug.starts_with(|first: char| first.is_ascii_digit()) { "_" } else { "" };
        format!("{guard}{slug}_KEY")
    }
}

/// The section `control` of the file.
#[derive(Debug, Clone)]
pub struct Control {
    /// The address of the control listener.
    pub listen: SocketAddr,
    /// Origins whose pages may call control with credentials: `https://app.example.com`, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// Rate limits of control; each one that applies counts.
    pub rate_limits: Vec<WindowLimit>,
}

/// The section `public_url` of the file.
#[derive(Debug, Clone)]
pub struct PublicUrl {
    /// The proxy's URL, without a final slash; `None` means the address of its listener.
    pub proxy: Option<String>,
    /// The URL of control.
    pub control: Option<String>,
}

/// The settings `signup` and `signup_plan`.
#[derive(Debug, Clone)]
pub struct Signup {
    /// The mode of signup. Default closed.
    pub mode: SignupMode,
    /// The plan of new users. Default `starter`.
    pub plan: String,
}

/// The values of `signup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupMode {
    /// Signup is disabled: admins create users.
    Closed,
    /// Signup requires an admin's invitation.
    Invite,
    /// Signup is open to everybody.
    Open,
}

/// One entry of `control.rate_limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimit {
    /// The dimension by which requests are counted.
    pub dimension: Dimension,
    /// The requests that are counted.
    pub whose: LimitSubject,
    /// Maximum number of requests in any window.
    pub limit: NonZeroU32,
    /// The length of the window.
    pub window: Duration,
}

/// The values of `rate_limits[].dimension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Requests are counted per key.
    Key,
    /// Requests are counted per address; an IPv6 address counts with its whole /64.
    Address,
}

/// The conditions `rate_limits[].with` and `without`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitSubject {
    /// All requests are counted.
    Everybodys,
    /// Requests with neither a valid key nor a session are counted.
    WithoutKey,
    /// Requests with a session are counted.
    WithSession,
}

/// The section `connections` of the file.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Maximum number of open client connections, over all workers. Default 20,000.
    pub max: u32,
    /// Maximum number of open connections from one address. Default 1,000.
    pub per_address: u32,
    /// Maximum number of requests of one key in flight, over all workers. Default 1,000.
    pub in_flight_per_key: u32,
}

/// The section `drain` of the file.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// The time after SIGTERM during which connections are still accepted. Default 2 s.
    pub delay: Duration,
    /// The time after that during which requests in flight may finish. Default 30 s.
    pub timeout: Duration,
}

/// The section `log` of the file.
#[derive(Debug, Clone)]
pub struct Log {
    /// The format; `None` means text on a terminal and JSON elsewhere.
    pub format: Option<LogFormat>,
    /// The level `error`, `warn`, `info`, `debug` or `trace`. Default `info`.
    pub level: String,
    /// Levels of single modules.
    pub modules: Vec<(String, String)>,
}

/// The values of `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Lines of text for people.
    Text,
}

/// The section `store` of the file.
#[derive(Debug, Clone)]
pub struct Store {
    /// The database's URL; `None` means SQLite in the data folder.
    pub url: Option<Secret>,
    /// Whether migrations run at startup. Default true.
    pub migrate: bool,
    /// The time for which known keys remain valid while the store is unavailable. Default 1 h.
    pub stale_for: Duration,
}

/// The section `spool` of the file.
#[derive(Debug, Clone, Copy)]
pub struct Spool {
    /// Maximum size of all segments together, in bytes. Default 1 GiB.
    pub size_bytes_max: u64,
    /// The failures that a record survives.
    pub durability: Durability,
}

/// The values of `spool.durability`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// Records survive the death of the process.
    #[default]
    Process,
    /// Records survive a power failure too.
    Power,
}

impl Durability {
    /// Every durability, in order of declaration.
    pub const ALL: [Self; 2] = [Self::Process, Self::Power];

    /// Returns the word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

/// The section `retention` of the file.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// The retention of requests, attempts and counts per minute, not of daily totals; `None` is unlimited. Default 90 d.
    pub events: Option<Duration>,
    /// The retention of the providers' literal usage reports; `None` is unlimited. Default 30 d.
    pub raw_usage: Option<Duration>,
}

/// The section `lease`: how nodes with one PostgreSQL share quotas and budgets. All nodes must have the same values.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// The lifetime of a lease that is not renewed. Default 2 s.
    pub ttl: Duration,
    /// The time for which a request waits for amounts that are lent to other nodes. Default 250 ms.
    pub recall_wait: Duration,
}

/// The sections `timeouts` and `ai.timeouts`.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Maximum time until a connection to an upstream is established, TLS included. Default 2 s.
    pub connect: Duration,
    /// Maximum time from the request's last byte to the head of the response. Default 60 s, `ai` 10 min.
    pub first_byte: Duration,
    /// Maximum time without a byte in either direction. Default 60 s.
    pub idle: Duration,
    /// Maximum time of the whole request. Default 15 min, `ai` 30 min.
    pub total: Duration,
}

/// The section `sizes` of the file.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// Maximum size of a request's head. Default 64 KiB.
    pub headers_bytes_max: usize,
    /// Maximum size of a request's body. Default 32 MiB.
    pub body_bytes_max: u64,
    /// Maximum size of all buffered bodies. One key may use at most a quarter of it. Default 256 MiB.
    pub buffered_bytes_max: u64,
}

/// The setting `on_hangup` of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHangup {
    /// The request to the upstream is aborted. The default.
    Cancel,
    /// The response is read further, for the usage that is reported at its end.
    Drain {
        /// Maximum number of bytes that are read. Default 64 KiB.
        bytes_max: u64,
        /// Maximum time for reading. Default 10 s.
        within: Duration,
    },
}

/// The protocol of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http://`: HTTP/1.1 without TLS.
    Http,
    /// `https://`: TLS; the handshake (ALPN) chooses HTTP/2 or HTTP/1.1.
    Https,
    /// `h2c://`: HTTP/2 without TLS, from the first byte (RFC 9113, 3.3).
    H2c,
}

/// The destination of requests: scheme, authority and a path that is put before theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The protocol of the origin.
    pub scheme: Scheme,
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port, even if the URL omits it.
    pub port: u16,
    /// The value of the `Host` header: it has a port only if it is not the scheme's default.
    pub authority: String,
    /// The path without a final slash; it may be empty.
    pub path: String,
}

/// One entry of `providers`.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The name in `PROVIDER/MODEL`.
    pub name: Arc<str>,
    /// The API that the provider supports.
    pub kind: ai::ProviderKind,
    /// The provider's origin; for OpenAI's kind without the `/v1` at the end of `base_url`, as the endpoints' paths
    /// include it.
    pub origin: Origin,
    /// The credential for requests to this provider only.
    pub credential: Credential,
}

/// The setting `providers[].credential`. A user's own credential in the vault overrides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// No credential is needed: the mock accepts its credential in the vault, and responds without one.
    None,
    /// One credential for all users whose plan has `shared_keys`.
    Fixed(Secret),
    /// A credential of the vault, for all users whose plan has `shared_keys`.
    Vault {
        /// The label of the shared credential; `None` is the newest one for this provider.
        label: Option<Box<str>>,
    },
}

/// The built-in mock: a provider whose address is known only when it listens; `Snapshot::with_mock` then adds it.
#[derive(Debug, Clone, Default)]
pub struct Mock {
    /// Whether the mock runs: it is forced, the file names it, or no other provider exists.
    pub on: bool,
    /// Whether `mock` or `--mock` forced it: all other providers are then off.
    pub forced: bool,
    /// Entries of `models` that the mock serves.
    pub models: Vec<MockModel>,
}

/// One entry of `models` whose target is the built-in mock.
#[derive(Debug, Clone)]
pub struct MockModel {
    /// The name that clients request.
    pub name: Arc<str>,
    /// The credits that a request costs.
    pub credits: Credits,
    /// The name that is sent to the mock.
    pub model: Arc<str>,
}

/// The settings `prices_file` and `prices_key`.
#[derive(Debug, Clone)]
pub struct PriceFile {
    /// The path as it is configured.
    pub path: PathBuf,
    /// The key that has signed the file, if one is configured.
    pub key: Option<PublicKey>,
    /// The day of its figures, `YYYY-MM-DD`.
    pub as_of: Arc<str>,
}

/// One entry of `models`.
#[derive(Debug, Clone)]
pub struct Model {
    /// The name that clients request.
    pub name: Arc<str>,
    /// The credits that a request costs. Default 1.
    pub credits: Credits,
    /// The provider and model that serve it.
    pub target: Target,
}

/// A provider and its own name of a model.
#[derive(Debug, Clone)]
pub struct Target {
    /// The provider that is called.
    pub provider: Arc<Provider>,
    /// The name that is sent to the provider.
    pub model: Arc<str>,
}

/// The section `ai` of the file.
#[derive(Debug, Clone)]
pub struct Ai {
    /// The prefix of every endpoint's path, without a final slash; empty for `/`.
    pub prefix: String,
    /// Deadlines of LLM requests.
    pub timeouts: Timeouts,
}

/// One entry of `upstreams`.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// The name that routes use.
    pub name: Arc<str>,
    /// The address of its only backend.
    pub origin: Origin,
}

/// One entry of `routes`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name; defaults to the path.
    pub name: Arc<str>,
    /// The paths that it matches.
    pub path: PathMatch,
    /// The methods that it accepts, uppercase; empty means all.
    pub methods: Vec<String>,
    /// The destination of its requests.
    pub upstream: Arc<Upstream>,
    /// The authentication that it requires.
    pub auth: Auth,
    /// The credits that a request costs. Default 1.
    pub credits: Credits,
    /// The form in which its usage is recorded. Default folded.
    pub events: Events,
    /// Headers that upstreams may trust and that the client may still set, in lowercase. Default none.
    pub allow_headers: Vec<Box<str>>,
}

/// The setting `routes[].path` of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This path only, byte for byte.
    Exact(String),
    /// This path and the paths below it: `/api` matches `/api` and `/api/x`, not `/apix`.
    Prefix(String),
}

/// The values of `routes[].auth.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A valid key is required.
    Key,
    /// No authentication is required.
    None,
}

/// The values of `routes[].events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// One row per request.
    Rows,
    /// One count per minute.
    Folded,
}
