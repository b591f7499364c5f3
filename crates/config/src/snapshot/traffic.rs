//! The part of the configuration that a reload may change: the keys of `schema::traffic`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::credentials::issuer::IssuerSource;
use access::exchange::shared_responses::ResponseScope;
use access::{Credits, Plan, PlanPrice, PublicKey, Secret, ServiceAccount};
use ai::hosts::sigv4::AwsCredential;
use ai::price::Prices;
use insights::InsightSettings;
use ipnet::IpNet;
use tls::UpstreamTls;

use super::ambiguous::{RefusedPaths, merged};
use super::discovery::Discovery;
use super::fallback::{FallbackRules, TargetLimits};
use super::origin::{Backend, Origin};
use super::policy::BuiltInPolicies;
use super::retry::PoolRules;
use super::router::Router;
use super::timeouts::Timeouts;
use super::translation::TranslationRules;
use super::upstream::{BreakerRules, Upstream};
use super::{
    Billing, Budgets, LimitPlaces, PlanCreditRates, PlanModels, PricedModels, QuotaStatus, RateLimits, Signup,
    WindowLimit,
};

/// What upstreams receive of the `X-Forwarded-*` that a trusted proxy sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForwardedFields {
    /// The received addresses with that of the proxy, and the received host, port and prefix.
    Append,
    /// The client's address alone, and the requested host.
    Replace,
    /// The same as [`Self::Append`], and `Forwarded` (RFC 7239).
    AppendBoth,
}

/// What a reload may change.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// Peers whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// What upstreams receive of `X-Forwarded-*` from trusted proxies.
    pub forwarded: ForwardedFields,
    /// Whether requests to upstreams have `Via` (RFC 9110, 7.6.3).
    pub via: bool,
    /// The rate limit of the proxy for requests without a valid key, by address.
    pub unauthenticated: Option<WindowLimit>,
    /// The other rate limits of the proxy.
    pub rate_limits: RateLimits,
    /// Deadlines of ordinary routes.
    pub timeouts: Timeouts,
    /// The shortest of the timeouts of all ordinary routes.
    pub shortest_timeout: Duration,
    /// The scopes of the routes whose responses are shared.
    pub shared_scopes: Vec<ResponseScope>,
    /// Bounds of heads and bodies.
    pub sizes: Sizes,
    /// The treatment of an LLM request whose client has disconnected.
    pub on_hangup: OnHangup,
    /// Providers that are on.
    pub providers: Vec<Arc<Provider>>,
    /// Providers that a stored credential switches on: those with a well-known address, if the file has no `providers`. Each
    /// takes its credentials from the vault.
    pub offered_providers: Vec<Arc<Provider>>,
    /// The built-in mock provider.
    pub mock: Mock,
    /// Models that clients may request; those whose provider is off are missing.
    pub models: Vec<Arc<Model>>,
    /// Configured prices of `prices`; see [`Traffic::price`].
    pub prices: Prices,
    /// The file with a newer price table.
    pub price_file: Option<PriceFile>,
    /// Prices of the built-in table and that file, under the names of kinds and of hosts.
    pub prices_builtin: Prices,
    /// The models whose prices apply to targets with `price_as`.
    pub priced_models: PricedModels,
    /// The LLM endpoints; `None` if they are off.
    pub ai: Option<Ai>,
    /// Plans that the store must have.
    pub plans: Vec<Plan>,
    /// The prices of the plans that are for sale, by name.
    pub plan_prices: Vec<(String, PlanPrice)>,
    /// The models and aliases of the plans that have them, by name. The store has the other limits of plans.
    pub plan_models: BTreeMap<Box<str>, PlanModels>,
    /// The credits of calls by their tokens.
    pub credit_rates: PlanCreditRates,
    /// The registration of users.
    pub signup: Signup,
    /// The settings of subscriptions and invoices.
    pub billing: Billing,
    /// Budgets of keys and users, beside those of plans.
    pub budgets: Budgets,
    /// The settings of insights, unless the store has others.
    pub insights: Arc<InsightSettings>,
    /// The positions of the plans and the budgets in the file.
    pub limit_places: LimitPlaces,
    /// The status of the proxy's response if a quota or budget is exhausted.
    pub quota_status: QuotaStatus,
    /// The headers that claims become, of all entries of `auth`: no client may set them.
    pub claim_headers: Arc<[Box<str>]>,
    /// The TLS of entries of `auth` with a service.
    pub service_tls: Box<[Arc<UpstreamTls>]>,
    /// The issuers whose keys are fetched, each once.
    pub issuers: Box<[Issuer]>,
    /// Exact paths of routes that need no credentials for GET and HEAD.
    pub health_paths: Box<[Box<str>]>,
    /// Whether each run of slashes in a path is one slash.
    pub merge_slashes: bool,
    /// The forms of paths that no route accepts.
    pub refused_paths: RefusedPaths,
    /// The circuit breaker of every upstream without its own, and of every provider; `None` is off.
    pub breaker: Option<BreakerRules>,
    /// Upstreams of ordinary routes.
    pub upstreams: Vec<Arc<Upstream>>,
    /// The policies of requests without a configured route.
    pub built_in: BuiltInPolicies,
    /// Selects the route of a request.
    pub router: Router,
}

impl Traffic {
    /// Returns the TLS of all upstreams, providers, issuers and services, whose files may change.
    pub fn tls(&self) -> impl Iterator<Item = &Arc<UpstreamTls>> {
        let upstreams = self.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
        let providers = self.providers.iter().filter_map(|provider| provider.tls.as_ref());
        let issuers = self.issuers.iter().filter_map(|issuer| issuer.tls.as_ref());
        upstreams.chain(providers).chain(issuers).chain(&self.service_tls)
    }

    /// Whether the address is that of a trusted proxy.
    #[must_use]
    pub fn is_trusted_proxy(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// Returns the path that a request has in place of this one; `None` if it keeps its path.
    #[must_use]
    pub fn merged_path(&self, path: &str) -> Option<String> {
        if self.merge_slashes { merged(path) } else { None }
    }

    /// Whether a request is a health check, for which no route requires credentials, whatever its query. `path` is compared as
    /// it was sent.
    #[must_use]
    pub fn is_health_check(&self, method: &str, path: &str) -> bool {
        self.health_paths.iter().any(|known| **known == *path) && matches!(method, "GET" | "HEAD")
    }
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
    /// The request to the upstream is aborted, but a report of usage that is due is waited for. The default.
    Cancel,
    /// The request to the upstream is aborted at once.
    Abort,
    /// The response is read further, for the usage that is reported at its end.
    Drain {
        /// Maximum number of bytes that are read. Default 64 KiB.
        bytes_max: u64,
        /// Maximum time for reading. Default 10 s.
        within: Duration,
    },
}

/// One entry of `providers`.
#[derive(Debug, Clone)]
pub struct Provider {
    /// The name in `PROVIDER/MODEL`.
    pub name: Arc<str>,
    /// The API that the provider supports.
    pub kind: ai::ProviderKind,
    /// The formats in which it takes calls for text. Calls in others are translated into the first one that is possible.
    pub formats: Box<[ai::Format]>,
    /// The provider's origin with the path of `base_url`. For OpenAI's kind, the paths of endpoints follow it without
    /// their `/v1`.
    pub origin: Origin,
    /// How the paths of endpoints follow from those of the API.
    pub paths: ai::ProviderPaths,
    /// The credential for requests to this provider only.
    pub credential: Credential,
    /// The TLS of connections to it; `None` means Mozilla's root certificates and no client certificate.
    pub tls: Option<Arc<UpstreamTls>>,
    /// The objects of the operator's account that calls may name.
    pub account_objects: AccountObjects,
    /// The source of costs without a configured price.
    pub price_source: PriceSource,
    /// The connections to it.
    pub pool: PoolRules,
    /// The discovery of the addresses of its name; `None` if each connection looks the name up.
    pub discovery: Option<Arc<Discovery>>,
}

impl Provider {
    /// Returns the backends now: the addresses of its name, or the origin itself, also as long as no address is known.
    #[must_use]
    pub fn backends(&self) -> Arc<[Backend]> {
        let found = self.discovery.as_ref().map(|discovery| discovery.list().backends.clone());
        let own = || [Backend { origin: self.origin.clone(), weight: 1 }].into();
        found.filter(|backends| !backends.is_empty()).unwrap_or_else(own)
    }
}

/// The values of `providers[].price`: the source of the cost of a call without a configured price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PriceSource {
    /// The built-in table, or that of `prices_file`.
    #[default]
    Table,
    /// The response of the provider.
    Reported,
}

impl PriceSource {
    /// Returns the word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Reported => "reported",
        }
    }

    /// Returns the source for a provider at this host that has none configured.
    #[must_use]
    pub fn of_host(host: &str) -> Self {
        if ai::hosts::host::reports_cost(host) { Self::Reported } else { Self::Table }
    }
}

/// The values of `providers[].account_objects`: which objects of the operator's account a call may name, such as stored
/// responses and files. They do not apply to users' own credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AccountObjects {
    /// Those that calls of the same user have made.
    #[default]
    Own,
    /// All objects of the account.
    Any,
}

impl AccountObjects {
    /// Returns the word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Any => "any",
        }
    }
}

/// An issuer of access tokens that publishes its keys.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The place of the keys.
    pub source: IssuerSource,
    /// The TLS of connections to it; `None` means Mozilla's root certificates and no client certificate.
    pub tls: Option<Arc<UpstreamTls>>,
}

/// The setting `providers[].credential`. A user's own credential in the vault overrides it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// No credential is needed: the mock accepts its credential in the vault, and responds without one.
    None,
    /// One credential for all users whose plan has `shared_keys`.
    Fixed(Secret),
    /// Keys that sign the requests of all users whose plan has `shared_keys`.
    Aws(Arc<AwsCredential>),
    /// A service account whose access tokens are sent for all users whose plan has `shared_keys`.
    ServiceAccount(Arc<ServiceAccount>),
    /// A credential of the vault, for all users whose plan has `shared_keys`.
    Vault {
        /// The label of the shared credential; `None` is the newest one for this provider.
        label: Option<Box<str>>,
    },
}

/// The built-in mock: a provider whose address is known only when it listens; `Traffic::with_mock` then adds it.
#[derive(Debug, Clone, Default)]
pub struct Mock {
    /// Whether the mock runs: it is forced, the file names it, or no other provider exists.
    pub on: bool,
    /// Whether `mock` or `--mock` forced it: all other providers are then off.
    pub forced: bool,
    /// Its formats of calls for text; `None` means all.
    pub formats: Option<Box<[ai::Format]>>,
    /// Entries of `models` that the mock serves.
    pub models: Vec<MockModel>,
}

/// One entry of `models` with a target that is the built-in mock, whose address is not known yet.
#[derive(Debug, Clone)]
pub struct MockModel {
    /// The name that clients request.
    pub name: Arc<str>,
    /// The credits that a request costs.
    pub credits: Credits,
    /// The targets in the order of the file.
    pub targets: Vec<MockTarget>,
    /// The rules of the targets, as [`Model::fallback`].
    pub fallback: Option<Box<FallbackRules>>,
}

/// One target of a [`MockModel`].
#[derive(Debug, Clone)]
pub struct MockTarget {
    /// The provider; `None` is the built-in mock.
    pub provider: Option<Arc<Provider>>,
    /// The name that is sent, as [`Target::model`].
    pub model: Arc<str>,
    /// The share of calls, as [`Target::weight`].
    pub weight: u32,
    /// The limits, as [`Target::limits`].
    pub limits: Option<TargetLimits>,
    /// Whether marks are added for the provider's cache, as [`Target::prompt_cache`].
    pub prompt_cache: bool,
    /// Whether a call that passes in its format gets the fields of a model that the client has not named.
    pub adapts: bool,
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
    /// The name that clients request. A `*` at its end represents any further characters.
    pub name: Arc<str>,
    /// The credits that a request costs. Default 1.
    pub credits: Credits,
    /// The targets that may serve it, in the order of the file, of which there is at least one.
    pub targets: Box<[Target]>,
    /// The rules of the targets, if a call may use more than one attempt or a target has limits.
    pub fallback: Option<Box<FallbackRules>>,
}

/// A provider and its own name of a model.
#[derive(Debug, Clone)]
pub struct Target {
    /// The provider that is called.
    pub provider: Arc<Provider>,
    /// The name that is sent to the provider. A `*` at its end represents what that of the entry's name does.
    pub model: Arc<str>,
    /// The share of calls of the strategy `weighted`. A target with 0 is called only after others have failed. Default 1.
    pub weight: u32,
    /// The limits of its calls in this process. Default none.
    pub limits: Option<TargetLimits>,
    /// Whether translated calls mark what the provider caches. Default `auto`, which is true.
    pub prompt_cache: bool,
    /// Whether a call that passes in its format gets the fields of a model that the client has not named.
    pub adapts: bool,
}

/// The section `ai` of the file.
#[derive(Debug, Clone)]
pub struct Ai {
    /// The prefix of every endpoint's path, without a final slash; empty for `/`.
    pub prefix: String,
    /// Maximum time from the head of a response to its first content, if another target may serve the call. Default none.
    pub first_content: Option<Duration>,
    /// Deadlines of LLM requests.
    pub timeouts: Timeouts,
    /// The rules of translated calls.
    pub translate: TranslationRules,
}
