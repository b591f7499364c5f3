//! Sums of the events of today and yesterday that stay in memory, so that a later read only reads new events.
//!
//! Events are divided by their ids into slices. The sums of a slice stay valid as long as it has the same number of ids: events
//! are inserted and deleted, but never change. The sums of old slices are added up, and all sums together are used only if they
//! have as many events as the totals of the day say. Otherwise, the caller reads the events of the day.

mod group_parts;
mod range_sums;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Day, Mono, Timestamp};
use store::DatabaseError;

pub(super) use range_sums::RangeSums;
use reader::Reader;
#[cfg(test)]
pub(super) use reader::STATEMENTS;

use super::scope::DayUsageOf;
use super::slices::{DaySlice, SLICE_EVENTS};
use crate::handle::Ledger;
use crate::usage::scope::UsageOf;

/// Maximum number of days and scopes whose sums stay in memory; a further one replaces the one that was read the longest ago.
const DAYS_MAX: usize = 8;
/// Maximum number of sums of groups of one day. A day with more is always read from its events.
const PARTS_MAX: usize = 100_000;
/// Slices with younger ids are checked at each read, because events are stored when their requests end.
const SETTLED_AFTER: Duration = Duration::from_secs(15 * 60);
/// Pause after sums that differ from the totals, in which the events are read.
const RETRY_AFTER: Duration = Duration::from_secs(600);

/// The day, the scope and the bounds of sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SumsOf {
    pub(super) of: DayUsageOf,
    pub(super) day: Day,
    /// Ascending bounds of the number of input tokens, which divide the groups.
    pub(super) input_tokens: Vec<u64>,
}

/// The sums of several days and scopes.
#[derive(Debug)]
pub(crate) struct SumsCache {
    days: Mutex<Vec<Arc<DaySums>>>,
    slice_events: u32,
}

impl Default for SumsCache {
    fn default() -> Self {
        Self { days: Mutex::default(), slice_events: SLICE_EVENTS }
    }
}

/// The sums of a day. One task at a time reads events for them.
#[derive(Debug)]
struct DaySums {
    of: SumsOf,
    state: tokio::sync::Mutex<SumsState>,
}

#[derive(Debug, Default)]
struct SumsState {
    /// The sums of the slices before `recent`.
    settled: RangeSums,
    recent: VecDeque<SliceSums>,
    /// The events after all slices; `None` before the first slice.
    rest: Option<DaySlice>,
    /// All sums of the day, as of the last read.
    total: Option<Arc<RangeSums>>,
    /// The time at which the sums differed from the totals.
    differed_at: Option<Mono>,
}

/// The sums of a slice with the number of its ids, which is counted before the sums are read.
#[derive(Debug)]
struct SliceSums {
    slice: DaySlice,
    ids: u64,
    sums: RangeSums,
}

impl SumsOf {
    fn serves(&self, other: &Self) -> bool {
        let has_bounds = other.input_tokens.is_empty() || other.input_tokens == self.input_tokens;
        self.of == other.of && self.day == other.day && has_bounds
    }
}

impl SumsCache {
    /// Returns the place of the sums, which is new and empty if no other serves.
    fn place(&self, of: &SumsOf) -> Arc<DaySums> {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let found = days.iter().position(|kept| kept.of.serves(of)).map(|found| days.remove(found));
        let place = found.unwrap_or_else(|| Arc::new(DaySums { of: of.clone(), state: tokio::sync::Mutex::default() }));
        if days.len() >= DAYS_MAX {
            days.remove(0);
        }
        days.push(place.clone());
        place
    }

    /// Returns the sums of a day that are in memory.
    fn of_day(&self, day: Day) -> Vec<SumsOf> {
        let days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        let of_day = days.iter().filter(|kept| kept.of.day == day);
        of_day.map(|kept| kept.of.clone()).collect()
    }
}

impl SumsState {
    /// Adds up the slices before a time.
    fn settle(&mut self, before: Timestamp) {
        while self.recent.front().is_some_and(|oldest| oldest.slice.is_before(before))
            && let Some(oldest) = self.recent.pop_front()
        {
            self.settled.add(&oldest.sums);
        }
    }

    /// Returns the sums of the whole day. Recent slices with another number of ids are read again.
    async fn total_of_day(&mut self, of: &SumsOf, reader: &mut Reader<'_>) -> Result<RangeSums, DatabaseError> {
        let mut total = self.settled.clone();
        for recent in &mut self.recent {
            if reader.ids(of, recent.slice).await? != recent.ids {
                *recent = SliceSums::read(reader.again(), of, recent.slice).await?;
            }
            total.add(&recent.sums);
        }
        let rest = self.rest.unwrap_or_else(|| DaySlice::whole(of.day));
        total.add(&RangeSums::read(reader, of, rest).await?);
        Ok(total)
    }
}

impl SliceSums {
    async fn read(mut reader: Reader<'_>, of: &SumsOf, slice: DaySlice) -> Result<Self, DatabaseError> {
        let ids = reader.ids(of, slice).await?;
        Ok(Self { slice, ids, sums: RangeSums::read(&mut reader, of, slice).await? })
    }
}

impl SumsCache {
    /// Returns the sums of a day as of now; `None` if the events must be read, because the day or its scope has no sums, or
    /// they differ from the totals.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(super) async fn read(&self, ledger: &Ledger, of: SumsOf) -> Result<Option<Arc<RangeSums>>, DatabaseError> {
        // The users of a plan change.
        let has_sums = !matches!(of.of, DayUsageOf::Users(UsageOf::Plan(_)));
        if !has_sums || of.day.next() < ledger.store.clock().now().day() {
            return Ok(None);
        }
        let counted = Reader::Store(&ledger.store).counted_events(&of).await?;
        if counted < u64::from(self.slice_events) {
            return Ok(None);
        }
        let place = self.place(&of);
        let mut state = place.state.lock().await;
        Box::pin(self.read_sums(ledger, &place.of, &mut state, counted)).await
    }

    /// Reads the sums of all users for a day, so that the first request for its figures finds them, and new events into its
    /// other sums.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(super) async fn prepare(&self, ledger: &Ledger, day: Day) -> Result<(), DatabaseError> {
        let all = DayUsageOf::Users(UsageOf::All);
        let mut sums = self.of_day(day);
        if !sums.iter().any(|sums| sums.of == all) {
            sums.push(SumsOf { of: all, day, input_tokens: Vec::new() });
        }
        for of in sums {
            self.read(ledger, of).await?;
        }
        Ok(())
    }

    async fn read_sums(
        &self,
        ledger: &Ledger,
        of: &SumsOf,
        state: &mut SumsState,
        counted: u64,
    ) -> Result<Option<Arc<RangeSums>>, DatabaseError> {
        if let Some(total) = state.total.as_ref().filter(|total| total.events() == counted) {
            return Ok(Some(total.clone()));
        }
        let now = ledger.store.clock().mono();
        if state.differed_at.is_some_and(|at| now.since(at) < RETRY_AFTER) {
            return Ok(None);
        }
        // Events may have been stored into old slices, or deleted: all slices are read again, once.
        for _ in 0..2 {
            self.read_slices(ledger, of, state).await?;
            if state.settled.parts() > PARTS_MAX {
                break;
            }
            let mut snapshot = ledger.store.snapshot().await?;
            let mut reader = Reader::Snapshot(&mut snapshot);
            let total = state.total_of_day(of, &mut reader).await?;
            let counted = reader.counted_events(of).await?;
            snapshot.rollback().await?;
            if total.parts() > PARTS_MAX {
                break;
            }
            if total.events() == counted {
                let total = Arc::new(total);
                state.total = Some(total.clone());
                return Ok(Some(total));
            }
            *state = SumsState::default();
        }
        *state = SumsState { differed_at: Some(now), ..SumsState::default() };
        Ok(None)
    }

    /// Reads the full slices that are not in memory, two at a time.
    async fn read_slices(&self, ledger: &Ledger, of: &SumsOf, state: &mut SumsState) -> Result<(), DatabaseError> {
        let settled = ledger.store.clock().now().before(SETTLED_AFTER);
        let mut rest = state.rest.unwrap_or_else(|| DaySlice::whole(of.day));
        while state.settled.parts() <= PARTS_MAX
            && let Some((slice, after)) = ledger.divided(of.of, rest, self.slice_events).await?
        {
            match ledger.divided(of.of, after, self.slice_events).await? {
                Some((next, behind)) => {
                    let (one, two) = tokio::try_join!(
                        SliceSums::read(Reader::Store(&ledger.store), of, slice),
                        SliceSums::read(Reader::Store(&ledger.store), of, next),
                    )?;
                    state.recent.extend([one, two]);
                    rest = behind;
                }
                None => {
                    state.recent.push_back(SliceSums::read(Reader::Store(&ledger.store), of, slice).await?);
                    rest = after;
                }
            }
            state.rest = Some(rest);
            state.settle(settled);
        }
        Ok(())
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts(kind: store::sql::StoreKind) -> Vec<String> {
    let own = |of| [reader::counted_events(of), group_parts::text(of, kind, &[1, 9])];
    DayUsageOf::kinds().into_iter().flat_map(own).collect()
}
