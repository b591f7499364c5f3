//! The sums of the events of one range of ids.

use std::collections::{BTreeMap, HashMap};

use store::DatabaseError;
use store::sql::unsigned;

use super::SumsOf;
use super::group_parts::GroupParts;
use super::reader::Reader;
use crate::usage::days::caches::{self, CachedPrice, CachedRow, CachedUsage};
use crate::usage::days::durations::{self, DurationCount};
use crate::usage::days::event_group::EventGroup;
use crate::usage::days::groups::GroupBounds;
use crate::usage::days::slices::DaySlice;

/// The sums of a range of events.
#[derive(Debug, Clone, Default)]
pub(in crate::usage::days) struct RangeSums {
    groups: GroupParts,
    durations_ms: BTreeMap<u64, u64>,
    caches: HashMap<CachedPrice, CachedSums>,
    from_cache: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct CachedSums {
    requests: u64,
    cached_input: u64,
}

impl RangeSums {
    /// Reads the events of a slice.
    pub(super) async fn read(reader: &mut Reader<'_>, of: &SumsOf, slice: DaySlice) -> Result<Self, DatabaseError> {
        let groups = GroupParts::read(reader, of, slice).await?;
        let mut sums = Self { groups, ..Self::default() };
        if sums.groups.is_empty() {
            return Ok(sums);
        }
        let query = slice.bind(of.of.bind(reader.query(durations::durations(of.of))));
        for (ms, requests) in query.all::<(i64, i64)>().await? {
            sums.durations_ms.insert(unsigned(ms), unsigned(requests));
        }
        let query = slice.bind(of.of.bind(reader.query(caches::cached(of.of))));
        for row in query.all::<CachedRow>().await? {
            let of = CachedUsage::from(row);
            sums.caches.insert(of.price(), CachedSums { requests: of.requests, cached_input: of.cached_input });
        }
        let query = slice.bind(of.of.bind(reader.query(caches::served(of.of))));
        let (from_cache,): (i64,) = query.one().await?;
        sums.from_cache = unsigned(from_cache);
        Ok(sums)
    }

    /// Adds the sums of other events.
    pub(super) fn add(&mut self, more: &Self) {
        self.groups.add(&more.groups);
        for (duration_ms, requests) in &more.durations_ms {
            let of = self.durations_ms.entry(*duration_ms).or_insert(0);
            *of = of.saturating_add(*requests);
        }
        for (price, more) in &more.caches {
            let of = self.caches.entry(price.clone()).or_default();
            of.requests = of.requests.saturating_add(more.requests);
            of.cached_input = of.cached_input.saturating_add(more.cached_input);
        }
        self.from_cache = self.from_cache.saturating_add(more.from_cache);
    }

    /// The number of events.
    pub(super) fn events(&self) -> u64 {
        self.groups.events()
    }

    /// The number of sums of groups.
    pub(super) fn parts(&self) -> usize {
        self.groups.len()
    }

    /// Returns the groups with the bounds of a request, whose bounds of input tokens are missing or those of the sums.
    pub(in crate::usage::days) fn groups(&self, bounds: GroupBounds<'_>, made: &HashMap<i64, u64>) -> Vec<EventGroup> {
        self.groups.groups(bounds, made)
    }

    /// Returns the number of LLM requests of each key that were not refused.
    pub(in crate::usage::days) fn made_by_key(&self) -> HashMap<i64, u64> {
        self.groups.made_by_key()
    }

    /// Returns the durations, the shortest first.
    pub(in crate::usage::days) fn durations(&self) -> Vec<DurationCount> {
        let count =
            |(duration_ms, requests): (&u64, &u64)| DurationCount { duration_ms: *duration_ms, requests: *requests };
        self.durations_ms.iter().map(count).collect()
    }

    /// Returns the cached input tokens by price, the most first.
    pub(in crate::usage::days) fn cached(&self) -> Vec<CachedUsage> {
        let mut all: Vec<(&CachedPrice, &CachedSums)> = self.caches.iter().collect();
        all.sort_unstable_by(|a, b| b.1.cached_input.cmp(&a.1.cached_input).then_with(|| a.0.cmp(b.0)));
        let largest = all.into_iter().take(caches::GROUPS_MAX);
        largest.map(|(price, sums)| price.usage(sums.requests, sums.cached_input)).collect()
    }

    /// Returns the number of requests that response caches served.
    pub(in crate::usage::days) const fn from_cache(&self) -> u64 {
        self.from_cache
    }
}
