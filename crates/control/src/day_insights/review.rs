//! The review of a day of all users or of a label: its figures, decisions and state.

use access::{Day, Refusal};
use insights::figures::day::{date, earlier, rfc3339};
use insights::review::{
    self, Decision, FiguresApart, PastDecision, ReviewStatus, ReviewedDay, ReviewedFigures, SignoffRefusal,
};
use insights::signed_classes::SignedClasses;
use insights::{DayScope, InsightSettings};
use ledger::{DecisionError, NewDecision};

use super::conversion;
use super::day_scope::VisibleScope;
use super::gather::DayReader;
use super::progress::IngestProgress;
use super::settings;
use super::signed::{DecidedFigures, past, stored_scope};
use crate::message::problem::Problem;
use crate::process::state::{App, State};
use crate::sign_in::caller::Caller;

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
    /// The names of the users of the decisions.
    names: Vec<Option<String>>,
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
        let mut decisions = state.ledger.decisions(day, &stored_scope(&reviewed.scope)).await?;
        let names = decisions.iter_mut().map(|decision| decision.user_name.take()).collect();
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
                apart: Some(FiguresApart { refused: figures.refused, own_cost_nano: figures.own_cost_nano }),
            },
            settings: settings::in_force(state).await?,
            decisions: decisions.into_iter().map(past).collect(),
            names,
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
        let entry = |(past, name): (&PastDecision, &Option<String>)| review::ReviewEntry {
            at: past.decision.at.clone(),
            role: past.decision.role.clone(),
            approve: past.decision.approve,
            comment: past.decision.comment.clone(),
            user: name.clone().map(|name| review::ReviewPerson { id: past.user, name }),
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
            history: self.decisions.iter().zip(&self.names).map(entry).collect(),
        }
    }

    /// Stores a decision of the caller with the figures and their classes.
    ///
    /// # Errors
    /// `conflict` for a second decision of one person, and if the figures have changed; `unavailable`.
    pub(crate) async fn decide(
        &self,
        state: &State,
        caller: &Caller,
        decision: &Decision,
        classes: Option<SignedClasses>,
    ) -> Result<(), Problem> {
        let decided = DecidedFigures { figures: self.figures, classes };
        let figures = serde_json::to_string(&decided).map_err(Problem::fault)?;
        let new = NewDecision {
            day: self.day,
            scope: &stored_scope(&self.scope),
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

    /// Checks whether the caller may decide. `holds`: whether the caller holds the role.
    ///
    /// # Errors
    /// `conflict` for a day that is not complete, with the reason, and for a second decision of one person;
    /// `unprocessable` for a role that does not sign off, and for a rejection without a comment; `forbidden` for a role that
    /// the caller does not hold.
    pub(crate) fn judge(&self, caller: &Caller, decision: &Decision, holds: bool) -> Result<(), Problem> {
        match review::judge(&self.reviewed(), &self.decisions, decision, caller.user.0) {
            Err(refusal @ (SignoffRefusal::UnknownRole | SignoffRefusal::CommentMissing)) => {
                Err(Problem::new(Refusal::Unprocessable, refusal.to_string()))
            }
            Err(_) | Ok(()) if !holds => {
                Err(Problem::new(Refusal::Forbidden, "you do not have this role; ask an admin for it"))
            }
            Err(SignoffRefusal::Collecting) => Err(Problem::new(Refusal::Conflict, self.missing())),
            Err(refusal @ SignoffRefusal::SamePerson) => Err(Problem::new(Refusal::Conflict, refusal.to_string())),
            Ok(()) => Ok(()),
        }
    }

    /// Returns the classes of these figures.
    ///
    /// # Errors
    /// `conflict` if usage has arrived since the figures were read; `unavailable`.
    pub(crate) async fn classes(&self, app: &App, reviewed: &VisibleScope) -> Result<SignedClasses, Problem> {
        let reader = DayReader::begin(app, self.day, reviewed.clone()).await?;
        let (figures_version, classes) = reader.classes_to_sign().await?;
        self.check_version(Some(figures_version))?;
        Ok(classes)
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
        let nodes = match self.missing_nodes {
            1 => "1 node has".to_owned(),
            nodes => format!("{nodes} nodes have"),
        };
        format!("{nodes} not stored all usage of the day; an admin finds them with `tollgate nodes list`")
    }
}
