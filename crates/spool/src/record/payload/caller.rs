//! The key and user of a request.

use access::{KeyNo, PlanId, UserNo};
use meter::Caller;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct CallerPayload {
    user: i64,
    key: i64,
    plan: Uuid,
}

impl From<Caller> for CallerPayload {
    fn from(Caller { user, key, plan }: Caller) -> Self {
        Self { user: user.0, key: key.0, plan: plan.0 }
    }
}

impl From<CallerPayload> for Caller {
    fn from(CallerPayload { user, key, plan }: CallerPayload) -> Self {
        Self { user: UserNo(user), key: KeyNo(key), plan: PlanId(plan) }
    }
}
