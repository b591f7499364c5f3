//! The limits of plans and of keys: `requests_per_minute` of each key, and `credits_per_day` of each user and of each client
//! without a user.

use std::cmp::Reverse;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::{Amount, BudgetScope, Credits, Day, KeyId, Plan};
use config::ExplainedTier;
use ledger::{SubjectCredits, UserCredits};
use meter::{BudgetId, BusyQuota, BusyRate};
use store::{BoundCount, DatabaseError, ScopeIds, Store, UserRef};
use tokio::task::spawn_blocking;

use super::nodes::LimitNodes;
use super::owner::OwnedKey;
use super::{BusyKeyView, KEYS_MAX, KeyValue, LimitKind, LimitSources, LimitStatesError, LimitView, LiveLimits};
use crate::budgets::{self, BudgetSources};
use crate::moment::rfc3339;

/// Clients are listed from this part of a quota on: a quarter.
const BUSY_PARTS: u64 = 4;
/// The dimension of quotas of users.
const USER: &str = "user";
/// The dimension of quotas of clients without a user.
const SUBJECT: &str = "subject";
/// The dimension of `requests_per_minute`, and of quotas that keys have of their own.
const KEY: &str = "key";
/// The beginning of the name of a tier for limits that keys have of their own. The name of a plan has no space.
pub(super) const OWN: &str = "the largest of ";

/// The keys and the clients without a user that have used the largest part of the limits of plans, in this process, and the
/// users that have, as far as the store knows. Without the proxy, clients are those of the store too, and no key is known.
pub(super) struct BusyClients {
    users: (Vec<UserCredits>, usize),
    rates: (Vec<BusyRate>, usize),
    quotas: (Vec<BusyQuota>, usize),
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
        let (now, day) = (sources.clock.mono(), sources.clock.now().day());
        let users = sources.ledger.busiest_users(day, keys_max()).await?;
        let Some(LiveLimits { meter, .. }) = sources.live else {
            return Ok(Self { users, rates: (Vec::new(), 0), quotas: stored_quotas(sources, day).await? });
        };
        let meter = Arc::clone(meter);
        let search = move || (meter.busiest_rates(KEYS_MAX, now), meter.busiest_quotas(KEYS_MAX, day));
        let (rates, quotas) = spawn_blocking(search).await?;
        Ok(Self { users, rates, quotas })
    }

    /// Returns the used parts of the limits, in thousandths.
    pub(super) fn fullness(&self) -> impl Iterator<Item = u64> {
        let users = self.users.0.iter().map(UserCredits::fullness);
        let rates = self.rates.0.iter().map(|rate| rate.fullness);
        users.chain(rates).chain(self.quotas.0.iter().map(BusyQuota::fullness))
    }

    /// Returns the limits with the keys that are shown.
    pub(super) async fn views(
        self,
        sources: LimitSources<'_>,
        nodes: LimitNodes,
        KeyBound { least, left }: KeyBound,
    ) -> Result<Vec<LimitView>, DatabaseError> {
        let Self { users: (mut users, all_users), rates: (mut rates, all_rates), quotas: (mut quotas, all_quotas) } =
            self;
        users.retain(|user| user.fullness() >= least);
        users.truncate(left);
        let left = left - users.len();
        rates.retain(|rate| rate.fullness >= least);
        rates.truncate(left);
        quotas.retain(|quota| quota.fullness() >= least);
        quotas.truncate(left - rates.len());
        let of_keys = rates.iter().map(|rate| BudgetScope::Key(rate.key));
        let ids =
            sources.store.scope_ids(of_keys.chain(quotas.iter().map(|of| BudgetScope::Subject(of.subject)))).await?;
        let stored: Vec<Plan> = sources.store.stored_plans().await?.into_iter().map(|stored| stored.plan).collect();
        let own = sources.store.bound_keys().await?;
        let subject_plans = sources.snapshot.subject_plans();
        let mut views = Vec::new();
        let rates_of_keys = rates_view(KEY, nodes, stored.iter(), own.requests_per_minute);
        if !rates_of_keys.tiers.is_empty() || all_rates > 0 {
            let mut keys = Vec::with_capacity(rates.len());
            for rate in rates {
                keys.extend(rate_view(sources, rate, &ids).await?);
            }
            views.push(LimitView { busy_keys: sources.live.map(|_| all_rates), keys, ..rates_of_keys });
        }
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
    let (mut quotas, mut all) = (Vec::new(), 0);
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
    let largest = Credits(own.most?);
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
    format!("\"credits_per_day\";q={};w=86400", quota.0)
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
        limit: user.limit.0,
        used: used.0,
        remaining: user.limit.saturating_sub(used).0,
        resets_at: Some(rfc3339(day.next().start())),
        refused: None,
    }
}

/// Returns the state of a key; `None` if the key no longer exists, or has no limit any more.
async fn rate_view(
    sources: LimitSources<'_>,
    rate: BusyRate,
    ids: &ScopeIds,
) -> Result<Option<BusyKeyView>, DatabaseError> {
    let LimitSources { store, clock, live, .. } = sources;
    let (Some((id, _)), Some(LiveLimits { meter, nodes, .. })) = (ids.key(rate.key), live) else { return Ok(None) };
    let Some(limit) = requests_per_minute(store, id).await? else { return Ok(None) };
    // With Redis, the bucket counts in the share of this node.
    let share = nodes.map_or(limit, |nodes| NonZeroU32::new(limit.get() / nodes).unwrap_or(NonZeroU32::MIN));
    let level = meter.rate_level(rate.key, share, false, clock.mono());
    let Some(key) = OwnedKey::find(store, id).await? else { return Ok(None) };
    let value = key.value(KEY.to_owned());
    Ok(Some(BusyKeyView {
        values: vec![value],
        limit: level.limit.into(),
        used: level.limit.saturating_sub(level.remaining).into(),
        remaining: level.remaining.into(),
        resets_at: (!level.reset.is_zero()).then(|| rfc3339(clock.now().after(level.reset))),
        refused: None,
    }))
}

/// Returns the smaller limit of a key and the plan of its user.
async fn requests_per_minute(store: &Store, id: KeyId) -> Result<Option<NonZeroU32>, DatabaseError> {
    let Some(key) = store.find_key(id).await? else { return Ok(None) };
    let user = store.find_user(&UserRef::Id(key.user)).await?;
    let of_plan = user.and_then(|user| user.plan.requests_per_minute);
    Ok(of_plan.into_iter().chain(key.bounds.requests_per_minute).min())
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
        limit: quota.limit.0,
        used: used.0,
        remaining: quota.limit.saturating_sub(used).0,
        resets_at: Some(rfc3339(day.next().start())),
        refused: None,
    })
}
