//! Figures of UTC days for insights: totals of days and models, events of one day by their metadata, durations and prompt
//! caches. Totals are read by day, and events by the range of their ids.

mod between;
mod busy_keys;
mod caches;
mod durations;
mod event_group;
mod events;
mod groups;
mod merged_groups;
mod range;
mod scope;
mod slices;
mod totals;
mod version;

pub use caches::CachedUsage;
pub use durations::DurationCount;
pub use event_group::{EVENT_GROUPS_MAX, EventGroup};
pub use events::{DAY_EVENTS_MAX, DayEvent};
pub use groups::{GroupBounds, MinuteGroup};
pub use scope::DayUsageOf;
pub use totals::{DayTotals, ModelDayUsage};
pub use version::DayState;

/// Returns every SQL text that this module builds.
#[cfg(test)]
pub(super) fn texts(kind: store::sql::StoreKind) -> Vec<String> {
    let built = [totals::texts(), groups::texts(kind), durations::texts(), caches::texts(), events::texts()];
    [built.concat(), busy_keys::texts(), between::texts()].concat()
}

/// Returns the statements of this module.
#[cfg(test)]
pub(super) fn statements() -> Vec<(&'static str, &'static str)> {
    [version::STATEMENTS, slices::STATEMENTS].concat()
}

#[cfg(test)]
mod tests;
