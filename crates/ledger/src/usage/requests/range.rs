//! The range of places that a query for a page of requests reads.

use std::time::Duration;

use access::Timestamp;
use store::sql::{Query, micros};
use uuid::Uuid;

use super::filter::RequestFilter;
use crate::row_ids::first_id;
use crate::usage::scope::{ID_SLACK, UsageOf};

/// Maximum time from the minute of counts to the time in their id, for lists of several users. Counts are stored when
/// their requests have ended and the store is available; a list with an end lacks those that are stored later than this.
const COUNTS_SLACK: Duration = Duration::from_hours(1);

/// The place of a request in its user's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestPlace {
    /// Time at which the request began.
    pub at: Timestamp,
    /// Id of the request.
    pub id: Uuid,
}

/// Range of places for a query: the first is included, the last is not.
pub(super) struct Range {
    pub(super) from: RequestPlace,
    pub(super) until: RequestPlace,
    /// The end for rows of counts.
    counts_until: RequestPlace,
}

impl Range {
    pub(super) fn from_filter(of: UsageOf, filter: &RequestFilter, after: Option<RequestPlace>) -> Self {
        if of.is_wide() {
            return Self::of_ids(filter, after);
        }
        let end = Timestamp(u64::try_from(i64::MAX).unwrap_or(u64::MAX));
        let until = RequestPlace { at: filter.until.unwrap_or(end), id: Uuid::nil() };
        let from = RequestPlace { at: filter.since.unwrap_or_default(), id: Uuid::nil() };
        let until = after.map_or(until, |after| after.min(until));
        Self { from, until, counts_until: until }
    }

    /// The range of ids that a query for several users reads, besides the times of the filter.
    fn of_ids(filter: &RequestFilter, after: Option<RequestPlace>) -> Self {
        let end = Timestamp(u64::try_from(i64::MAX).unwrap_or(u64::MAX));
        let first = filter.since.map_or(Uuid::nil(), |since| first_id(since.before(ID_SLACK)));
        let from = RequestPlace { at: filter.since.unwrap_or_default(), id: first };
        let until = |slack| {
            let last = filter.until.map_or(Uuid::max(), |until| first_id(until.after(slack)));
            let id = after.map_or(last, |after| after.id.min(last));
            RequestPlace { at: filter.until.unwrap_or(end), id }
        };
        Self { from, until: until(ID_SLACK), counts_until: until(COUNTS_SLACK) }
    }

    /// The range for rows of counts.
    pub(super) const fn of_counts(&self) -> Self {
        Self { until: self.counts_until, ..*self }
    }

    /// Binds the scope, and the places from `$2` to `$5`.
    pub(super) fn bind<'q>(&self, of: UsageOf, query: Query<'q>) -> Query<'q> {
        let query = of.bind(query).bind(micros(self.from.at)).bind(self.from.id);
        query.bind(micros(self.until.at)).bind(self.until.id)
    }

    /// The begin of the range if it may not be read beyond `stop`.
    pub(super) const fn begin_at(&self, of: UsageOf, stop: RequestPlace) -> RequestPlace {
        if of.is_wide() { RequestPlace { at: self.from.at, id: stop.id } } else { stop }
    }
}
