//! Figures of the requests of one day that only events have: from the sums that are in memory, or from the events.

use std::collections::HashMap;
use std::sync::Arc;

use access::Day;
use store::DatabaseError;

use super::caches::CachedUsage;
use super::day_sums::{SumsCache, SumsOf};
use super::durations::DurationCount;
use super::event_group::EventGroup;
use super::groups::GroupBounds;
use super::scope::DayUsageOf;
use crate::handle::Ledger;

/// The figures of days that only events have. Sums of today and yesterday stay in memory, which clones share.
#[derive(Debug, Clone)]
pub struct DayFigures {
    pub(super) ledger: Ledger,
    pub(super) sums: Arc<SumsCache>,
}

impl DayFigures {
    /// Returns the figures of a ledger, without sums in memory yet.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, sums: Arc::default() }
    }

    /// Reads the current day's sums of all users, so that the first request for its figures finds them, and new events into its
    /// other sums.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn prepare(&self) -> Result<(), DatabaseError> {
        let today = self.ledger.store.clock().now().day();
        self.sums.prepare(&self.ledger, today).await
    }

    /// Returns the events of a scope on one day, grouped by metadata and by bounds, at most
    /// [`EVENT_GROUPS_MAX`](crate::EVENT_GROUPS_MAX) groups. Without sums in memory it reads the events of the day, those of
    /// sessions once more if bounds need them, and the totals of keys.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn event_groups(
        &self,
        of: impl Into<DayUsageOf>,
        day: Day,
        bounds: GroupBounds<'_>,
    ) -> Result<Vec<EventGroup>, DatabaseError> {
        let of = of.into();
        // Intervals depend on the order of the events.
        if bounds.interval_s.is_empty()
            && let Some(sums) =
                self.sums.read(&self.ledger, SumsOf { of, day, input_tokens: bounds.input_tokens.to_vec() }).await?
        {
            let made = if bounds.requests_per_key.is_empty() {
                HashMap::new()
            } else if matches!(of, DayUsageOf::Users(_)) {
                sums.made_by_key()
            } else {
                // Other requests of a key with the label count too.
                self.ledger.made_by_key(of, day, bounds.requests_per_key).await?
            };
            return Ok(sums.groups(bounds, &made));
        }
        self.ledger.event_groups(of, day, bounds).await
    }

    /// Returns the durations of a scope's requests on one day, the shortest first. Without sums in memory it reads the events
    /// of the day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn durations_of_day(
        &self,
        of: impl Into<DayUsageOf>,
        day: Day,
    ) -> Result<Vec<DurationCount>, DatabaseError> {
        let of = of.into();
        match self.sums.read(&self.ledger, SumsOf { of, day, input_tokens: Vec::new() }).await? {
            Some(sums) => Ok(sums.durations()),
            None => self.ledger.durations_of_day(of, day).await,
        }
    }

    /// Returns the cached input tokens of a scope on one day, by price, without those of users' own credentials. Without sums in
    /// memory it reads the events of the day.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn cached_usage(&self, of: impl Into<DayUsageOf>, day: Day) -> Result<Vec<CachedUsage>, DatabaseError> {
        let of = of.into();
        match self.sums.read(&self.ledger, SumsOf { of, day, input_tokens: Vec::new() }).await? {
            Some(sums) => Ok(sums.cached()),
            None => self.ledger.cached_usage(of, day).await,
        }
    }

    /// Returns the number of a scope's requests on one day that response caches served. Without sums in memory it reads the
    /// events of the day. Requests that are only counted by minute are not included.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn requests_from_cache(&self, of: impl Into<DayUsageOf>, day: Day) -> Result<u64, DatabaseError> {
        let of = of.into();
        match self.sums.read(&self.ledger, SumsOf { of, day, input_tokens: Vec::new() }).await? {
            Some(sums) => Ok(sums.from_cache()),
            None => self.ledger.requests_from_cache(of, day).await,
        }
    }
}
