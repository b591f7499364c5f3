//! A request between the oldest and the newest one of a group.

use access::{Day, RequestId};
use meter::ToolUse;
use sqlx::AssertSqlSafe;
use store::DatabaseError;
use uuid::Uuid;

use super::event_group::{EventGroup, ReachedBounds};
#[cfg(test)]
use super::groups::ALL_BOUNDS;
use super::groups::{GroupBounds, KEYS};
use super::range::OF_DAY;
use super::scope::DayUsageOf;
use super::slices::DaySlice;
use crate::handle::Ledger;

/// Maximum number of events among which one of a group is searched: the next ones after its oldest one.
const EVENTS_READ_MAX: u32 = 10_000;

/// Builds the query for one event of a group between its events `$7` and `$8`.
fn between(of: DayUsageOf, bounds: GroupBounds<'_>, reached: ReachedBounds) -> String {
    let condition = of.condition();
    let joins = bounds.joins(of);
    // Events with a label have no index, so the events of all labels are read.
    let of_users = match of {
        DayUsageOf::Users(_) => format!("{condition} AND {OF_DAY} AND "),
        DayUsageOf::Label(_) => String::new(),
    };
    let mut divided = String::new();
    let mut equal = String::new();
    for key in KEYS.split(", ") {
        equal.push_str(&format!(" AND e.{key} IS NOT DISTINCT FROM f.{key}"));
    }
    // In the order of the columns.
    let reached = [Some(reached.input), Some(reached.key), reached.session, reached.interval];
    for ((name, expression), reached) in bounds.columns().into_iter().zip(reached) {
        let Some(expression) = expression else { continue };
        divided.push_str(&format!(", {expression} AS {name}"));
        let value = reached.map_or_else(|| "IS NULL".to_owned(), |reached| format!("= {reached}"));
        equal.push_str(&format!(" AND e.{name} {value}"));
    }
    format!(
        "SELECT e.id FROM (SELECT id, {KEYS}{divided} FROM (SELECT * FROM usage_events
                WHERE {of_users}id > $7 AND id < $8 ORDER BY id LIMIT {EVENTS_READ_MAX}) u{joins}
            WHERE {condition} AND {OF_DAY}) e
        JOIN usage_events f ON f.id = $7{equal} LIMIT 1"
    )
}

impl Ledger {
    /// Returns a request of a group between its oldest and its newest one, with the bounds that the group was made with;
    /// `None` if it has none, or none among the next 10,000 requests after its oldest one. It reads these, the totals of keys
    /// if bounds need them, and the day's sessions once more if bounds of sessions divide the group.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn request_between(
        &self,
        of: impl Into<DayUsageOf>,
        day: Day,
        bounds: GroupBounds<'_>,
        group: &EventGroup,
    ) -> Result<Option<RequestId>, DatabaseError> {
        if group.requests < 3 || group.between.is_some() {
            return Ok(group.between);
        }
        let of = of.into();
        let has_no_sessions = bounds.sessions_of_called && group.tools != Some(ToolUse::Called);
        let bounds = if has_no_sessions { bounds.without_sessions() } else { bounds };
        let query = self.store.query(AssertSqlSafe(between(of, bounds, group.reached()))).once();
        let query = DaySlice::whole(day).bind(of.bind(query));
        let [first, last] = group.ids;
        let found: Option<(Uuid,)> = query.bind(first.0).bind(last.0).find().await?;
        Ok(found.map(|(id,)| RequestId(id)))
    }
}

/// Returns every SQL text of this module.
#[cfg(test)]
pub(super) fn texts() -> Vec<String> {
    let reached = ReachedBounds { input: 1, key: 0, session: None, interval: Some(1) };
    let texts = |of| [between(of, ALL_BOUNDS, reached), between(of, ALL_BOUNDS.without_sessions(), reached)];
    DayUsageOf::kinds().into_iter().flat_map(texts).collect()
}
