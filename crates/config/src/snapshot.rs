//! The checked configuration: immutable, plain data. Nothing validates it again.

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

/// Everything that was configured, as one value that a request keeps to its end.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The product's name and the prefix of its keys.
    pub brand: Brand,
    /// Addresses of the proxy's listeners; never empty.
    pub listen: Vec<SocketAddr>,
    /// The control API.
    pub control: Control,
    /// Where people reach both, as they write it.
    pub public_url: PublicUrl,
    /// Who may sign up.
    pub signup: Signup,
    /// Opens `/metrics` where control is not on loopback; `None` opens it nowhere else.
    pub metrics_token: Option<Secret>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A Redis that shares rate limits between nodes.
    pub redis: Option<Secret>,
    /// How often an address may try without a valid key on the proxy.
    pub strangers: Option<WindowLimit>,
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
    /// How long rows of usage are kept.
    pub retention: Retention,
    /// `lease`.
    pub lease: Lease,
    /// Deadlines of ordinary routes.
    pub timeouts: Timeouts,
    /// Bounds of heads and bodies.
    pub sizes: Sizes,
    /// What becomes of an LLM call whose caller is gone.
    pub on_hangup: OnHangup,
    /// Providers that are switched on.
    pub providers: Vec<Arc<Provider>>,
    /// The built-in mock provider.
    pub mock: Mock,
    /// Names that callers may ask for; those whose provider is off are left out.
    pub models: Vec<Arc<Model>>,
    /// What models cost by `prices`; see [`Snapshot::price`].
    pub prices: Prices,
    /// The file with a newer table.
    pub price_file: Option<PriceFile>,
    /// What models cost by the built-in table and that file, under the names of kinds and of hosts.
    pub prices_builtin: Prices,
    /// The LLM endpoints; `None` when switched off.
    pub ai: Option<Ai>,
    /// Plans that the store shall have.
    pub plans: Vec<Plan>,
    /// What holds callers beside their plans.
    pub budgets: Budgets,
    /// The status of the proxy's responses where a quota or budget is used up.
    pub quota_status: QuotaStatus,
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
    /// 1 to 32 characters of a-z and 0-9. Keys begin with it and an underscore, and machines meet it as the brand's name:
    /// cookies, `owned_by`, the install script's folder, variable and provider. Default: the name's own letters and digits.
    pub key_prefix: String,
}

impl Brand {
    /// The brand's name for machines: `key_prefix`.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.key_prefix
    }

    /// The environment variable in which clients keep a key: `TOLLGATE_KEY`. A name of a shell's variable begins with no
    /// digit (POSIX.1-2024, XBD 8.1), so that an underscore is put before one.
    #[must_use]
    pub fn key_variable(&self) -> String {
        let slug = self.slug().to_ascii_uppercase();
        let guard = if slug.starts_with(|first: char| first.is_ascii_digit()) { "_" } else { "" };
        format!("{guard}{slug}_KEY")
    }
}

/// `control`.
#[derive(Debug, Clone)]
pub struct Control {
    /// Its listener's address.
    pub listen: SocketAddr,
    /// Origins whose pages may call it with credentials: `https://app.example.com`, as browsers write them.
    pub allowed_origins: Vec<String>,
    /// How often it may be called; each one that applies counts.
    pub rate_limits: Vec<WindowLimit>,
}

/// `public_url`.
#[derive(Debug, Clone)]
pub struct PublicUrl {
    /// The proxy's, without a slash at its end; `None` is where it listens.
    pub proxy: Option<String>,
    /// Control's.
    pub control: Option<String>,
}

/// `signup` and `signup_plan`.
#[derive(Debug, Clone)]
pub struct Signup {
    /// Who may. Default closed.
    pub mode: SignupMode,
    /// The plan that they get. Default `starter`.
    pub plan: String,
}

/// `signup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignupMode {
    /// Nobody: admins make users.
    Closed,
    /// Who has an admin's invitation.
    Invite,
    /// Everybody.
    Open,
}

/// One of `control.rate_limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLimit {
    /// What is counted apart.
    pub dimension: Dimension,
    /// Whose calls are counted.
    pub whose: Whose,
    /// Calls in any window.
    pub limit: NonZeroU32,
    /// How long the window is.
    pub window: Duration,
}

/// `rate_limits[].dimension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Each key.
    Key,
    /// Each address; an IPv6 one with its whole /64.
    Address,
}

/// `rate_limits[].with` and `without`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Whose {
    /// All.
    Everybodys,
    /// Those that come with neither a valid key nor a session.
    WithoutKey,
    /// Those that come with a session.
    WithSession,
}

/// `connections`.
#[derive(Debug, Clone, Copy)]
pub struct Connections {
    /// Callers' connections at once, over all workers. Default 20,000.
    pub max: u32,
    /// The same from one address. Default 1,000.
    pub per_address: u32,
    /// Calls of one key in flight at once, over all workers. Default 1,000.
    pub in_flight_per_key: u32,
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
    /// What a record survives.
    pub durability: Durability,
}

/// `spool.durability`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// The death of the process.
    #[default]
    Process,
    /// A power cut too.
    Power,
}

impl Durability {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Process, Self::Power];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

/// `retention`.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// A request's row, its attempts and its minute's counts; `None` is for ever. Default 90 d. Totals of a day stay.
    pub events: Option<Duration>,
    /// What providers said of usage, word for word; `None` is for ever. Default 30 d.
    pub raw_usage: Option<Duration>,
}

/// `lease`: how nodes on one PostgreSQL share quotas and budgets. All of them have the same.
#[derive(Debug, Clone, Copy)]
pub struct Lease {
    /// What is lent is lent for so long, unless it is renewed. Default 2 s.
    pub ttl: Duration,
    /// How long a request waits for what is lent to other nodes. Default 250 ms.
    pub recall_wait: Duration,
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
    /// Bytes of all buffered bodies. One key may hold at most a quarter of them. Default 256 MiB.
    pub buffered_bytes_max: u64,
}

/// `on_hangup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnHangup {
    /// The call upstream is broken off. The default.
    Cancel,
    /// Its answer is read on, for the usage that stands at its end.
    Drain {
        /// So much of it at the most. Default 64 KiB.
        bytes_max: u64,
        /// For so long at the most. Default 10 s.
        within: Duration,
    },
}

/// What is spoken to an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http://`: HTTP/1.1 without TLS.
    Http,
    /// `https://`: TLS; the handshake (ALPN) chooses HTTP/2 or HTTP/1.1.
    Https,
    /// `h2c://`: HTTP/2 without TLS, from the first byte (RFC 9113, 3.3).
    H2c,
}

/// Where requests go: scheme, authority and a path put before theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// What is spoken there.
    pub scheme: Scheme,
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
    /// What calls go with, to this provider alone.
    pub credential: Credential,
}

/// `providers[].credential`. A user's own credential in the vault comes before whatever stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// None is needed: the mock takes what the vault has for it, and answers without one.
    None,
    /// The same for everybody whose plan has `shared_keys`.
    Fixed(Secret),
    /// From the vault, for whoever's plan has `shared_keys`.
    Vault {
        /// The shared one with this label; `None` is the newest for this provider.
        label: Option<Box<str>>,
    },
}

/// The built-in mock: a provider whose address is known only when it listens (`Snapshot::with_mock` then adds it).
#[derive(Debug, Clone, Default)]
pub struct Mock {
    /// Whether it shall run: it is forced, the file names it, or there is no other provider.
    pub on: bool,
    /// Whether `mock` or `--mock` forced it: no other provider is then switched on.
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

/// `prices_file` and `prices_key`.
#[derive(Debug, Clone)]
pub struct PriceFile {
    /// The file as it is named.
    pub path: PathBuf,
    /// The key that has signed it, where that is asked for.
    pub key: Option<PublicKey>,
    /// The day of its figures, `YYYY-MM-DD`.
    pub as_of: Arc<str>,
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
    /// Headers that upstreams may trust and that the client may still set, in lowercase. Default none.
    pub allow_headers: Vec<Box<str>>,
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
