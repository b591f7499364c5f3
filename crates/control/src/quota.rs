//! What is left of a user's day, as the live meter has it.

use access::{Day, Plan, UserNo};
use serde::Serialize;

use crate::moment::rfc3339;
use crate::state::State;

/// Credits of a UTC day. `limit` and `remaining` are null where the plan has no daily quota.
#[derive(Debug, Serialize)]
pub(crate) struct Quota {
    pub(crate) limit: Option<u64>,
    pub(crate) used: u64,
    pub(crate) remaining: Option<u64>,
    pub(crate) resets_at: String,
}

impl Quota {
    /// Where `user` stands on `day`; what is in flight counts as used.
    pub(crate) fn of(state: &State, user: UserNo, plan: &Plan, day: Day) -> Self {
        let used = state.meter.used(user, day);
        let limit = plan.credits_per_day;
        let remaining = limit.map(|limit| limit.saturating_sub(used));
        Self { limit, used, remaining, resets_at: rfc3339(day.next().start()) }
    }
}
