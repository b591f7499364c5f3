//! The versions of the figures of earlier days, and the labels that usage has.

use access::{Day, LabelId};
use store::DatabaseError;
use store::sql::{statements, unsigned};

use crate::handle::Ledger;

statements! {
    STATE = "SELECT (SELECT version FROM day_versions WHERE day = $1),
        (SELECT number FROM insight_settings ORDER BY number DESC LIMIT 1)";
    VERSION = "SELECT version FROM day_versions WHERE day = $1";
    HAS_LABEL = "SELECT EXISTS (SELECT 1 FROM label_members WHERE label_id = $1)";
}

/// What computed figures of a day depend on, besides the usage of a day that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayState {
    /// The version of the day's figures.
    pub figures_version: u64,
    /// The number of the settings of insights in force; `None` for those of the configuration.
    pub settings: Option<u64>,
}

impl Ledger {
    /// Returns the state of a day, by one query of two rows.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn day_state(&self, day: Day) -> Result<DayState, DatabaseError> {
        let (version, settings): (Option<i64>, Option<i64>) =
            self.store.query(STATE).bind(i64::from(day.0)).one().await?;
        Ok(DayState { figures_version: version.map_or(0, unsigned), settings: settings.map(unsigned) })
    }

    /// Returns the version of a day's figures: the number of batches and repairs that changed it after its end.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn figures_version(&self, day: Day) -> Result<u64, DatabaseError> {
        let version: Option<(i64,)> = self.store.query(VERSION).bind(i64::from(day.0)).find().await?;
        Ok(version.map_or(0, |(version,)| unsigned(version)))
    }

    /// Returns whether any request was made under the label.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn has_label(&self, label: LabelId) -> Result<bool, DatabaseError> {
        let (any,): (bool,) = self.store.query(HAS_LABEL).bind(label.0).one().await?;
        Ok(any)
    }
}
