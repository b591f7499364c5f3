//! Comparison of the charges of windows with the events that name them.
//!
//! It keeps the sums of all windows of the range: about 200 bytes for each.

use std::collections::BTreeMap;

use access::{BudgetId, BudgetScope, LimitPeriod, Measure, Minute, SubjectId, UserNo};
use meter::Period;
use meter::lease::CounterId;
use store::DatabaseError;
use store::limits::charges::windows::{owner_id, owner_of};
use store::sql::{Transaction, statements, unsigned};
use uuid::Uuid;

use super::comparison::{ComparedSums, EVENTS, add};
use super::totals::{SUBJECT_MEASURES, counts};
use super::{Days, Difference, DifferencePlace, Reconciliation};
use crate::stored_text::windows;

const TOTALS_OF_WINDOWS: &str = "totals of windows";
const MINUTES_PER_DAY: i64 = 1_440;

statements! {
    TOTALS = "SELECT owner_id, per, begin_minute, end_minute, credits, charged_tokens, charged_nano FROM window_usage
        WHERE begin_minute >= $1 AND end_minute <= $2";
    // Each sum has two columns, billions and remainder.
    OF_EVENTS = concat!("SELECT e.user_no, s.id AS subject_id, e.windows,
        CAST(sum(e.credits / 1000000000) AS BIGINT) AS credits_high, CAST(sum(e.credits % 1000000000) AS BIGINT) AS credits_low,
        CAST(sum(e.charged_tokens / 1000000000) AS BIGINT) AS tokens_high,
        CAST(sum(e.charged_tokens % 1000000000) AS BIGINT) AS tokens_low,
        CAST(sum(e.charged_nano / 1000000000) AS BIGINT) AS nano_high, CAST(sum(e.charged_nano % 1000000000) AS BIGINT) AS nano_low
        FROM usage_events e LEFT JOIN subjects s ON s.no = e.subject_no
        WHERE e.day >= $1 AND e.day <= $2 AND e.id >= $3 AND e.id < $4 AND e.windows IS NOT NULL AND ", counts!(),
        " GROUP BY e.user_no, s.id, e.windows");
}

/// A window of an owner. Its sums are in the order of [`SUBJECT_MEASURES`].
type OwnedWindow = (Uuid, Period);

#[derive(sqlx_macros::FromRow)]
struct TotalsRow {
    owner_id: Uuid,
    per: String,
    begin_minute: i64,
    end_minute: i64,
    credits: i64,
    charged_tokens: i64,
    charged_nano: i64,
}

#[derive(sqlx_macros::FromRow)]
struct EventsRow {
    user_no: Option<i64>,
    subject_id: Option<Uuid>,
    windows: String,
    credits_high: i64,
    credits_low: i64,
    tokens_high: i64,
    tokens_low: i64,
    nano_high: i64,
    nano_low: i64,
}

impl EventsRow {
    fn owner(&self) -> Option<Uuid> {
        let scope = match (self.user_no, self.subject_id) {
            (Some(user), _) => BudgetScope::User(UserNo(user)),
            (None, Some(subject)) => BudgetScope::Subject(SubjectId(subject)),
            (None, None) => return None,
        };
        owner_id(scope)
    }

    fn sums(&self) -> [i128; 3] {
        let sum = |high: i64, low: i64| i128::from(high) * 1_000_000_000 + i128::from(low);
        [
            sum(self.credits_high, self.credits_low),
            sum(self.tokens_high, self.tokens_low),
            sum(self.nano_high, self.nano_low),
        ]
    }
}

/// Compares the windows that begin and end within `days`.
pub(super) async fn compare(tx: &mut Transaction, days: Days, found: &mut Reconciliation) -> Result<(), DatabaseError> {
    let mut differing = differences(tx, days, days.ids()).await?;
    if !differing.is_empty() {
        // Events of a clock that jumped have ids outside of the range.
        differing = differences(tx, days, [Uuid::nil(), Uuid::max()]).await?;
    }
    found.tell(differing);
    Ok(())
}

async fn differences(tx: &mut Transaction, days: Days, ids: [Uuid; 2]) -> Result<Vec<Difference>, DatabaseError> {
    let windows = sums(tx, days, ids).await?;
    let of_window = |((owner, period), sums): (&OwnedWindow, &ComparedSums)| {
        let scope = owner_of(*owner);
        let of_measure = |(nth, (measure, column))| {
            let (kept, told) = sums.column_sums(nth);
            let budget = BudgetId { scope, measure, per: period.per() };
            let place = DifferencePlace::Window(CounterId { budget, period: *period });
            let found = (TOTALS_OF_WINDOWS, told);
            (kept != told).then_some(Difference { place, measure: column, expected: (EVENTS, kept), found })
        };
        Measure::ALL.into_iter().zip(SUBJECT_MEASURES).enumerate().filter_map(of_measure).collect::<Vec<_>>()
    };
    Ok(windows.iter().flat_map(of_window).collect())
}

async fn sums(
    tx: &mut Transaction,
    days: Days,
    [from, end]: [Uuid; 2],
) -> Result<BTreeMap<OwnedWindow, ComparedSums>, DatabaseError> {
    let [first, last] = days.numbers();
    let [begin, after] = [first * MINUTES_PER_DAY, (last + 1) * MINUTES_PER_DAY];
    let is_within = |window: &Period| {
        let [of_begin, of_end] = [window.begin(), window.end_minute()].map(|minute| i64::from(minute.0));
        begin <= of_begin && of_end <= after
    };
    let mut windows: BTreeMap<OwnedWindow, ComparedSums> = BTreeMap::new();
    let totals: Vec<TotalsRow> = tx.query(TOTALS).bind(begin).bind(after).all().await?;
    for row in totals {
        let unreadable = || DatabaseError::Unreadable { table: "window_usage", column: "per" };
        let per = LimitPeriod::parse(&row.per).ok_or_else(unreadable)?;
        let [begin, end] = [row.begin_minute, row.end_minute]
            .map(|minute| Minute(u32::try_from(unsigned(minute)).unwrap_or(u32::MAX)));
        let sums = [row.credits, row.charged_tokens, row.charged_nano].map(i128::from);
        add(&mut windows.entry((row.owner_id, Period::between(per, begin, end))).or_default().told, &sums);
    }
    let events: Vec<EventsRow> = tx.query(OF_EVENTS).bind(first).bind(last).bind(from).bind(end).all().await?;
    for row in events {
        let Some(owner) = row.owner() else { continue };
        for window in windows::of_stored(&row.windows).filter(is_within) {
            add(&mut windows.entry((owner, window)).or_default().kept, &row.sums());
        }
    }
    Ok(windows)
}
