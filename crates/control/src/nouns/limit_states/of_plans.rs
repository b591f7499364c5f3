//! The limits of plans and of keys: `requests_per_minute` and `credits_per_day` of each user and of each client without a user,
//! and those that keys have of their own.

use std::cmp::Reverse;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::{Amount, BudgetScope, Credits, Day, Plan};
use config::ExplainedTier;
use ledger::{SubjectCredits, UserCredits};
use meter::{BudgetId, BusyQuota, BusyRate, RateOwner};
use store::{BoundCount, DatabaseError, ScopeIds, Store, UserRef};
use tokio::task::spawn_blocking;

use super::nodes::LimitNodes;
use super::owner::OwnedKey;
use super::{BusyKeyView, KEYS_MAX, KeyValue, LimitKind, LimitSources, LimitStatesError, LimitView, LiveLimits};
use crate::message::moment::rfc3339;
use crate::nouns::budgets::{self, BudgetSources};

/// Clients are listed from this part of a quota on: a quarter.
const BUSY_PARTS: u64 = 4;
/// The dimension of limits of users.
const USER: &str = "user";
/// The dimension of limits of clients without a user.
const SUBJECT: &str = "subject";
/// The dimension of limits that keys have of their own.
const KEY: &str = "key";
/// The beginning of the name of a tier for limits that keys have of their own. The name of a plan has no space.
pub(super) const OWN: &str = "the largest of ";

/// The keys and the clients without a user that have used the largest part of the limits of plans, in this process, and the
/// users that have, as far as the store knows. Without the proxy, clients are those of the store too, and no key is known.
pub(super) struct BusyClients {
    users: (Vec<UserCredits>, usize),
    rates: BusyRates,
    quotas: (Vec<BusyQuota>, usize),
}

/// The users and the keys that have used the largest part of `requests_per_minute`, with the numbers of all such users and keys.
#[derive(Debug, Default)]
struct BusyRates {
    of_users: (Vec<BusyRate>, usize),
    of_keys: (Vec<BusyRate>, usize),
}

/// The bound of the keys in the response, which those of `rate_limits` have used in part.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyBound {
    /// The minimum fullness, in thousandths.
    pub(super) least: u64,
    /// Maximum number of keys.
    pub(super) left: usize,
}

impl BusyClients {
    /// Searches the counters of this process, on a thread that may block: there may be a million of them.
    ///
    /// # Errors
    /// Database errors, or a panic of the search.
    pub(super) async fn search(sources: LimitSources<'_>) -> Result<Self, LimitStatesError> {
        let now = sources.clock.mono();
        let day = sources.clock.now().day();
        let users = sources.ledger.busiest_users(day, keys_max()).await?;
        let Some(LiveLimits { meter, .. }) = sources.live else {
            return Ok(Self { users, rates: BusyRates::default(), quotas: stored_quotas(sources, day).await? });
        };
        let meter = Arc::clone(meter);
        let search = move || {
            let [of_users, of_keys] =
                [RateOwner::User, RateOwner::Key].map(|owner| meter.busiest_rates(owner, KEYS_MAX, now));
            (BusyRates { of_users, of_keys }, meter.busiest_quotas(KEYS_MAX, day))
        };
        let (rates, quotas) = spawn_blocking(search).await?;
        Ok(Self { users, rates, quotas })
    }

    /// Returns the used parts of the limits, in thousandths.
    pub(super) fn fullness(&self) -> impl Iterator<Item = u64> {
        let users = self.users.0.iter().map(UserCredits::fullness);
        let BusyRates { of_users, of_keys } = &self.rates;
        let rates = of_users.0.iter().chain(&of_keys.0).map(|rate| rate.fullness);
        users.chain(rates).chain(self.quotas.0.iter().map(BusyQuota::fullness))
    }

    /// Returns the limits with the keys that are shown.
    pub(super) async fn views(
        self,
        sources: LimitSources<'_>,
        nodes: LimitNodes,
        KeyBound { least, left }: KeyBound,
    ) -> Result<Vec<LimitView>, DatabaseError> {
        let Self { users: (mut users, all_users), mut rates, quotas: (mut quotas, all_quotas) } = self;
        users.retain(|user| user.fullness() >= least);
        users.truncate(left);
        let left = left - users.len();
        let left = left - rates.keep(least, left);
        quotas.retain(|quota| quota.fullness() >= least);
        quotas.truncate(left);
        let of_subjects = quotas.iter().map(|of| BudgetScope::Subject(of.subject));
        let ids = sources.store.scope_ids(rates.owners().chain(of_subjects)).await?;
        let stored: Vec<Plan> = sources.store.stored_plans().await?.into_iter().map(|stored| stored.plan).collect();
        let own = sources.store.bound_keys().await?;
        let subject_plans = sources.snapshot.subject_plans();
        let mut views = Vec::new();
        let of_users = rates_view(USER, nodes, stored.iter(), BoundCount::default());
        views.extend(rates_with_owners(sources, of_users, rates.of_users, &ids).await?);
        let of_keys = rates_view(KEY, nodes, std::iter::empty(), own.requests_per_minute);
        views.extend(rates_with_owners(sources, of_keys, rates.of_keys, &ids).await?);
        let rates_of_subjects = rates_view(SUBJECT, nodes, subject_plans.iter().copied(), BoundCount::default());
        views.extend(Some(rates_of_subjects).filter(|view| !view.tiers.is_empty()));
        let of_users: Vec<(&Plan, Option<Credits>)> = stored.iter().map(|plan| (plan, plan.credits_per_day)).collect();
        if of_users.iter().any(|(_, credits)| credits.is_some()) || all_users > 0 {
            let keys = users.iter().map(|user| user_view(sources, user)).collect();
            views.push(LimitView { busy_keys: Some(all_users), keys, ..quotas_view(USER, nodes, &of_users) });
        }
        views.extend(own_quotas_view(nodes, own.credits_per_day));
        let of_subjects: Vec<(&Plan, Option<Credits>)> =
            subject_plans.into_iter().map(|plan| (plan, plan.subject_credits_per_day())).collect();
        if of_subjects.iter().any(|(_, credits)| credits.is_some()) || all_quotas > 0 {
            let mut keys = Vec::with_capacity(quotas.len());
            for quota in quotas {
                keys.push(quota_view(sources, quota, &ids).await?);
            }
            views.push(LimitView { busy_keys: Some(all_quotas), keys, ..quotas_view(SUBJECT, nodes, &of_subjects) });
        }
        Ok(views)
    }
}

impl BusyRates {
    /// Keeps at most `left` users and keys with this minimum fullness, users first, and returns their number.
    fn keep(&mut self, least: u64, left: usize) -> usize {
        let mut kept = 0;
        for (rates, _) in [&mut self.of_users, &mut self.of_keys] {
            rates.retain(|rate| rate.fullness >= least);
            rates.truncate(left - kept);
            kept += rates.len();
        }
        kept
    }

    fn owners(&self) -> impl Iterator<Item = BudgetScope> {
        self.of_users.0.iter().chain(&self.of_keys.0).map(|rate| rate.owner)
    }
}

impl LimitKind {
    const fn name(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::WithoutKey => "without_key",
            Self::RequestsPerMinute => "requests_per_minute",
            Self::CreditsPerDay => "credits_per_day",
        }
    }

    /// Returns a limit of plans without keys.
    pub(super) fn view(self, dimension: &str) -> LimitView {
        LimitView {
            kind: self,
            name: self.name().to_owned(),
            route: None,
            dimensions: vec![dimension.to_owned()],
            policy: None,
            tiers: Vec::new(),
            is_without_key: false,
            algorithm: "daily",
            is_shared: false,
            place: None,
            refused: None,
            overshoot: 0,
            unusable: 0,
            busy_keys: None,
            keys: Vec::new(),
        }
    }
}

/// Returns [`KEYS_MAX`] as the ledger expects it.
fn keys_max() -> u32 {
    u32::try_from(KEYS_MAX).unwrap_or(u32::MAX)
}

/// Returns the clients without a user that have used the largest part of their quota, as far as the store knows, and their
/// number. Clients whose plan does not follow from the configuration are left out.
async fn stored_quotas(sources: LimitSources<'_>, day: Day) -> Result<(Vec<BusyQuota>, usize), DatabaseError> {
    let mut quotas = Vec::new();
    let mut all = 0;
    for (issuer, plan) in sources.snapshot.plans_of_issuers() {
        let Some(limit) = plan.subject_credits_per_day().filter(|quota| !quota.is_zero()) else { continue };
        let least = Credits(limit.0.div_ceil(BUSY_PARTS));
        let (busiest, found) = sources.ledger.busiest_subjects(day, issuer, least, keys_max()).await?;
        // Clients of one issuer have the same quota, so the most credits are the largest part.
        quotas.extend(busiest.into_iter().map(|SubjectCredits { subject, credits }| BusyQuota {
            subject,
            limit: Amount::of_credits(limit),
            used: Amount::of_credits(credits),
        }));
        all += found;
    }
    quotas.sort_by_key(|quota: &BusyQuota| Reverse(quota.fullness()));
    quotas.truncate(KEYS_MAX);
    Ok((quotas, all))
}

/// Returns `requests_per_minute` of plans, and the largest that keys have of their own, for this dimension, without keys.
fn rates_view<'a>(
    dimension: &str,
    nodes: LimitNodes,
    plans: impl Iterator<Item = &'a Plan>,
    own: BoundCount,
) -> LimitView {
    let of_plans = plans.filter_map(|plan| Some((plan.name.clone(), plan.requests_per_minute?)));
    let largest = own.most.and_then(|most| NonZeroU32::new(u32::try_from(most).unwrap_or(u32::MAX)));
    let limits: Vec<(String, NonZeroU32)> = of_plans.chain(largest.map(|limit| (own_name(own), limit))).collect();
    let tier = |(name, limit): &(String, NonZeroU32)| ExplainedTier {
        name: name.clone(),
        policy: format!("\"requests_per_minute\";q={limit};w=60"),
    };
    LimitView {
        algorithm: "token_bucket",
        is_shared: nodes.has_redis,
        tiers: limits.iter().map(tier).collect(),
        overshoot: limits.iter().map(|(_, limit)| nodes.overshoot_per_minute(*limit)).max().unwrap_or(0),
        ..LimitKind::RequestsPerMinute.view(dimension)
    }
}

/// Returns the largest of the daily quotas that keys have of their own; `None` if no key has one.
fn own_quotas_view(nodes: LimitNodes, own: BoundCount) -> Option<LimitView> {
    let largest = Credits::whole(own.most?);
    let tier = ExplainedTier { name: own_name(own), policy: quota_policy(largest) };
    Some(LimitView { tiers: vec![tier], unusable: nodes.unusable(largest), ..quotas_view(KEY, nodes, &[]) })
}

/// Returns the name of the tier for limits that keys have of their own. There may be many keys, so only the largest is shown.
fn own_name(own: BoundCount) -> String {
    match own.keys {
        1 => format!("{OWN}1 key with its own"),
        keys => format!("{OWN}{keys} keys with their own"),
    }
}

fn quota_policy(quota: Credits) -> String {
    format!("\"credits_per_day\";q={};w=86400", quota.rounded_down())
}

/// Returns the daily quotas of plans for this dimension, without keys.
fn quotas_view(dimension: &str, nodes: LimitNodes, quotas: &[(&Plan, Option<Credits>)]) -> LimitView {
    let largest = quotas.iter().filter_map(|(_, credits)| *credits).max();
    LimitView {
        is_shared: nodes.is_store_shared,
        tiers: quota_tiers(quotas),
        unusable: largest.map_or(0, |quota| nodes.unusable(quota)),
        ..LimitKind::CreditsPerDay.view(dimension)
    }
}

/// Returns the daily quota of each plan that has one.
fn quota_tiers(plans: &[(&Plan, Option<Credits>)]) -> Vec<ExplainedTier> {
    let tier = |(plan, credits): &(&Plan, Option<Credits>)| {
        Some(ExplainedTier { name: plan.name.clone(), policy: quota_policy((*credits)?) })
    };
    plans.iter().filter_map(tier).collect()
}

/// Returns the state of a user's quota. The live meter also knows usage that is not stored yet, and usage in flight.
fn user_view(sources: LimitSources<'_>, user: &UserCredits) -> BusyKeyView {
    let day = sources.clock.now().day();
    let budget = BudgetId::credits_a_day(BudgetScope::User(user.no));
    let live = sources.live.map_or(Credits::ZERO, |live| live.meter.used(budget, day).credits());
    let used = user.used.max(live);
    BusyKeyView {
        values: vec![KeyValue::plain(USER.to_owned(), Some(user.name.clone()), Some(user.id.to_string()))],
        limit: user.limit.rounded_down(),
        used: used.rounded_up(),
        remaining: user.limit.saturating_sub(used).rounded_down(),
        resets_at: Some(rfc3339(day.next().start())),
        refused: None,
    }
}

/// Returns a limit of requests per minute with the users or keys that are near it; `None` if there is neither.
async fn rates_with_owners(
    sources: LimitSources<'_>,
    view: LimitView,
    found: (Vec<BusyRate>, usize),
    ids: &ScopeIds,
) -> Result<Option<LimitView>, DatabaseError> {
    let (rates, all) = found;
    if view.tiers.is_empty() && all == 0 {
        return Ok(None);
    }
    let mut keys = Vec::with_capacity(rates.len());
    for rate in rates {
        keys.extend(rate_view(sources, rate, ids).await?);
    }
    Ok(Some(LimitView { busy_keys: sources.live.map(|_| all), keys, ..view }))
}

/// Returns the state of a key or a user; `None` if it no longer exists, or has no limit any more.
async fn rate_view(
    sources: LimitSources<'_>,
    rate: BusyRate,
    ids: &ScopeIds,
) -> Result<Option<BusyKeyView>, DatabaseError> {
    let LimitSources { store, clock, live, .. } = sources;
    let Some(LiveLimits { meter, nodes, .. }) = live else { return Ok(None) };
    let Some((limit, value)) = limited_owner(store, rate.owner, ids).await? else { return Ok(None) };
    // With Redis, the bucket counts in the share of this node.
    let share = nodes.map_or(limit, |nodes| NonZeroU32::new(limit.get() / nodes).unwrap_or(NonZeroU32::MIN));
    let level = meter.rate_level(rate.owner, share, false, clock.mono());
    Ok(Some(BusyKeyView {
        values: vec![value],
        limit: level.limit.into(),
        used: level.limit.saturating_sub(level.remaining).into(),
        remaining: level.remaining.into(),
        resets_at: (!level.reset.is_zero()).then(|| rfc3339(clock.now().after(level.reset))),
        refused: None,
    }))
}

/// Returns the limit of requests per minute of a key or a user, and its value; `None` if there is no such limit.
async fn limited_owner(
    store: &Store,
    owner: BudgetScope,
    ids: &ScopeIds,
) -> Result<Option<(NonZeroU32, KeyValue)>, DatabaseError> {
    if let BudgetScope::Key(no) = owner {
        let Some((id, _)) = ids.key(no) else { return Ok(None) };
        let limit = store.find_key(id).await?.and_then(|key| key.bounds.requests_per_minute);
        let key = OwnedKey::find(store, id).await?;
        return Ok(limit.zip(key.map(|key| key.value(KEY.to_owned()))));
    }
    let BudgetScope::User(no) = owner else { return Ok(None) };
    let Some(id) = ids.user(no) else { return Ok(None) };
    let Some(user) = store.find_user(&UserRef::Id(id)).await? else { return Ok(None) };
    let name = user.address_or_name().to_owned();
    let value = KeyValue::plain(USER.to_owned(), Some(name), Some(id.to_string()));
    Ok(user.plan.requests_per_minute.map(|limit| (limit, value)))
}

/// Returns the state of a client without a user. Of a leased quota, the store knows the use of all nodes.
async fn quota_view(sources: LimitSources<'_>, quota: BusyQuota, ids: &ScopeIds) -> Result<BusyKeyView, DatabaseError> {
    let day = sources.clock.now().day();
    let budget = BudgetId::credits_a_day(BudgetScope::Subject(quota.subject));
    let LimitSources { store, snapshot, live, .. } = sources;
    let sources = BudgetSources { store, meter: live.map(|live| &**live.meter), snapshot };
    let used = budgets::used(sources, budget, day).await?.max(quota.used);
    let name = ids.subject(quota.subject).map(|subject| match subject.issuer.as_str() {
        "" => subject.name.clone(),
        issuer => format!("{} ({issuer})", subject.name),
    });
    Ok(BusyKeyView {
        values: vec![KeyValue::plain(SUBJECT.to_owned(), name, None)],
        limit: quota.limit.credits().rounded_down(),
        used: used.credits().rounded_up(),
        remaining: quota.limit.saturating_sub(used).credits().rounded_down(),
        resets_at: Some(rfc3339(day.next().start())),
        refused: None,
    })
}
