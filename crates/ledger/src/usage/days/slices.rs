//! Slices of one day's events: SQLite groups each of them in memory, and two of them at the same time.

use access::Day;
use store::DatabaseError;
use store::sql::{Query, StoreKind, micros, statements};
use uuid::Uuid;

use super::range::bounds;
use super::scope::DayUsageOf;
use crate::handle::Ledger;
use crate::row_ids::first_id;
use crate::usage::scope::UsageOf;

/// Number of events in a slice. SQLite sorts them within the 2 MB of its page cache; a whole day spills and merges.
pub(super) const SLICE_EVENTS: u32 = 10_000;
/// Maximum number of slices of a day; the last one contains the rest.
const SLICES_MAX: usize = 10_000;

statements! {
    // The events that begin slices, in the order of the index by which the events of the slice are found.
    NEXT_TIME = "SELECT started_at FROM usage_events WHERE user_no = $1 AND started_at > $2 AND started_at < $3
        ORDER BY started_at LIMIT 1 OFFSET $4";
    NEXT_ID = "SELECT id FROM usage_events WHERE id > $1 AND id < $2 ORDER BY id LIMIT 1 OFFSET $3";
}

/// A range of a day's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DaySlice {
    day: Day,
    ids: [Uuid; 2],
    times: [i64; 2],
}

impl DaySlice {
    /// Returns the slice of all events of a day.
    pub(super) fn whole(day: Day) -> Self {
        let (from, until) = bounds(day);
        Self { day, ids: [first_id(from), first_id(until)], times: [micros(from), micros(until)] }
    }

    /// Binds the parameters of [`OF_DAY`](super::range::OF_DAY).
    pub(super) fn bind(self, query: Query<'_>) -> Query<'_> {
        let [first, end] = self.ids;
        let [from, until] = self.times;
        query.bind(first).bind(end).bind(from).bind(until).bind(i64::from(self.day.0))
    }
}

impl Ledger {
    /// Divides the events of a scope on one day into slices of `events` each. Each event is in one slice. PostgreSQL groups a
    /// whole day at once.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(super) async fn slices(&self, of: DayUsageOf, day: Day, events: u32) -> Result<Vec<DaySlice>, DatabaseError> {
        let mut rest = DaySlice::whole(day);
        let mut slices = Vec::new();
        if self.store.kind() == StoreKind::Postgres {
            return Ok(vec![rest]);
        }
        while slices.len() < SLICES_MAX {
            let Some((slice, after)) = self.divided(of, rest, events).await? else { break };
            slices.push(slice);
            rest = after;
        }
        slices.push(rest);
        Ok(slices)
    }

    /// Returns the first events of a range, and those after them; `None` if it has no more events.
    async fn divided(
        &self,
        of: DayUsageOf,
        range: DaySlice,
        events: u32,
    ) -> Result<Option<(DaySlice, DaySlice)>, DatabaseError> {
        let DaySlice { ids: [first, end], times: [from, until], .. } = range;
        match of {
            DayUsageOf::Users(UsageOf::User(user)) => {
                let query = self.store.query(NEXT_TIME).bind(user.0).bind(from).bind(until);
                let next: Option<(i64,)> = query.bind(i64::from(events)).find().await?;
                Ok(next
                    .map(|(at,)| (DaySlice { times: [from, at], ..range }, DaySlice { times: [at, until], ..range })))
            }
            // The events of several users with a plan are found by the index of each user.
            DayUsageOf::Users(UsageOf::Plan(_)) => Ok(None),
            DayUsageOf::Users(UsageOf::All) | DayUsageOf::Label(_) => {
                let query = self.store.query(NEXT_ID).bind(first).bind(end).bind(i64::from(events));
                let next: Option<(Uuid,)> = query.find().await?;
                Ok(next.map(|(id,)| (DaySlice { ids: [first, id], ..range }, DaySlice { ids: [id, end], ..range })))
            }
        }
    }
}
