//! The stored decisions about a day, and the classes that were approved with it.

use insights::briefing::FiguresHead;
use insights::figures::day::rfc3339;
use insights::review::{Decision, PastDecision, ReviewedDay, ReviewedFigures, approved_classes};
use insights::signed_classes::SignedClasses;
use insights::{DayScope, InsightSettings};
use ledger::StoredDecision;
use serde::{Deserialize, Serialize};

use crate::message::problem::Problem;
use crate::process::state::State;

/// The figures and classes that a decision stores.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct DecidedFigures {
    #[serde(flatten)]
    pub(super) figures: ReviewedFigures,
    /// The classes of an approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) classes: Option<SignedClasses>,
}

/// Returns the stored word of a scope, which the query parameter `scope` has too.
pub(super) fn stored_scope(scope: &DayScope) -> String {
    match scope {
        DayScope::All {} => "all".to_owned(),
        DayScope::User { user_id } => format!("user:{user_id}"),
        DayScope::Label { label } => format!("label:{label}"),
    }
}

/// Returns a stored decision as the rules of reviews read it.
pub(super) fn past(stored: StoredDecision) -> PastDecision {
    let text = &stored.figures;
    // A later version may have other classes. Figures that cannot be read show no difference.
    let without_classes = |_| serde_json::from_str(text).map(|figures| DecidedFigures { figures, classes: None });
    let decided = serde_json::from_str::<DecidedFigures>(text).or_else(without_classes).unwrap_or_default();
    PastDecision {
        decision: Decision {
            at: rfc3339(stored.at),
            role: stored.role,
            approve: stored.approve,
            comment: stored.comment,
        },
        user: stored.user.0,
        figures_version: stored.figures_version,
        figures: decided.figures,
        classes: decided.classes,
    }
}

/// Returns the classes that were approved with a day of a scope, and true; for another scope of a day that was approved for all
/// users, those of all users, and false.
///
/// # Errors
/// `unavailable`.
pub(super) async fn signed_classes(
    state: &State,
    head: &FiguresHead,
    settings: &InsightSettings,
) -> Result<Option<(SignedClasses, bool)>, Problem> {
    let reviewed = ReviewedDay {
        roles: &settings.signoff.roles,
        complete: head.complete,
        figures_version: head.figures_version,
        figures: ReviewedFigures::default(),
    };
    let scopes = [Some(&head.scope).filter(|of| !matches!(of, DayScope::User { .. })), Some(&DayScope::All {})];
    for scope in scopes.into_iter().flatten() {
        let decisions = state.ledger.decisions(head.day, &stored_scope(scope)).await?;
        let decisions: Vec<PastDecision> = decisions.into_iter().map(past).collect();
        if let Some(signed) = approved_classes(&reviewed, &decisions) {
            return Ok(Some((signed.clone(), *scope == head.scope)));
        }
        if *scope == (DayScope::All {}) {
            break;
        }
    }
    Ok(None)
}
