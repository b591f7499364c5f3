//! Compares requests at the mock with events in the store, by unique model name, and events with totals.

use std::collections::{BTreeMap, BTreeSet};

use e2e::database::EventRow;
use e2e::setup::Folder;
use e2e::{Gateway, Mock};

use crate::audit::must;
use crate::store;

/// Counts callers and days whose events and totals differ in requests, credits, tokens or money.
const PARTED: &str = "SELECT count(*) FROM (
    SELECT day, user_no, key_no FROM (
        SELECT day, user_no, key_no, 1 AS requests, credits, charged_tokens, charged_nano FROM usage_events
        WHERE (attempts > 0 OR outcome = 'interrupted') AND user_no IS NOT NULL
        UNION ALL SELECT day, user_no, key_no, requests, credits, 0, 0 FROM usage_counts WHERE user_no > 0 AND status_class < 10
        UNION ALL SELECT day, user_no, key_no, -requests, -credits, -charged_tokens, -charged_nano FROM daily_usage
    ) AS every GROUP BY day, user_no, key_no
    HAVING sum(requests) <> 0 OR sum(credits) <> 0 OR sum(charged_tokens) <> 0 OR sum(charged_nano) <> 0
) AS parted";

/// Asserts that events, totals and plan usage agree.
pub(crate) async fn assert_counts_agree(folder: &Folder) {
    assert_eq!(store::number(folder, PARTED).await, 0, "events and daily totals differ");
    let plans = "SELECT (SELECT coalesce(sum(charged_nano), 0) FROM daily_usage)
        - (SELECT coalesce(sum(charged_nano), 0) FROM daily_plans)";
    assert_eq!(store::number(folder, plans).await, 0, "totals of users and of plans differ");
}

/// Asserts that `tollgate audit` finds no difference.
pub(crate) async fn assert_audited(folder: &Folder) {
    must(folder, &["audit"]).await;
}

/// Waits until no request holds resources and the spool is empty.
pub(crate) async fn rests(gateway: &Gateway) {
    gateway.at_rest().await;
    gateway.empties("tollgate_spool_bytes").await;
}

/// Counted events, by the names of their models.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Requests that were sent upstream.
    pub(crate) sent: usize,
    /// Requests that the end of the process interrupted.
    pub(crate) interrupted: usize,
    /// Interrupted requests that were never sent upstream.
    pub(crate) unsent: usize,
    /// Events by the model's name without `up/`.
    pub(crate) by_name: BTreeMap<String, EventRow>,
}

impl Tally {
    /// Returns the number of counted events.
    pub(crate) fn count(&self) -> usize {
        self.by_name.len()
    }
}

/// Asserts that each request at the mock has exactly one event, and that events without such a request are
/// interrupted. Each name in `answered` must have a completed event; with `may_lose`, any event suffices, because
/// records after the first may be lost.
pub(crate) async fn each_once(mock: &Mock, folder: &Folder, answered: &BTreeSet<String>, may_lose: bool) -> Tally {
    let mut seen = mock.models().await;
    let events = store::all_events(folder).await;
    // The requests of ordinary routes.
    seen.remove("plain");
    let mut tally = Tally::default();
    for event in events {
        let name = event.row["model"].as_str().unwrap_or_default().trim_start_matches("up/").to_owned();
        let interrupted = event.outcome == "interrupted";
        let attempts = event.row["attempts"].as_u64();
        if !interrupted && attempts == Some(0) {
            assert!(!answered.contains(&name), "{name} was answered, but its event is a refusal: {event:?}");
            continue;
        }
        let sent = seen.contains_key(&name);
        tally.sent += usize::from(sent);
        tally.interrupted += usize::from(interrupted);
        tally.unsent += usize::from(!sent);
        assert!(sent || interrupted, "the mock never received {name}: {event:?}");
        assert!(may_lose || !interrupted || !answered.contains(&name), "{name} was answered: {event:?}");
        let twice = tally.by_name.insert(name, event);
        assert!(twice.is_none(), "two events: {twice:?}");
    }
    for (name, requests) in &seen {
        assert_eq!(*requests, 1, "{name}");
        assert!(tally.by_name.contains_key(name), "the mock received {name}, but it has no event");
    }
    for name in answered {
        assert!(tally.by_name.contains_key(name), "{name} was answered, but it has no event");
    }
    tally
}
