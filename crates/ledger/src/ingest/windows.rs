//! The charges of windows in a batch: the events name the windows in which they count.

use access::{BudgetScope, SubjectId};
use meter::{Charge, Period};
use rustc_hash::FxHashMap;
use store::limits::charges::windows::owner_id;
use store::sql::{BulkTransaction, Insert, SqlType};
use store::{DatabaseError, Node};
use uuid::Uuid;

use super::aggregation::{CountedEvent, sorted};
use super::tables::bind_charge;

/// The charges of windows, by node.
pub(crate) static WINDOWS: Insert = Insert::adding(
    "window_usage",
    &["id", "owner_id", "per", "begin_minute", "end_minute", "node_id", "credits", "charged_tokens", "charged_nano"],
    &[("id", SqlType::Uuid), ("owner_id", SqlType::Uuid), ("per", SqlType::Text), ("node_id", SqlType::Uuid)],
    &["owner_id", "per", "begin_minute", "end_minute", "node_id"],
);

/// Adds up the charges of windows, by the owner in the store.
pub(crate) fn charges(events: &[CountedEvent<'_>]) -> Vec<((Uuid, Period), Charge)> {
    let mut windows: FxHashMap<(Uuid, Period), Charge> = FxHashMap::default();
    for event in events.iter().map(|counted| counted.event).filter(|event| event.counts()) {
        let scope = match event.subject.caller() {
            Some(caller) => Some(BudgetScope::User(caller.user)),
            None if event.windows.is_empty() => None,
            None => SubjectId::from_subject(&event.subject).map(BudgetScope::Subject),
        };
        let Some(owner) = scope.and_then(owner_id) else { continue };
        for window in &event.windows {
            let sum = windows.entry((owner, *window)).or_default();
            *sum = sum.and(&event.charge);
        }
    }
    sorted(windows)
}

/// Writes the charges of windows.
pub(crate) async fn write(
    events: &[CountedEvent<'_>],
    node: &Node,
    transaction: &mut BulkTransaction,
) -> Result<(), DatabaseError> {
    let windows: Vec<(String, Uuid, Period, Charge)> = charges(events)
        .into_iter()
        .map(|((owner, window), charge)| (window.per().to_string(), owner, window, charge))
        .collect();
    let store = node.store();
    WINDOWS
        .bulk(transaction, store.now(), &windows, |(per, owner, window, charge), row| {
            row.put(store.new_id()).put(*owner).put(per.as_str());
            row.put(i64::from(window.begin().0)).put(i64::from(window.end_minute().0)).put(node.id());
            bind_charge(charge, row);
        })
        .await?;
    Ok(())
}
