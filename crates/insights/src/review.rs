//! The review of a day: the roles that must approve it, and their decisions.

use access::NanoUsd;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::figures::money::NanoMoney;
use crate::scope::DayScope;
use crate::signed_classes::SignedClasses;

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
    /// The change of the number of requests, without refused ones.
    pub requests: i64,
    /// The change of the number of tokens.
    pub tokens: i64,
    /// The change of the cost.
    pub cost: NanoMoney,
    /// The change of the number of refused requests. Since an approval by a release that did not distinguish them, this and the
    /// next change are 0, and part of the others.
    #[serde(default)]
    #[schema(required = true)]
    pub refused: i64,
    /// The change of the cost that users' own credentials paid.
    #[serde(default)]
    #[schema(required = true)]
    pub own_cost: NanoMoney,
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
    /// The user who decided; absent if the store no longer contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<ReviewPerson>,
}

/// The user who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewPerson {
    /// The id of the user.
    pub id: Uuid,
    /// The display name of the user.
    pub name: String,
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
        self.history.push(ReviewEntry { at, role, approve, comment, user: None });
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

/// The figures that a decision is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReviewedFigures {
    /// The number of requests of the day, without refused ones.
    pub requests: u64,
    /// The number of tokens.
    pub tokens: u64,
    /// The sum of the known costs in nano-USD that the operator pays.
    pub cost_nano: i64,
    /// The figures apart from these; `None` if a release stored them that did not distinguish them: `requests` and `cost_nano`
    /// contain them then.
    #[serde(flatten)]
    pub apart: Option<FiguresApart>,
}

/// Figures of a day that are not part of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiguresApart {
    /// The number of refused requests.
    pub refused: u64,
    /// The sum of the known costs in nano-USD that users' own credentials paid.
    pub own_cost_nano: i64,
}

impl ReviewedFigures {
    /// Returns the figures as a release wrote them that did not distinguish refused requests and own credentials.
    fn together(self) -> Self {
        let FiguresApart { refused, own_cost_nano } = self.apart.unwrap_or_default();
        Self {
            requests: self.requests.saturating_add(refused),
            cost_nano: self.cost_nano.saturating_add(own_cost_nano),
            apart: None,
            ..self
        }
    }
}

/// A decision that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastDecision {
    /// The decision with its time and role.
    pub decision: Decision,
    /// The user who decided for the role.
    pub user: Uuid,
    /// The version of the figures.
    pub figures_version: u64,
    /// The figures that were decided.
    pub figures: ReviewedFigures,
    /// The classes that were decided; `None` for a rejection, and if a release without them stored it.
    pub classes: Option<SignedClasses>,
}

/// The day, its figures and the roles of a review.
#[derive(Debug, Clone, Copy)]
pub struct ReviewedDay<'a> {
    /// The names of the roles that must approve, in their order.
    pub roles: &'a [String],
    /// Whether the day is over and all its usage is stored.
    pub complete: bool,
    /// The version of the day's figures.
    pub figures_version: u64,
    /// The figures of the day.
    pub figures: ReviewedFigures,
}

/// The reason why a decision is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignoffRefusal {
    /// The day is not over, or usage is missing.
    #[error("the figures of this day are not complete")]
    Collecting,
    /// The role does not sign off days.
    #[error("this role is not one of those that sign off")]
    UnknownRole,
    /// A rejection has no comment.
    #[error("a rejection needs a `comment`")]
    CommentMissing,
    /// The same person has decided about this version before.
    #[error("you have decided about these figures before; another person must decide for this role")]
    SamePerson,
}

/// The state of a review with the decisions of its roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviewProgress {
    /// The state of the review.
    pub state: ReviewState,
    /// The decisions of the roles on the current figures.
    pub required: Vec<RequiredRole>,
    /// What changed since the last approval; only of a reopened review.
    pub difference: Option<FiguresDifference>,
}

/// Returns the state of a review. Decisions on earlier versions of the figures do not count; if the last of them were
/// approvals, the review is reopened.
#[must_use]
pub fn progress(day: &ReviewedDay<'_>, decisions: &[PastDecision]) -> ReviewProgress {
    let required = required(day.roles, decisions, day.figures_version);
    if !day.complete {
        return ReviewProgress { state: ReviewState::Collecting, required, difference: None };
    }
    if decisions.iter().any(|past| past.figures_version == day.figures_version) {
        return ReviewProgress { state: state_of(&required), required, difference: None };
    }
    let last = decisions.iter().map(|past| past.figures_version).max();
    let before = last.map(|version| state_of(&self::required(day.roles, decisions, version)));
    match before {
        Some(ReviewState::Approved | ReviewState::PartlyApproved) => {
            let approved = decisions.iter().rev().find(|past| past.decision.approve).map(|past| past.figures);
            let difference = approved.map(|approved| difference(approved, day.figures));
            ReviewProgress { state: ReviewState::Reopened, required, difference }
        }
        None | Some(ReviewState::Collecting | ReviewState::Ready | ReviewState::Rejected | ReviewState::Reopened) => {
            ReviewProgress { state: ReviewState::Ready, required, difference: None }
        }
    }
}

/// Returns the classes of the day's last approval. `None` if the day is not approved, or if an older release approved it
/// without classes.
#[must_use]
pub fn approved_classes<'a>(day: &ReviewedDay<'_>, decisions: &'a [PastDecision]) -> Option<&'a SignedClasses> {
    if progress(day, decisions).state != ReviewState::Approved {
        return None;
    }
    let is_approval = |past: &&PastDecision| past.figures_version == day.figures_version && past.decision.approve;
    decisions.iter().rev().find(is_approval)?.classes.as_ref()
}

/// Checks whether a person may decide for a role.
///
/// # Errors
/// The first refusal that applies.
pub fn judge(
    day: &ReviewedDay<'_>,
    decisions: &[PastDecision],
    decision: &Decision,
    user: Uuid,
) -> Result<(), SignoffRefusal> {
    if !day.roles.contains(&decision.role) {
        return Err(SignoffRefusal::UnknownRole);
    }
    if !day.complete {
        return Err(SignoffRefusal::Collecting);
    }
    if !decision.approve && decision.comment.as_ref().is_none_or(|comment| comment.trim().is_empty()) {
        return Err(SignoffRefusal::CommentMissing);
    }
    if decisions.iter().any(|past| past.user == user && past.figures_version == day.figures_version) {
        return Err(SignoffRefusal::SamePerson);
    }
    Ok(())
}

/// Returns the last decision of each role on one version.
fn required(roles: &[String], decisions: &[PastDecision], version: u64) -> Vec<RequiredRole> {
    let of = |role: &String| {
        let last = decisions.iter().rev().find(|past| past.figures_version == version && past.decision.role == *role);
        let state = last.map_or(RoleState::Waiting, |past| match past.decision.approve {
            true => RoleState::Approved,
            false => RoleState::Rejected,
        });
        RequiredRole { role: role.clone(), state, at: last.map(|past| past.decision.at.clone()) }
    };
    roles.iter().map(of).collect()
}

fn difference(before: ReviewedFigures, now: ReviewedFigures) -> FiguresDifference {
    let now = if before.apart.is_some() { now } else { now.together() };
    let [apart_before, apart] = [before, now].map(|of| of.apart.unwrap_or_default());
    let change = |before: u64, now: u64| {
        i64::try_from(i128::from(now) - i128::from(before)).unwrap_or(if now > before { i64::MAX } else { i64::MIN })
    };
    FiguresDifference {
        requests: change(before.requests, now.requests),
        tokens: change(before.tokens, now.tokens),
        cost: NanoMoney::from_nano_usd(NanoUsd(now.cost_nano.saturating_sub(before.cost_nano))),
        refused: change(apart_before.refused, apart.refused),
        own_cost: NanoMoney::from_nano_usd(NanoUsd(apart.own_cost_nano.saturating_sub(apart_before.own_cost_nano))),
    }
}

#[cfg(test)]
mod tests;
