//! The review of a day of all users or of a label: its figures, decisions and state.

use access::{Day, Refusal};
use insights::day::{date, earlier, rfc3339};
use insights::review::{self, Decision, PastDecision, ReviewStatus, ReviewedDay, ReviewedFigures, SignoffRefusal};
use insights::{DayScope, InsightSettings};
use ledger::{DecisionError, NewDecision, StoredDecision};

use super::conversion;
use super::day_scope::VisibleScope;
use super::progress::IngestProgress;
use super::settings;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::state::State;

/// A day of a scope with its decisions.
#[derive(Debug)]
pub(crate) struct DayReview {
    day: Day,
    scope: DayScope,
    today: Day,
    complete: bool,
    /// The number of nodes whose usage of the day may be missing.
    missing_nodes: usize,
    figures_version: u64,
    figures: ReviewedFigures,
    settings: InsightSettings,
    decisions: Vec<PastDecision>,
}

impl DayReview {
    /// Reads a day, or the newest complete day. Without a complete day, yesterday is read. Late usage of any scope changes the
    /// version of the day.
    ///
    /// # Errors
    /// `unavailable`.
    pub(crate) async fn read(state: &State, day: Option<Day>, reviewed: &VisibleScope) -> Result<Self, Problem> {
        let now = state.clock.now();
        let progress = IngestProgress::new(state.store.node_progress().await?, now);
        let newest = progress.complete_until().map_or(now.day(), |until| until.day());
        let day = day.unwrap_or_else(|| earlier(newest, 1).unwrap_or_default());
        // The version is read first, so that the figures are never older than it.
        let figures_version = state.ledger.figures_version(day).await?;
        let totals = state.ledger.day_totals(reviewed.of, [day, day]).await?;
        let figures = totals.first().map(conversion::figures).unwrap_or_default();
        let decisions = state.ledger.decisions(day, &stored(&reviewed.scope)).await?;
        Ok(Self {
            day,
            scope: reviewed.scope.clone(),
            today: now.day(),
            complete: progress.is_complete(day),
            missing_nodes: progress.behind(day.next().start()),
            figures_version,
            figures: ReviewedFigures {
                requests: figures.requests,
                tokens: figures.tokens,
                cost_nano: figures.cost_nano,
            },
            settings: settings::in_force(state).await?,
            decisions: decisions.into_iter().map(past).collect(),
        })
    }

    fn reviewed(&self) -> ReviewedDay<'_> {
        ReviewedDay {
            roles: &self.settings.signoff.roles,
            complete: self.complete,
            figures_version: self.figures_version,
            figures: self.figures,
        }
    }

    /// Returns the state of the review.
    pub(crate) fn status(&self) -> ReviewStatus {
        let progress = review::progress(&self.reviewed(), &self.decisions);
        let entry = |past: &PastDecision| review::ReviewEntry {
            at: past.decision.at.clone(),
            role: past.decision.role.clone(),
            approve: past.decision.approve,
            comment: past.decision.comment.clone(),
        };
        ReviewStatus {
            id: self.scope.brief_id(self.day),
            date: date(self.day),
            scope: self.scope.clone(),
            state: progress.state,
            complete: self.complete,
            figures_version: self.figures_version,
            required: progress.required,
            difference: progress.difference,
            history: self.decisions.iter().map(entry).collect(),
        }
    }

    /// Stores a decision of the caller. `holds`: whether the caller holds the role.
    ///
    /// # Errors
    /// `conflict` for a day that is not complete, with the reason, and for a second decision of one person;
    /// `unprocessable` for a role that does not sign off, and for a rejection without a comment; `forbidden` for a role that
    /// the caller does not hold; `unavailable`.
    pub(crate) async fn decide(
        &self,
        state: &State,
        caller: &Caller,
        decision: &Decision,
        holds: bool,
    ) -> Result<(), Problem> {
        let judged = review::judge(&self.reviewed(), &self.decisions, decision, caller.user.0);
        match judged {
            Err(refusal @ (SignoffRefusal::UnknownRole | SignoffRefusal::CommentMissing)) => {
                return Err(Problem::new(Refusal::Unprocessable, refusal.to_string()));
            }
            Err(_) | Ok(()) if !holds => {
                return Err(Problem::new(Refusal::Forbidden, "you do not hold this role; an admin grants roles"));
            }
            Err(SignoffRefusal::Collecting) => return Err(Problem::new(Refusal::Conflict, self.missing())),
            Err(refusal @ SignoffRefusal::SamePerson) => {
                return Err(Problem::new(Refusal::Conflict, refusal.to_string()));
            }
            Ok(()) => {}
        }
        let figures = serde_json::to_string(&self.figures).map_err(Problem::fault)?;
        let new = NewDecision {
            day: self.day,
            scope: &stored(&self.scope),
            role: &decision.role,
            user: caller.user,
            approve: decision.approve,
            comment: decision.comment.as_deref(),
            figures_version: self.figures_version,
            figures: &figures,
        };
        match state.ledger.decide(&caller.actor(), new).await {
            Ok(()) => Ok(()),
            Err(DecisionError::SamePerson) => {
                Err(Problem::new(Refusal::Conflict, SignoffRefusal::SamePerson.to_string()))
            }
            Err(DecisionError::FiguresChanged) => {
                Err(Problem::new(Refusal::Conflict, "usage has arrived since the figures were read; read them again"))
            }
            Err(DecisionError::Database(error)) => Err(error.into()),
        }
    }

    /// Refuses a decision about other figures than these.
    ///
    /// # Errors
    /// `conflict`.
    pub(crate) fn check_version(&self, read: Option<u64>) -> Result<(), Problem> {
        if read.is_none_or(|read| read == self.figures_version) {
            return Ok(());
        }
        Err(Problem::new(Refusal::Conflict, "usage has arrived since the figures were read; read them again"))
    }

    /// Returns what a day that is not complete lacks.
    fn missing(&self) -> String {
        if self.day >= self.today {
            return format!("the day is not over; it ends at {}", rfc3339(self.day.next().start()));
        }
        format!("{} nodes have not stored all usage of the day; `GET /ingest/status` shows them", self.missing_nodes)
    }
}

/// Returns the stored word of a scope, which the query parameter `scope` has too.
fn stored(scope: &DayScope) -> String {
    match scope {
        DayScope::All {} => "all".to_owned(),
        DayScope::User { user_id } => format!("user:{user_id}"),
        DayScope::Label { label } => format!("label:{label}"),
    }
}

fn past(stored: StoredDecision) -> PastDecision {
    PastDecision {
        decision: Decision {
            at: rfc3339(stored.at),
            role: stored.role,
            approve: stored.approve,
            comment: stored.comment,
        },
        user: stored.user.0,
        figures_version: stored.figures_version,
        // Figures of a later version show no difference.
        figures: serde_json::from_str(&stored.figures).unwrap_or_default(),
    }
}
