//! The limits of a request: rates, budgets, quotas of subjects, and the grants that they need.

pub(crate) mod budget;
pub(crate) mod grants;
pub(crate) mod rate_limits;
pub(crate) mod subject_quota;
