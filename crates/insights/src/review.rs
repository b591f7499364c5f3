//! The review of a day: the roles that must approve it, and their decisions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::money::NanoMoney;
use crate::scope::DayScope;

/// The state of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// The day is not over, or usage is missing.
    Collecting,
    /// The figures are complete and no role has decided.
    Ready,
    /// Some roles have approved.
    PartlyApproved,
    /// All required roles have approved.
    Approved,
    /// A role has rejected the figures.
    Rejected,
    /// Usage arrived after an approval.
    Reopened,
}

/// The review of one day of a scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewStatus {
    /// The id of the reviewed brief.
    pub id: String,
    /// The day in UTC.
    #[schema(format = Date)]
    pub date: String,
    /// The users whose usage is reviewed.
    pub scope: DayScope,
    /// The state of the review.
    pub state: ReviewState,
    /// Whether the day is over and all its usage is stored.
    pub complete: bool,
    /// The version of the day's figures.
    pub figures_version: u64,
    /// The roles that must approve, in their order.
    pub required: Vec<RequiredRole>,
    /// What changed since the last approval; null unless the review was reopened.
    pub difference: Option<FiguresDifference>,
    /// All decisions, oldest first.
    pub history: Vec<ReviewEntry>,
}

/// The decision of a role on the current figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleState {
    /// The role has not decided.
    Waiting,
    /// The role has approved.
    Approved,
    /// The role has rejected.
    Rejected,
}

/// A role that must approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequiredRole {
    /// The name of the role.
    pub role: String,
    /// The decision of the role on the current figures.
    pub state: RoleState,
    /// The time of the decision; null if the role has not decided.
    #[schema(format = DateTime)]
    pub at: Option<String>,
}

/// The change of the figures since the last approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FiguresDifference {
    /// The change of the number of requests.
    pub requests: i64,
    /// The change of the number of tokens.
    pub tokens: i64,
    /// The change of the cost.
    pub cost: NanoMoney,
}

/// One decision of a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewEntry {
    /// The time of the decision.
    #[schema(format = DateTime)]
    pub at: String,
    /// The role that decided.
    pub role: String,
    /// Whether the figures were approved.
    pub approve: bool,
    /// The comment of the decision.
    pub comment: Option<String>,
}

/// One decision of a role, before it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The time of the decision, as RFC 3339.
    pub at: String,
    /// The role that decides.
    pub role: String,
    /// Whether the figures are approved.
    pub approve: bool,
    /// The comment of the decision.
    pub comment: Option<String>,
}

impl ReviewStatus {
    /// Adds a decision to the history, and computes the state from the decisions of the required roles. The decision of
    /// another role changes the history only.
    pub fn record(&mut self, decision: Decision) {
        let Decision { at, role, approve, comment } = decision;
        let state = if approve { RoleState::Approved } else { RoleState::Rejected };
        if let Some(required) = self.required.iter_mut().find(|required| required.role == role) {
            (required.state, required.at) = (state, Some(at.clone()));
        }
        self.history.push(ReviewEntry { at, role, approve, comment });
        self.state = state_of(&self.required);
    }
}

/// Returns the state of a complete day from the decisions of its roles.
#[must_use]
pub fn state_of(required: &[RequiredRole]) -> ReviewState {
    let has = |state: RoleState| required.iter().any(|role| role.state == state);
    match (has(RoleState::Rejected), has(RoleState::Approved), has(RoleState::Waiting)) {
        (true, _, _) => ReviewState::Rejected,
        (false, true, false) => ReviewState::Approved,
        (false, true, true) => ReviewState::PartlyApproved,
        (false, false, _) => ReviewState::Ready,
    }
}
