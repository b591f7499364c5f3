//! What callers may use at most, beside their plans.

use access::{Budget, BudgetId, Subject};
use meter::Caller;

/// `budgets`.
#[derive(Debug, Clone)]
pub struct Budgets {
    /// What may be used, each dimension, measure and period at most once.
    pub limits: Vec<BudgetLimit>,
    /// What becomes of a call whose cost its body does not bound.
    pub unbounded: Unbounded,
    /// Whether the most that an answer may have is lowered to what budgets still allow. Default false.
    pub clamp: bool,
    /// How often a call reserves that the provider runs a tool of its own that has no cap. Default 1.
    pub server_tool_rounds: u64,
}

impl Default for Budgets {
    fn default() -> Self {
        let (limits, unbounded) = (Vec::new(), Unbounded::Refuse);
        Self { limits, unbounded, clamp: false, server_tool_rounds: ai::bound::TOOL_ROUNDS }
    }
}

/// One of `budgets.limits`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLimit {
    /// Whom it holds.
    pub dimension: BudgetDimension,
    /// How much there is.
    pub budget: Budget,
}

/// `budgets.limits[].dimension`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetDimension {
    /// Each key.
    Key,
    /// Each user, over all of their keys.
    User,
    /// Everybody on a plan together, each plan.
    Plan,
    /// Everybody.
    Global,
}

/// `budgets.unbounded`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unbounded {
    /// It is refused.
    #[default]
    Refuse,
    /// It is taken to use as much as its model takes and makes.
    Window,
}

/// `quota_status`: clients differ in which status they retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaStatus {
    /// 429, the default.
    TooManyRequests,
    /// 402.
    PaymentRequired,
    /// 403.
    Forbidden,
}

impl Budgets {
    /// What holds `caller`.
    pub fn of(&self, caller: Caller) -> impl Iterator<Item = (BudgetId, u64)> {
        self.limits.iter().map(move |limit| {
            limit.budget.of(match limit.dimension {
                BudgetDimension::Key => Subject::Key(caller.key),
                BudgetDimension::User => Subject::User(caller.user),
                BudgetDimension::Plan => Subject::Plan(caller.plan),
                BudgetDimension::Global => Subject::Global,
            })
        })
    }
}

impl BudgetDimension {
    /// Every dimension.
    pub const ALL: [Self; 4] = [Self::Key, Self::User, Self::Plan, Self::Global];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Plan => "plan",
            Self::Global => "global",
        }
    }
}

impl Unbounded {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Window => "window",
        }
    }
}

impl QuotaStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::TooManyRequests, Self::PaymentRequired, Self::Forbidden];

    /// The HTTP status.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        match self {
            Self::TooManyRequests => 429,
            Self::PaymentRequired => 402,
            Self::Forbidden => 403,
        }
    }

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooManyRequests => "429",
            Self::PaymentRequired => "402",
            Self::Forbidden => "403",
        }
    }
}
