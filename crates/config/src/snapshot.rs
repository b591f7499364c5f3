//! The checked configuration: immutable, plain data. Nothing validates it again.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Plan, Secret};
use ai::price::Prices;

use crate::router::Router;

/// Everything that was configured, as one value that a request keeps to its end.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The product's name and the prefix of its keys.
    pub brand: Brand,
    /// Addresses of the proxy's listeners; never empty.
    pub listen: Vec<SocketAddr>,
    /// Address of the control listener.
    pub control_listen: SocketAddr,
    /// Connections that may be open.
    pub connections: Connections,
    /// How a shutdown goes.
    pub drain: Drain,
    /// How logs are written.
    pub log: Log,
    /// The folder of the store's file, the spool and the lock.
    pub data: PathBuf,
    /// Where users, keys and usage are kept.
    pub store: Store,
    /// The file of usage events.
    pub spool: Spool,
    /// Deadlines of ordinary routes.
    pub timeouts: Timeouts,
    /// Bounds of heads and bodies.
    pub sizes: Sizes,
    /// Providers that are switched on.
    pub providers: Vec<Arc<Provider>>,
    /// The built-in mock provider.
    pub mock: Mock,
    /// Names that callers may ask for; those whose provider is off are left out.
    pub models: Vec<Arc<Model>>,
    /// What models cost by `prices`; see [`Snapshot::price`].
    pub prices: Prices,
    /// What they cost by the built-in table, under the names of kinds.
    pub prices_builtin: Prices,
    /// The LLM endpoints; `None` when switched off.
    pub ai: Option<Ai>,
    /// Plans that the store shall have.
    pub plans: Vec<Plan>,
    /// Upstreams of ordinary routes.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Which route a request takes.
    pub router: Router,
}

/// `brand`.
#[derive(Debug, Clone)]
pub struct Brand {
    /// Shown to people. Default `Tollgate`.
    pub name: String,
    /// Stands before a key's underscore. Default `tollgate`.
    pub key_prefix: String,
}

/// `connections`.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Callers' connections at once, over all workers. Default 20,000.
    pub max: u32,
    /// The same from one address. Default 1,000.
    pub per_address: u32,
}

/// `drain`.
#[derive(Debug, Clone, Copy)]
pub struct Drain {
    /// Accepting goes on for so long after SIGTERM. Default 2 s.
    pub delay: Duration,
    /// What is in flight may go on for so long after that. Default 30 s.
    pub timeout: Duration,
}

/// `log`.
#[derive(Debug, Clone)]
pub struct Log {
    /// `None`: text on a terminal, JSON elsewhere.
    pub format: Option<LogFormat>,
    /// `error`, `warn`, `info`, `debug` or `trace`. Default `info`.
    pub level: String,
    /// Levels of single modules.
    pub modules: Vec<(String, String)>,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// `store`.
#[derive(Debug, Clone)]
pub struct Store {
    /// The database's URL; `None` is SQLite in the data folder.
    pub url: Option<Secret>,
    /// Whether migrations run at start. Default true.
    pub migrate: bool,
    /// Known keys go on for so long while the store is away. Default 1 h.
    pub stale_for: Duration,
}

/// `spool`.
#[derive(Debug, Clone, Copy)]
pub struct Spool {
    /// All segments together. Default 1 GiB.
    pub size_bytes_max: u64,
}

/// `timeouts` and `ai.timeouts`.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Until a connection to an upstream stands, TLS included. Default 2 s.
    pub connect: Duration,
    /// From the request's last byte to the head of the answer. Default 60 s, `ai` 10 min.
    pub first_byte: Duration,
    /// Without a byte in either direction. Default 60 s.
    pub idle: Duration,
    /// The whole request. Default 15 min, `ai` 30 min.
    pub total: Duration,
}

/// `sizes`.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// A request's head. Default 64 KiB.
    pub headers_bytes_max: usize,
    /// A request's body. Default 32 MiB.
    pub body_bytes_max: u64,
    /// All bodies held in memory at once. Default 256 MiB.
    pub buffered_bytes_max: u64,
}

/// Where requests go: scheme, authority and a path put before theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port, also where the URL left it out.
    pub port: u16,
    /// As it stands in the `Host` header: the port only where it is not the scheme's own.
    pub authority: String,
    /// Without a slash at its end; may be empty.
    pub path: String,
}

/// One of `providers`.
#[derive(Debug, Clone)]
pub struct Provider {
    /// As in `PROVIDER/MODEL`.
    pub name: Arc<str>,
    /// Whose API it speaks.
    pub kind: ai::ProviderKind,
    /// Where it is; for OpenAI's kind without the `/v1` that `base_url` ends in: the endpoints' paths bring their own.
    pub origin: Origin,
    /// Sent to this provider only; `None` is sent nowhere (the mock).
    pub credential: Option<Secret>,
}

/// The built-in mock: a provider whose address is known only when it listens (`Snapshot::with_mock` then adds it).
#[derive(Debug, Clone, Default)]
pub struct Mock {
    /// Whether it shall run: it is forced, the file names it, or there is no other provider.
    pub on: bool,
    /// Whether `--mock` forced it: no other provider is then switched on.
    pub forced: bool,
    /// Entries of `models` that it answers.
    pub models: Vec<MockModel>,
}

/// One of `models` whose target is the built-in mock.
#[derive(Debug, Clone)]
pub struct MockModel {
    /// What callers ask for.
    pub name: Arc<str>,
    /// What a request costs of the quota.
    pub credits: Credits,
    /// What the mock is asked for.
    pub model: Arc<str>,
}

/// One of `models`.
#[derive(Debug, Clone)]
pub struct Model {
    /// What callers ask for.
    pub name: Arc<str>,
    /// What a request costs of the quota. Default 1.
    pub credits: Credits,
    /// Who answers.
    pub target: Target,
}

/// A provider and its own name of a model.
#[derive(Debug, Clone)]
pub struct Target {
    /// Who is called.
    pub provider: Arc<Provider>,
    /// What is asked for.
    pub model: Arc<str>,
}

/// `ai`.
#[derive(Debug, Clone)]
pub struct Ai {
    /// Stands before every endpoint's path; without a slash at its end, empty for `/`.
    pub prefix: String,
    /// Deadlines of LLM calls.
    pub timeouts: Timeouts,
}

/// One of `upstreams`.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// What routes call it.
    pub name: Arc<str>,
    /// Its one backend.
    pub origin: Origin,
}

/// One of `routes`.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its name; the path where none was given.
    pub name: Arc<str>,
    /// Which paths it takes.
    pub path: PathMatch,
    /// Which methods it takes, uppercase; empty is all.
    pub methods: Vec<String>,
    /// Where its requests go.
    pub upstream: Arc<Upstream>,
    /// Who may pass.
    pub auth: Auth,
    /// What a request costs of the quota. Default 1.
    pub credits: Credits,
    /// How its usage is remembered. Default folded.
    pub events: Events,
}

/// `routes[].path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This path alone.
    Exact(String),
    /// This path and what lies below it: `/api` takes `/api` and `/api/x`, not `/apix`.
    Prefix(String),
}

/// `routes[].auth.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// A key of ours.
    Key,
    /// Everybody.
    None,
}

/// `routes[].events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// A row a request.
    Rows,
    /// Counts a minute.
    Folded,
}
