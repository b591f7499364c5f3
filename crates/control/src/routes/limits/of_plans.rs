//! The limits of plans in `GET /api/limits`: `requests_per_minute` of each key, and `credits_per_day` of each user and of each
//! client without a user.

use std::num::NonZeroU32;
use std::sync::Arc;

use access::{BudgetScope, Credits, KeyId, Plan};
use config::{ExplainedTier, Snapshot};
use ledger::UserCredits;
use meter::{BudgetId, BusyQuota, BusyRate};
use store::{DatabaseError, ScopeIds, UserRef};
use tokio::task::spawn_blocking;

use super::owner::OwnedKey;
use super::{BusyKeyView, KEYS_MAX, KeyValue, LimitKind, LimitView};
use crate::budgets;
use crate::moment::rfc3339;
use crate::problem::Problem;
use crate::state::App;

/// The dimension of quotas of users.
const USER: &str = "user";
/// The dimension of quotas of clients without a user.
const SUBJECT: &str = "subject";
/// The dimension of `requests_per_minute`.
const KEY: &str = "key";

/// The keys and the clients without a user that have used the largest part of the limits of plans, in this process, and the
/// users that have, as far as the store knows.
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
    /// Database errors; `internal` if the search panicked.
    pub(super) async fn search(app: &App) -> Result<Self, Problem> {
        let (now, day) = (app.clock.mono(), app.clock.now().day());
        let users = app.ledger.busiest_users(day, u32::try_from(KEYS_MAX).unwrap_or(u32::MAX)).await?;
        let Some(meter) = app.meter.clone() else {
            return Ok(Self { users, rates: (Vec::new(), 0), quotas: (Vec::new(), 0) });
        };
        let search = move || (meter.busiest_rates(KEYS_MAX, now), meter.busiest_quotas(KEYS_MAX, day));
        let (rates, quotas) = spawn_blocking(search).await.map_err(Problem::fault)?;
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
        app: &Arc<App>,
        snapshot: &Snapshot,
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
        let ids = app.store.scope_ids(of_keys.chain(quotas.iter().map(|of| BudgetScope::Subject(of.subject)))).await?;
        let stored: Vec<Plan> = app.store.stored_plans().await?.into_iter().map(|stored| stored.plan).collect();
        let mut views = Vec::new();
        let tiers = rate_tiers(&stored);
        if !tiers.is_empty() || all_rates > 0 {
            let mut keys = Vec::with_capacity(rates.len());
            for rate in rates {
                keys.extend(rate_view(app, rate, &ids).await?);
            }
            let is_shared = app.windows.has_redis();
            let view = LimitView { algorithm: "token_bucket", is_shared, ..LimitKind::RequestsPerMinute.view(KEY) };
            views.push(LimitView { tiers, busy_keys: all_rates, keys, ..view });
        }
        let tiers = quota_tiers(stored.iter().map(|plan| (plan, plan.credits_per_day)));
        if !tiers.is_empty() || all_users > 0 {
            let keys = users.iter().map(|user| user_view(app, user)).collect();
            let view = LimitKind::CreditsPerDay.view(USER);
            views.push(LimitView { is_shared: app.store.is_shared(), tiers, busy_keys: all_users, keys, ..view });
        }
        let subject_plans = snapshot.subject_plans();
        let tiers = quota_tiers(subject_plans.iter().map(|plan| (*plan, plan.subject_credits_per_day())));
        if !tiers.is_empty() || all_quotas > 0 {
            let mut keys = Vec::with_capacity(quotas.len());
            for quota in quotas {
                keys.push(quota_view(app, snapshot, quota, &ids).await?);
            }
            let view = LimitKind::CreditsPerDay.view(SUBJECT);
            views.push(LimitView { is_shared: app.store.is_shared(), tiers, busy_keys: all_quotas, keys, ..view });
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
    fn view(self, dimension: &str) -> LimitView {
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
            busy_keys: 0,
            keys: Vec::new(),
        }
    }
}

/// Returns `requests_per_minute` of each plan in the store.
fn rate_tiers(plans: &[Plan]) -> Vec<ExplainedTier> {
    let tier = |plan: &Plan| {
        let policy = format!("\"requests_per_minute\";q={};w=60", plan.requests_per_minute?);
        Some(ExplainedTier { name: plan.name.clone(), policy })
    };
    plans.iter().filter_map(tier).collect()
}

/// Returns the daily quota of each plan that has one.
fn quota_tiers<'a>(plans: impl Iterator<Item = (&'a Plan, Option<Credits>)>) -> Vec<ExplainedTier> {
    let tier = |(plan, credits): (&Plan, Option<Credits>)| {
        let policy = format!("\"credits_per_day\";q={};w=86400", credits?.0);
        Some(ExplainedTier { name: plan.name.clone(), policy })
    };
    plans.filter_map(tier).collect()
}

/// Returns the state of a user's quota. The live meter also knows usage that is not stored yet, and usage in flight.
fn user_view(app: &App, user: &UserCredits) -> BusyKeyView {
    let day = app.clock.now().day();
    let budget = BudgetId::credits_a_day(BudgetScope::User(user.no));
    let live = app.meter.as_ref().map_or(Credits::ZERO, |meter| meter.used(budget, day).credits());
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
async fn rate_view(app: &App, rate: BusyRate, ids: &ScopeIds) -> Result<Option<BusyKeyView>, DatabaseError> {
    let Some((id, _)) = ids.key(rate.key) else { return Ok(None) };
    let (Some(limit), Some(meter)) = (requests_per_minute(app, id).await?, &app.meter) else { return Ok(None) };
    // With Redis, the bucket counts in the share of this node.
    let nodes = app.windows.sharing_state().map(|state| state.nodes());
    let share = nodes.map_or(limit, |nodes| NonZeroU32::new(limit.get() / nodes).unwrap_or(NonZeroU32::MIN));
    let level = meter.rate_level(rate.key, share, false, app.clock.mono());
    let Some(key) = OwnedKey::find(app, id).await? else { return Ok(None) };
    let value = key.value(KEY.to_owned());
    Ok(Some(BusyKeyView {
        values: vec![value],
        limit: level.limit.into(),
        used: level.limit.saturating_sub(level.remaining).into(),
        remaining: level.remaining.into(),
        resets_at: (!level.reset.is_zero()).then(|| rfc3339(app.clock.now().after(level.reset))),
        refused: None,
    }))
}

/// Returns the smaller limit of a key and the plan of its user.
async fn requests_per_minute(app: &App, id: KeyId) -> Result<Option<NonZeroU32>, DatabaseError> {
    let Some(key) = app.store.find_key(id).await? else { return Ok(None) };
    let user = app.store.find_user(&UserRef::Id(key.user)).await?;
    let of_plan = user.and_then(|user| user.plan.requests_per_minute);
    Ok(of_plan.into_iter().chain(key.bounds.requests_per_minute).min())
}

/// Returns the state of a client without a user. Of a leased quota, the store knows the use of all nodes.
async fn quota_view(
    app: &App,
    snapshot: &Snapshot,
    quota: BusyQuota,
    ids: &ScopeIds,
) -> Result<BusyKeyView, DatabaseError> {
    let day = app.clock.now().day();
    let budget = BudgetId::credits_a_day(BudgetScope::Subject(quota.subject));
    let used = budgets::used(app.budget_sources(snapshot), budget, day).await?.max(quota.used);
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
