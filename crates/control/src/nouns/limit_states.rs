//! The rate limits of the configuration, those of plans and keys, and the daily quotas, with the keys that have used the
//! largest part of them, for `GET /api/limits` and `tollgate limits`.

mod nodes;
mod of_plans;
mod owner;
mod table;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::exchange::limits::UNAUTHENTICATED;
use access::{BudgetScope, Clock, KeyNo, UserNo};
use config::snapshot::{LimitDimension, RateLimit, WindowLimit};
use config::{ExplainedTier, Snapshot};
use ledger::Ledger;
use meter::Meter;
use meter::limiter::BusyKey;
use meter::limiter::key::{self, KeyPart};
use serde::Serialize;
use store::{DatabaseError, ScopeIds, Store, UserRef};
use telemetry::Metrics;
use telemetry::metrics::LimitLabels;
use thiserror::Error;
use tokio::task::JoinError;
use utoipa::ToSchema;

use crate::message::moment::rfc3339;
use nodes::LimitNodes;
use of_plans::{BusyClients, KeyBound};
use owner::{OwnedKey, OwnerView};

/// Maximum number of keys in one response, over all limits.
const KEYS_MAX: usize = 50;
/// Words in the names of header fields whose values are secrets.
const SECRET_WORDS: [&str; 11] =
    ["auth", "cookie", "cred", "jwt", "key", "password", "secret", "session", "sid", "sign", "token"];

/// The sources of limits and of their use.
#[derive(Debug, Clone, Copy)]
pub struct LimitSources<'a> {
    /// The plans, the users and the keys.
    pub store: &'a Store,
    /// The usage that is recorded in the store.
    pub ledger: &'a Ledger,
    /// The configuration whose limits are listed.
    pub snapshot: &'a Snapshot,
    /// The source of the time.
    pub clock: &'a Clock,
    /// The counters of this process; `None` without the proxy.
    pub live: Option<LiveLimits<'a>>,
}

/// The counters of the process that serves the proxy.
#[derive(Debug, Clone, Copy)]
pub struct LiveLimits<'a> {
    /// The rate limits and quotas.
    pub meter: &'a Arc<Meter>,
    /// The metrics that count refusals.
    pub metrics: &'a Metrics,
    /// The number of nodes that share the rate limits through Redis; `None` if this process counts alone.
    pub nodes: Option<NonZeroU32>,
}

/// The reason why limits are not listed.
#[derive(Debug, Error)]
pub enum LimitStatesError {
    /// An error of the store.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The search of the counters panicked.
    #[error("the search of the counters failed")]
    Search(#[from] JoinError),
}

/// The rate limits of the running configuration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RateLimitStates)]
pub struct LimitStates {
    /// Whether this process counts the requests. Otherwise, another process serves the proxy, and `keys` has only users and
    /// clients without a user, as far as the store knows their use.
    is_live: bool,
    /// Whether nodes share limits of requests through Redis. Then `keys` reports the requests of this node.
    is_shared: bool,
    items: Vec<LimitView>,
    /// Always null: the list is not paged.
    next: Option<String>,
}

/// The kind of a listed limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = RateLimitKind)]
enum LimitKind {
    /// A limit of `rate_limits`.
    RateLimit,
    /// The limit of requests without a valid key.
    WithoutKey,
    /// `requests_per_minute` of plans, for users or for clients without a user, and of keys.
    RequestsPerMinute,
    /// `credits_per_day` of plans, for users or for clients without a user, and of keys.
    CreditsPerDay,
}

/// A rate limit with the keys that are near it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RateLimitState)]
struct LimitView {
    kind: LimitKind,
    /// Its name in metrics and headers, such as `ip+route`.
    name: String,
    /// The route that has it; null for a limit of all routes.
    route: Option<String>,
    /// The values that requests of one counter have in common: `ip`, `header X-Tenant`, `subject`.
    dimensions: Vec<String>,
    /// The number of requests with its window, as in `RateLimit-Policy`; null if only some tiers are limited.
    policy: Option<String>,
    /// The limits of clients of these tiers: plans, or values of a claim. The last one may be the largest of the limits that
    /// keys have of their own.
    tiers: Vec<ExplainedTier>,
    /// Whether it counts only requests without a valid key, by their addresses. Its keys are not listed.
    is_without_key: bool,
    /// `sliding_window`, `token_bucket`, `concurrent`, or `daily` for a quota of credits.
    algorithm: &'static str,
    /// Whether nodes share it: through Redis, or a quota through PostgreSQL.
    is_shared: bool,
    /// The position in the file.
    place: Option<String>,
    /// The number of requests that this process has refused since its start, over all limits with this name; null for limits
    /// of plans, whose refusals are not counted by limit, and in a process without the proxy.
    refused: Option<u64>,
    /// The maximum number of requests beyond the limit of the largest tier that the running nodes admit together within its
    /// window; 0 for quotas. While Redis is unavailable, each node counts separately, and the maximum is computed accordingly.
    overshoot: u64,
    /// The maximum number of credits of one quota, of the largest tier, that are unusable while a dead node is not restarted; 0
    /// for limits of requests. A crash also leaves the reservations of requests in flight unusable.
    unusable: u64,
    /// The number of keys that have used at least a quarter of the limit, or (except for limits of plans) were refused within a
    /// minute. Null where keys are not counted: for quotas of keys, rates of clients without a user, and requests without a
    /// valid key; without the proxy also for all other limits except quotas of plans.
    busy_keys: Option<usize>,
    /// The keys of `busy_keys` that have used the largest part: at most 50 over all limits.
    keys: Vec<BusyKeyView>,
}

/// A key that has used a part of a limit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BusyLimitKey)]
struct BusyKeyView {
    /// The values of the dimensions, in their order.
    values: Vec<KeyValue>,
    /// The maximum number of requests at once, or of credits per day.
    limit: u64,
    /// The number of requests or credits that are counted.
    used: u64,
    /// The number of further requests that would be admitted now, or of credits that are left.
    remaining: u64,
    /// The time at which the whole limit is available again; null if it is now.
    #[schema(format = DateTime)]
    resets_at: Option<String>,
    /// The minimum number of its requests that were refused since it was noted; null for limits of plans.
    refused: Option<u32>,
}

/// A value of a dimension.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LimitKeyValue)]
struct KeyValue {
    /// The dimension, as in `dimensions`.
    dimension: String,
    /// The value: an address, a name, the end of a key. Null if it is a secret, too long, or not recorded yet.
    value: Option<String>,
    /// The id of the key or the user; null for other values.
    id: Option<String>,
    /// The label of the key; null for other values.
    label: Option<String>,
    /// The user of the key; null for other values.
    owner: Option<OwnerView>,
}

impl KeyValue {
    /// Returns a value that is no key.
    const fn plain(dimension: String, value: Option<String>, id: Option<String>) -> Self {
        Self { dimension, value, id, label: None, owner: None }
    }
}

/// The value of a dimension before names are looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
enum RawValue {
    Text(String),
    Key(KeyNo),
    User(UserNo),
    Unknown,
}

impl LimitStates {
    /// Lists the limits with the keys that are near them.
    ///
    /// # Errors
    /// [`LimitStatesError`].
    pub async fn list(sources: LimitSources<'_>) -> Result<Self, LimitStatesError> {
        let nodes = LimitNodes::count(sources).await?;
        let of_plans = BusyClients::search(sources).await?;
        let BusyKeys { keys: busy, least, left } = busiest(sources, of_plans.fullness());
        let values = busy.iter().flat_map(|(_, keys)| keys).flat_map(|key| &key.values);
        let names = Names::look_up(sources.store, values).await?;
        let rules = sources.snapshot.traffic.rate_limits.all();
        let items = rules.iter().zip(busy).enumerate().map(|(position, (rule, (busy_keys, keys)))| {
            let keys = keys.into_iter().map(|key| view(sources.clock, rule, key, &names)).collect();
            let view = LimitView::of_rule(sources, nodes, position, rule);
            LimitView { busy_keys: sources.live.map(|_| busy_keys), keys, ..view }
        });
        let unauthenticated = sources.snapshot.traffic.unauthenticated.map(|limit| without_key(sources, nodes, limit));
        let mut items: Vec<LimitView> = items.chain(unauthenticated).collect();
        items.extend(of_plans.views(sources, nodes, KeyBound { least, left }).await?);
        Ok(Self { is_live: sources.live.is_some(), is_shared: nodes.has_redis, items, next: None })
    }
}

impl LimitView {
    /// Returns a limit of `rate_limits` without keys. It is listed with its position in the snapshot.
    fn of_rule(sources: LimitSources<'_>, nodes: LimitNodes, position: usize, rule: &RateLimit) -> Self {
        let explained = sources.snapshot.limit(rule);
        let tiers = rule.usual.iter().chain(rule.tiers.iter().map(|(_, tier)| tier));
        Self {
            kind: LimitKind::RateLimit,
            route: sources.snapshot.route_of_limit(position).map(|route| route.to_string()),
            dimensions: rule.dimensions.iter().map(ToString::to_string).collect(),
            policy: explained.policy,
            tiers: explained.tiers,
            is_without_key: false,
            algorithm: rule.algorithm(),
            is_shared: nodes.has_redis && rule.algorithm() != "concurrent",
            place: explained.place,
            refused: refused(sources, &rule.name),
            overshoot: tiers.map(|tier| nodes.overshoot(tier.terms)).max().unwrap_or(0),
            unusable: 0,
            name: explained.name,
            busy_keys: None,
            keys: Vec::new(),
        }
    }
}

/// Returns the number of requests that limits of this name have refused in this process.
fn refused(sources: LimitSources<'_>, name: &str) -> Option<u64> {
    let LiveLimits { metrics, .. } = sources.live?;
    Some(metrics.limits.refused.get_or_create(&LimitLabels { limit: name.into() }).get())
}

/// Returns the limit of requests without a valid key.
fn without_key(
    sources: LimitSources<'_>,
    nodes: LimitNodes,
    WindowLimit { limit, window, .. }: WindowLimit,
) -> LimitView {
    LimitView {
        kind: LimitKind::WithoutKey,
        name: UNAUTHENTICATED.to_owned(),
        route: None,
        dimensions: vec![LimitDimension::Address.to_string()],
        policy: Some(format!("\"{UNAUTHENTICATED}\";q={limit};w={}", window.as_millis().div_ceil(1_000))),
        tiers: Vec::new(),
        is_without_key: true,
        algorithm: "sliding_window",
        is_shared: nodes.has_redis,
        place: None,
        refused: refused(sources, UNAUTHENTICATED),
        overshoot: nodes.overshoot_of_window(limit.get()),
        unusable: 0,
        busy_keys: None,
        keys: Vec::new(),
    }
}

/// A key that has used a part of a limit, with the values of the dimensions.
struct CountedKey {
    busy: BusyKey,
    values: Vec<RawValue>,
}

/// The number of busy keys of each limit, and those that are shown.
struct BusyKeys {
    keys: Vec<(usize, Vec<CountedKey>)>,
    /// The fullness of the last key that is shown, in thousandths.
    least: u64,
    /// The number of further keys that may be shown.
    left: usize,
}

/// Returns the keys of `rate_limits` that have used the largest parts, beside those of plans with this `fullness`.
fn busiest(sources: LimitSources<'_>, of_plans: impl Iterator<Item = u64>) -> BusyKeys {
    let now = sources.clock.mono();
    let rules = sources.snapshot.traffic.rate_limits.all();
    let of_rule = |rule: &RateLimit| {
        let counters = sources.live.and_then(|live| live.meter.rules().find(&rule.id));
        counters.map_or_else(|| (Vec::new(), 0), |counters| counters.busiest(KEYS_MAX, now))
    };
    let found: Vec<(Vec<BusyKey>, usize)> = rules.iter().map(of_rule).collect();
    let mut parts: Vec<u64> = found.iter().flat_map(|(keys, _)| keys).map(BusyKey::fullness).chain(of_plans).collect();
    parts.sort_unstable_by_key(|part| Reverse(*part));
    let least = parts.get(KEYS_MAX - 1).copied().unwrap_or(0);
    let mut left = KEYS_MAX;
    let with_values = |(rule, (keys, all)): (&RateLimit, (Vec<BusyKey>, usize))| {
        let kept = keys.into_iter().filter(|key| key.fullness() >= least).take(left);
        let kept: Vec<CountedKey> = kept
            .map(|busy| {
                let values = values(rule, busy.key.as_deref());
                CountedKey { busy, values }
            })
            .collect();
        left -= kept.len();
        (all, kept)
    };
    let keys = rules.iter().zip(found).map(with_values).collect();
    BusyKeys { keys, least, left }
}

/// Reads the values of the dimensions from a counted key.
fn values(rule: &RateLimit, key: Option<&[u8]>) -> Vec<RawValue> {
    let mut parts = key::parts(key.unwrap_or_default());
    rule.dimensions.iter().map(|dimension| value(dimension, &mut parts).unwrap_or(RawValue::Unknown)).collect()
}

fn value<'a>(dimension: &LimitDimension, parts: &mut impl Iterator<Item = KeyPart<'a>>) -> Option<RawValue> {
    let mut next = || match parts.next()? {
        KeyPart::Value(value) => Some(value),
        KeyPart::End => None,
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Some(match dimension {
        LimitDimension::Address => address(next()?)?,
        LimitDimension::Key => RawValue::Key(KeyNo(number(next()?)?)),
        LimitDimension::User => user(next()?, &mut next)?,
        LimitDimension::Client => match next()? {
            key::CLIENT_KEY => RawValue::Key(KeyNo(number(next()?)?)),
            octets if matches!(octets.len(), 4 | 16) => address(octets)?,
            kind => user(kind, &mut next)?,
        },
        LimitDimension::Header(name) => {
            let values: Vec<String> = std::iter::from_fn(next).map(text).collect();
            if SECRET_WORDS.iter().any(|word| name.contains(word)) {
                RawValue::Unknown
            } else {
                RawValue::Text(values.join(", "))
            }
        }
        LimitDimension::Claim(_) => RawValue::Text(next().map(text).unwrap_or_default()),
        LimitDimension::Route | LimitDimension::Model | LimitDimension::Plan => RawValue::Text(text(next()?)),
        LimitDimension::Global => RawValue::Text(String::new()),
    })
}

/// Returns the user of a kind of subject, whose values follow.
fn user<'a>(kind: &[u8], next: &mut impl FnMut() -> Option<&'a [u8]>) -> Option<RawValue> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    Some(match kind {
        b"key" => RawValue::User(UserNo(number(next()?)?)),
        b"token" | b"basic" => {
            let issuer = text(next()?);
            RawValue::Text(format!("{} ({issuer})", text(next()?)))
        }
        _ => RawValue::Text(text(next()?)),
    })
}

fn number(octets: &[u8]) -> Option<i64> {
    octets.try_into().ok().map(i64::from_be_bytes)
}

fn address(octets: &[u8]) -> Option<RawValue> {
    let v4 = || <[u8; 4]>::try_from(octets).ok().map(|octets| IpAddr::from(octets).to_string());
    let v6 = || <[u8; 16]>::try_from(octets).ok().map(|octets| format!("{}/64", IpAddr::from(octets)));
    v4().or_else(v6).map(RawValue::Text)
}

/// The names of keys and users.
struct Names {
    ids: ScopeIds,
    users: BTreeMap<UserNo, String>,
    keys: BTreeMap<KeyNo, OwnedKey>,
}

impl Names {
    /// Looks up each key and user of `values` once: at most [`KEYS_MAX`] of them for each dimension.
    async fn look_up(store: &Store, values: impl Iterator<Item = &RawValue>) -> Result<Self, DatabaseError> {
        let scopes = values.filter_map(|value| match value {
            RawValue::Key(no) => Some(BudgetScope::Key(*no)),
            RawValue::User(no) => Some(BudgetScope::User(*no)),
            RawValue::Text(_) | RawValue::Unknown => None,
        });
        let scopes: Vec<BudgetScope> = scopes.collect();
        let ids = store.scope_ids(scopes.iter().copied()).await?;
        let mut users = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for scope in scopes {
            if let BudgetScope::Key(no) = scope
                && !keys.contains_key(&no)
                && let Some((id, _)) = ids.key(no)
                && let Some(key) = OwnedKey::find(store, id).await?
            {
                keys.insert(no, key);
            }
            if let BudgetScope::User(no) = scope
                && !users.contains_key(&no)
                && let Some(id) = ids.user(no)
                && let Some(user) = store.find_user(&UserRef::Id(id)).await?
            {
                users.insert(no, user.address_or_name().to_owned());
            }
        }
        Ok(Self { ids, users, keys })
    }

    fn of_value(&self, dimension: &LimitDimension, value: RawValue) -> KeyValue {
        let (value, id) = match value {
            RawValue::Text(text) => (Some(text), None),
            RawValue::Unknown => (None, None),
            RawValue::Key(no) => match self.keys.get(&no) {
                Some(key) => return key.clone().value(dimension.to_string()),
                None => (None, None),
            },
            RawValue::User(no) => (self.users.get(&no).cloned(), self.ids.user(no).map(|id| id.to_string())),
        };
        KeyValue::plain(dimension.to_string(), value, id)
    }
}

fn view(clock: &Clock, rule: &RateLimit, key: CountedKey, names: &Names) -> BusyKeyView {
    let CountedKey { busy, values } = key;
    let level = busy.level;
    BusyKeyView {
        values: rule.dimensions.iter().zip(values).map(|(of, value)| names.of_value(of, value)).collect(),
        limit: busy.terms.at_once().into(),
        used: busy.used().into(),
        remaining: level.remaining.into(),
        resets_at: (!level.reset.is_zero()).then(|| rfc3339(clock.now().after(level.reset))),
        refused: Some(busy.refused),
    }
}
