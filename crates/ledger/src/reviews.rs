//! Decisions of roles on the figures of a day, and the settings of insights.

use access::{Day, Timestamp, UserId};
use serde_json::json;
use store::sql::{signed, statements, timestamp, unsigned};
use store::{Act, Actor, AuditAction, DatabaseError};
use thiserror::Error;
use uuid::Uuid;

use crate::handle::Ledger;

/// Number of settings that the store keeps.
const SETTINGS_MAX: u64 = 100;
/// Maximum number of decisions on one day that are read.
const DECISIONS_MAX: i64 = 1_000;
/// Maximum number of decisions on several days that are read. The days after them have none, and are not approved.
const DECISIONS_OF_DAYS_MAX: i64 = 100_000;

statements! {
    DECISIONS = "SELECT newest.role, newest.user_id, u.name AS user_name, newest.approve, newest.comment, newest.figures_version,
            newest.figures, newest.created_at
        FROM (SELECT * FROM reviews WHERE day = $1 AND scope = $2 ORDER BY created_at DESC, id DESC LIMIT $3) newest
        LEFT JOIN users u ON u.id = newest.user_id ORDER BY newest.created_at, newest.id";
    // Without comments and figures, which are long.
    OF_DAYS = "SELECT day, role, user_id, approve, figures_version FROM reviews WHERE day >= $1 AND day <= $2 AND scope = 'all'
        ORDER BY day, created_at, id LIMIT $3";
    VERSIONS = "SELECT day, version FROM day_versions WHERE day >= $1 AND day <= $2";
    DECIDED = "SELECT EXISTS (SELECT 1 FROM reviews WHERE day = $1 AND scope = $2 AND user_id = $3 AND figures_version = $4)";
    VERSION = "SELECT coalesce(max(version), 0) FROM day_versions WHERE day = $1";
    DECIDE = "INSERT INTO reviews (id, day, scope, role, user_id, approve, comment, figures_version, figures, created_at,
        updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)";
    SETTINGS = "SELECT number, settings FROM insight_settings ORDER BY number DESC LIMIT 1";
    FORGET = "DELETE FROM insight_settings WHERE number <= $1";
    SET = "INSERT INTO insight_settings (id, number, settings, actor_user_id, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $5)";
}

/// A decision of a role on the figures of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDecision {
    /// The role that decided.
    pub role: String,
    /// The user who decided for the role.
    pub user: UserId,
    /// The display name of the user; `None` if the store no longer contains the user.
    pub user_name: Option<String>,
    /// Whether the figures were approved.
    pub approve: bool,
    /// The comment of the decision.
    pub comment: Option<String>,
    /// The version of the figures.
    pub figures_version: u64,
    /// The figures as JSON.
    pub figures: String,
    /// The time of the decision.
    pub at: Timestamp,
}

/// A decision of a role on the figures of a day of all users, without the figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayDecision {
    /// The day whose figures were decided.
    pub day: Day,
    /// The role that decided.
    pub role: String,
    /// The user who decided for the role.
    pub user: UserId,
    /// Whether the figures were approved.
    pub approve: bool,
    /// The version of the figures.
    pub figures_version: u64,
}

/// A decision to store.
#[derive(Debug, Clone, Copy)]
pub struct NewDecision<'a> {
    /// The day whose figures are decided.
    pub day: Day,
    /// The scope of the figures.
    pub scope: &'a str,
    /// The role that decides.
    pub role: &'a str,
    /// The user who decides for the role.
    pub user: UserId,
    /// Whether the figures are approved.
    pub approve: bool,
    /// The comment of the decision.
    pub comment: Option<&'a str>,
    /// The version of the figures.
    pub figures_version: u64,
    /// The figures as JSON.
    pub figures: &'a str,
}

/// The reason why a decision was not stored.
#[derive(Debug, Error)]
pub enum DecisionError {
    /// The user has decided about this version of the figures before.
    #[error("this user has decided about these figures before")]
    SamePerson,
    /// Usage has changed the figures since they were read.
    #[error("the figures have changed since they were read")]
    FiguresChanged,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The reason why settings were not stored.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Another version is in force.
    #[error("the settings have changed since they were read")]
    Changed,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[derive(sqlx_macros::FromRow)]
struct DecisionRow {
    role: String,
    user_id: Uuid,
    user_name: Option<String>,
    approve: bool,
    comment: Option<String>,
    figures_version: i64,
    figures: String,
    created_at: i64,
}

/// A change of the settings.
#[derive(Debug, Clone, Copy)]
pub struct SettingsChange<'a> {
    /// The number of the settings in force.
    pub expected: u64,
    /// The names of the changed keys.
    pub changed: &'a [&'a str],
}

impl Ledger {
    /// Returns the newest decisions on a day, the oldest of them first.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn decisions(&self, day: Day, scope: &str) -> Result<Vec<StoredDecision>, DatabaseError> {
        let query = self.store.query(DECISIONS).bind(i64::from(day.0)).bind(scope.to_owned()).bind(DECISIONS_MAX);
        let rows: Vec<DecisionRow> = query.all().await?;
        let decisions = rows.into_iter().map(|row| StoredDecision {
            role: row.role,
            user: UserId(row.user_id),
            user_name: row.user_name,
            approve: row.approve,
            comment: row.comment,
            figures_version: unsigned(row.figures_version),
            figures: row.figures,
            at: timestamp(row.created_at),
        });
        Ok(decisions.collect())
    }

    /// Returns the decisions on the figures of all users from the first to the last day, those of each day from its oldest.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn decisions_of_days(&self, [first, last]: [Day; 2]) -> Result<Vec<DayDecision>, DatabaseError> {
        let query = self.store.query(OF_DAYS).bind(i64::from(first.0)).bind(i64::from(last.0));
        let rows: Vec<(i64, String, Uuid, bool, i64)> = query.bind(DECISIONS_OF_DAYS_MAX).all().await?;
        let decision = |(day, role, user, approve, version)| DayDecision {
            day: stored_day(day),
            role,
            user: UserId(user),
            approve,
            figures_version: unsigned(version),
        };
        Ok(rows.into_iter().map(decision).collect())
    }

    /// Returns the versions of the figures of days from the first to the last one; days without a version have 0.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn figures_versions(&self, [first, last]: [Day; 2]) -> Result<Vec<(Day, u64)>, DatabaseError> {
        let query = self.store.query(VERSIONS).bind(i64::from(first.0)).bind(i64::from(last.0));
        let rows: Vec<(i64, i64)> = query.all().await?;
        Ok(rows.into_iter().map(|(day, version)| (stored_day(day), unsigned(version))).collect())
    }

    /// Stores a decision with its line in the audit log.
    ///
    /// # Errors
    /// [`DecisionError::SamePerson`], [`DecisionError::FiguresChanged`], and database errors.
    pub async fn decide(&self, by: &Actor, new: NewDecision<'_>) -> Result<(), DecisionError> {
        let store = &self.store;
        // Serialises decisions, so that one person cannot decide twice at once.
        let mut transaction = store.begin_quiet().await?;
        let day = i64::from(new.day.0);
        let (version,): (i64,) = transaction.query(VERSION).bind(day).one().await?;
        if unsigned(version) != new.figures_version {
            return Err(DecisionError::FiguresChanged);
        }
        let decided = transaction.query(DECIDED).bind(day).bind(new.scope.to_owned()).bind(new.user.0).bind(version);
        let (decided,): (bool,) = decided.one().await?;
        if decided {
            return Err(DecisionError::SamePerson);
        }
        let id = store.new_id();
        let add = transaction.query(DECIDE).bind(id).bind(day).bind(new.scope.to_owned()).bind(new.role.to_owned());
        let add = add.bind(new.user.0).bind(new.approve).bind(new.comment.map(str::to_owned)).bind(version);
        add.bind(new.figures.to_owned()).bind(store.now()).run().await?;
        let detail = json!({"day": new.day.to_string(), "scope": new.scope, "role": new.role, "approve": new.approve,
            "comment": new.comment, "figures_version": new.figures_version});
        let act = Act::new(AuditAction::ReviewSignoff, id, Some(new.user)).with(detail);
        store.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Returns the number of the settings in force and their JSON; `None` before the first change.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn insight_settings(&self) -> Result<Option<(u64, String)>, DatabaseError> {
        let found: Option<(i64, String)> = self.store.query(SETTINGS).find().await?;
        Ok(found.map(|(number, settings)| (unsigned(number), settings)))
    }

    /// Stores settings under the next number, with a line in the audit log. `first` is the number of the settings before the first
    /// change. Returns the new number.
    ///
    /// # Errors
    /// [`SettingsError::Changed`], and database errors.
    pub async fn change_insight_settings(
        &self,
        by: &Actor,
        change: SettingsChange<'_>,
        first: u64,
        settings: impl FnOnce(u64) -> String,
    ) -> Result<u64, SettingsError> {
        let store = &self.store;
        let SettingsChange { expected, changed } = change;
        let mut transaction = store.begin_quiet().await?;
        let found: Option<(i64, String)> = transaction.query(SETTINGS).find().await?;
        let number = found.map_or(first, |(number, _)| unsigned(number));
        if expected != number {
            return Err(SettingsError::Changed);
        }
        let id = store.new_id();
        let number = number.saturating_add(1);
        let user = match by.by {
            store::ActorKind::User { user, .. } | store::ActorKind::Key { user, .. } => Some(user.0),
            store::ActorKind::Command | store::ActorKind::System => None,
        };
        let set = transaction.query(SET).bind(id).bind(signed(number)).bind(settings(number)).bind(user);
        set.bind(store.now()).run().await?;
        transaction.query(FORGET).bind(signed(number.saturating_sub(SETTINGS_MAX))).run().await?;
        let detail = json!({"version": number, "changed": changed});
        let act = Act::new(AuditAction::InsightsChange, id, None).with(detail);
        store.note(&mut transaction, by, act).await?;
        transaction.commit().await?;
        Ok(number)
    }
}

fn stored_day(day: i64) -> Day {
    Day(u32::try_from(day).unwrap_or(0))
}
