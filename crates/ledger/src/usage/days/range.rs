//! The range of ids and times in which the requests of one day are.

use std::time::Duration;

use access::{Day, Timestamp};
use store::sql::{Query, micros};
use uuid::Uuid;

use crate::row_ids::first_id;
use crate::usage::requests::RequestPlace;

/// Maximum difference between the time in the id of a request and the day on which it was admitted.
const SLACK: Duration = Duration::from_secs(600);

/// The condition for the events of one day: ids from `$2` to `$3`, times from `$4` to `$5`, and the day `$6`.
pub(super) const OF_DAY: &str = "id >= $2 AND id < $3 AND started_at >= $4 AND started_at < $5 AND day = $6";

/// Binds the parameters of [`OF_DAY`].
pub(super) fn bind_day(query: Query<'_>, day: Day) -> Query<'_> {
    bind_day_from(query, day, RequestPlace { at: Timestamp(0), id: Uuid::nil() })
}

/// Binds the parameters of [`OF_DAY`] for the events from a time and an id on. SQLite begins at the first lower bound of several,
/// so a page whose place is only compared later would read all pages before it.
pub(super) fn bind_day_from(query: Query<'_>, day: Day, first: RequestPlace) -> Query<'_> {
    let (from, until) = bounds(day);
    let query = query.bind(first_id(from).max(first.id)).bind(first_id(until));
    query.bind(micros(from.max(first.at))).bind(micros(until)).bind(i64::from(day.0))
}

/// Returns the times between which requests of a day can begin.
pub(super) fn bounds(day: Day) -> (Timestamp, Timestamp) {
    (day.start().before(SLACK), day.next().start().after(SLACK))
}
