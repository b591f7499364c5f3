//! What a caller is held to: its rate and its budgets, found once and kept with its principal.

use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::sync::Arc;

use access::{KeyBounds, Plan, Timestamp};

use crate::account::{Account, Accounts, Authority};
use crate::budget::{BudgetId, Charge, Measure, Subject};
use crate::cell::Cell;
use crate::event::Caller;
use crate::rate::{Bucket, Rate};
use crate::tally::Slice;

/// Calls that cost no quota have a bucket of their own, so many times the plan's rate (Claude Code sends 14 token
/// counts at once).
const FREE_RATE_FACTOR: NonZeroU32 = match NonZeroU32::new(10) {
    Some(factor) => factor,
    None => NonZeroU32::MIN,
};

/// Where a caller's limits stand written.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// Who they are.
    pub caller: Caller,
    /// The limits of their plan.
    pub plan: &'a Plan,
    /// The limits of their key; the plan's hold as well.
    pub bounds: &'a KeyBounds,
    /// Budgets beside those of plan and key; of two with one id the smaller holds. Those of other users and keys are
    /// passed over.
    pub budgets: &'a [(BudgetId, u64)],
}

/// A caller's limits, each with the count that it limits: no map and no lock between a request and them.
///
/// Who keeps them must ask [`Meter::limits`](crate::Meter::limits) again when the terms have changed.
#[derive(Debug)]
pub struct Limits {
    pub(crate) rate: Option<(NonZeroU32, LimitOf)>,
    pub(crate) key: Arc<Account>,
    /// In the order of their ids, each once: at most one for each kind of subject, measure and period, which is 24.
    pub(crate) budgets: Box<[Budget]>,
    pub(crate) authority: Authority,
    /// Where what becomes of its reservations is counted.
    pub(crate) tally: Arc<Slice>,
}

/// A budget that holds a caller.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) id: BudgetId,
    /// `None` is counted, and limits nothing.
    pub(crate) most: Option<u64>,
    pub(crate) account: Arc<Account>,
}

/// Whose rate it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOf {
    /// The user's plan's.
    Plan,
    /// The key's own.
    Key,
}

/// Which of a key's buckets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bucketed {
    Paid,
    Free,
}

impl Limits {
    pub(crate) fn new(terms: &Terms<'_>, accounts: &Accounts, shared: (Authority, Arc<Slice>)) -> Self {
        let (authority, tally) = shared;
        let Caller { user, key, .. } = terms.caller;
        // Both are counted whether or not they are limited: people are shown them.
        let mut budgets = vec![
            (BudgetId::credits_a_day(Subject::Key(key)), terms.bounds.credits_per_day),
            (BudgetId::credits_a_day(Subject::User(user)), terms.plan.credits_per_day),
        ];
        budgets.extend(terms.budgets.iter().map(|(id, most)| (*id, Some(*most))));
        // Where two have one id the smaller comes first; no limit is the largest.
        budgets.sort_by(|(id, most), (other, than)| id.cmp(other).then(smaller(*most, *than)));
        budgets.dedup_by_key(|(id, _)| *id);
        let mut plan = None;
        let account = |(id, most): (BudgetId, Option<u64>)| {
            let account = match id.subject {
                Subject::Key(no) => (no == key).then(|| accounts.keys.get(no)),
                Subject::User(no) => (no == user).then(|| accounts.users.get(no)),
                // A caller has one plan; whose the first budget is.
                Subject::Plan(id) => (*plan.get_or_insert(id) == id).then(|| accounts.plans.get(id)),
                Subject::Global => Some(accounts.everybody.clone()),
            };
            account.map(|account| Budget { id, most, account })
        };
        let budgets = budgets.into_iter().filter_map(account).collect();
        Self { rate: slower(terms), key: accounts.keys.get(key), budgets, authority, tally }
    }

    /// The rate for a call, with the bucket that it is taken from.
    pub(crate) fn rate(&self, free: bool) -> Option<(Rate, Bucketed, LimitOf)> {
        let (limit, of) = self.rate?;
        Some(if free {
            (Rate::per_minute(limit.saturating_mul(FREE_RATE_FACTOR)), Bucketed::Free, of)
        } else {
            (Rate::per_minute(limit), Bucketed::Paid, of)
        })
    }

    pub(crate) fn bucket(&self, which: Bucketed) -> &Bucket {
        match which {
            Bucketed::Paid => &self.key.rate,
            Bucketed::Free => &self.key.free_rate,
        }
    }

    /// The current cells, in the order of the budgets.
    pub(crate) fn cells(&self, at: Timestamp) -> impl Iterator<Item = (&Budget, Arc<Cell>)> {
        self.budgets.iter().map(move |budget| {
            let BudgetId { measure, per, .. } = budget.id;
            (budget, budget.account.cell((measure, per), at.day(), self.authority))
        })
    }

    /// What the limits would still let one request use at `at`, each measure by its tightest budget; `u64::MAX` where
    /// nothing limits it. Another request may take it first, and what other nodes use is not in it.
    #[must_use]
    pub fn left(&self, at: Timestamp) -> Charge {
        let none = Charge { credits: u64::MAX, tokens: u64::MAX, money: u64::MAX };
        self.cells(at).fold(none, |left, (budget, cell)| {
            let Some(most) = budget.most else { return left };
            let measure = budget.id.measure;
            let of_budget = most.saturating_sub(cell.used());
            left.with(measure, left.of(measure).min(of_budget))
        })
    }

    /// Whether any budget limits anything.
    #[must_use]
    pub fn limits_budgets(&self) -> bool {
        self.budgets.iter().any(|budget| budget.most.is_some())
    }

    /// Whether a budget limits this measure.
    #[must_use]
    pub fn limits(&self, measure: Measure) -> bool {
        self.budgets.iter().any(|budget| budget.most.is_some() && budget.id.measure == measure)
    }
}

fn smaller(most: Option<u64>, than: Option<u64>) -> Ordering {
    (most.is_none(), most).cmp(&(than.is_none(), than))
}

/// The smaller rate of plan and key.
fn slower(terms: &Terms<'_>) -> Option<(NonZeroU32, LimitOf)> {
    match (terms.plan.requests_per_minute, terms.bounds.requests_per_minute) {
        (Some(plan), Some(key)) if plan <= key => Some((plan, LimitOf::Plan)),
        (_, Some(key)) => Some((key, LimitOf::Key)),
        (plan, None) => plan.map(|plan| (plan, LimitOf::Plan)),
    }
}
