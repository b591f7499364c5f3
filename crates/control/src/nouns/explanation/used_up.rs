//! The refusal of a request by a limit that is used up at this moment.

use access::{ClientProgram, Refusal};
use config::{ExplainedRefusal, Explanation, Snapshot};

use super::LimitState;
use crate::nouns::budgets::ExplainedBudget;

/// Returns the refusal by the first limit, quota or budget without a rest, in the order in which they apply: its maximum, the
/// used and left amounts, and the time at which it is full again. Requests to which the gateway itself responds use no quota.
pub(super) fn refusal(
    snapshot: &Snapshot,
    explanation: &Explanation,
    limits: &[LimitState],
    budgets: &[ExplainedBudget],
) -> Option<ExplainedRefusal> {
    let of_limits = limits.iter().find_map(LimitState::used_up).map(|message| {
        let refusal = Refusal::RateLimited;
        ExplainedRefusal { status: refusal.status(), code: refusal.code(), message }
    });
    let is_counted = explanation.action.as_ref().is_some_and(|action| matches!(action.kind, "forward" | "inference"));
    // Of several, the last to reset refuses; of those with one reset, the first.
    let last = budgets.iter().rev().filter(|budget| budget.used_up().is_some());
    let last = last.max_by(|one, other| one.resets_at().cmp(other.resets_at()));
    let of_budget = |budget: &ExplainedBudget| {
        let message = budget.used_up()?;
        let refusal = if budget.is_quota() { Refusal::QuotaExceeded } else { Refusal::BudgetExceeded };
        let status = snapshot.traffic.quota_status.for_client(ClientProgram::Unknown);
        Some(ExplainedRefusal { status, code: refusal.code(), message })
    };
    of_limits.or_else(|| if is_counted { last.and_then(of_budget) } else { None })
}
