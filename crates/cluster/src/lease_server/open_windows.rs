//! The windows that open with their first use: the first node that asks opens one for all nodes.

use std::borrow::Cow;

use access::Minute;
use meter::lease::{CounterId, LeaseRequest, Tick};
use store::columns::budget_period::window_id;
use store::sql::{statements, unsigned};
use store::{DatabaseError, Store};

statements! {
    OPEN = "INSERT INTO open_windows (id, begin_minute, end_minute, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)
        ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at,
            begin_minute = CASE WHEN open_windows.end_minute <= excluded.begin_minute
                THEN excluded.begin_minute ELSE open_windows.begin_minute END,
            end_minute = CASE WHEN open_windows.end_minute <= excluded.begin_minute
                THEN excluded.end_minute ELSE open_windows.end_minute END
        RETURNING begin_minute";
}

/// Opens the windows for which a tick has no lease yet, or finds those that are open. Returns the counters whose window
/// another node has opened at another time, with its first minute.
pub(super) async fn open(store: &Store, tick: &Tick) -> Result<Vec<(CounterId, Minute)>, DatabaseError> {
    let mut moved = Vec::new();
    if !tick.requests.iter().any(opens) {
        return Ok(moved);
    }
    let mut transaction = store.begin().await?;
    let mut asked: Vec<CounterId> = tick.requests.iter().filter(|ask| opens(ask)).map(|ask| ask.counter).collect();
    // All nodes write rows in one order.
    asked.sort_unstable_by_key(|counter| window_id(counter.budget));
    for counter in asked {
        let [begin, end] = [counter.period.begin(), counter.period.end_minute()].map(|minute| i64::from(minute.0));
        let query = transaction.query(OPEN).bind(window_id(counter.budget)).bind(begin).bind(end).bind(store.now());
        let (open,): (i64,) = query.one().await?;
        if open != begin {
            moved.push((counter, Minute(u32::try_from(unsigned(open)).unwrap_or(u32::MAX))));
        }
    }
    transaction.commit().await?;
    Ok(moved)
}

/// Returns the tick without the requests for windows that have moved.
pub(super) fn without<'a>(tick: &'a Tick, moved: &[(CounterId, Minute)]) -> Cow<'a, Tick> {
    if moved.is_empty() {
        return Cow::Borrowed(tick);
    }
    let mut rest = tick.clone();
    rest.requests.retain(|ask| !moved.iter().any(|(counter, _)| *counter == ask.counter));
    Cow::Owned(rest)
}

/// Whether a request is the first one for a window that opens with its use.
fn opens(ask: &LeaseRequest) -> bool {
    ask.term == 0 && ask.counter.budget.per.window().is_some_and(access::BudgetWindow::opens_with_use)
}
