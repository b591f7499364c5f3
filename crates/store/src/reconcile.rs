//! Whether what is stored adds up: events and counts = daily totals = what budgets count as spent = what leases say.
//!
//! Reading is one snapshot, and ingest writes rows and totals in one transaction: a server at work is no difference. The
//! database adds up; here are only sums, and a bounded number of differences. (The log of what people changed is
//! [`audit`](crate::audit).)
//!
//! Read in this order: `totals` (what is compared with what), `sides` (the comparison), `books` (leases), `standing` (what is
//! no difference, and is told), `mend` (totals from events), `recorded` (for comparisons with what a provider says).

mod books;
mod mend;
mod recorded;
mod row;
mod sides;
mod standing;
mod totals;

use std::time::Duration;

use access::{Day, KeyNo, PlanId, Timestamp, UserNo};
use meter::lease::CounterId;
use uuid::Uuid;

use crate::dialect::Transaction;
use crate::error::StoreError;
use crate::lender::stranded::OpenLease;
use crate::statement::{statements, timestamp};
use crate::store::Store;

pub use mend::Mended;
pub use recorded::Recorded;
pub use standing::{Interrupted, OpenRequests, Unpriced};

/// Differences that are told; of more it is only said that there are more.
pub const DIFFERENCES_MAX: usize = 1_000;
/// An event's id may be made so long before or after the day that it was admitted under begins or ends, and it is found at
/// once all the same.
const SLACK: Duration = Duration::from_hours(24);

statements! {
    USAGE_FROM = "SELECT coalesce(max(usage_from), 0) FROM revision";
}

/// Days, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: Day,
    /// The last.
    pub last: Day,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciliation {
    /// The days that were asked for and could be compared; `None` where events of all of them may have been deleted by age.
    pub compared: Option<Days>,
    /// Where figures part, in the order of days; at most [`DIFFERENCES_MAX`].
    pub differences: Vec<Difference>,
    /// Whether there are more.
    pub more: bool,
    /// Requests of those days that were under way when a server died.
    pub interrupted: Interrupted,
    /// LLM requests of those days whose cost is not, or not wholly, known, by reason: bills leave it out, budgets count what
    /// was reserved.
    pub unpriced: Vec<Unpriced>,
    /// Requests that are open still, as far as the store knows: each server's spool knows the others.
    pub open: OpenRequests,
    /// What is lent to servers that do not answer, as of now.
    pub stranded: Vec<OpenLease>,
    /// What was charged while a lease was open, and not from it: under way when a limit was set, or before one was set again.
    pub unleased: Vec<Unleased>,
}

/// Two figures that should be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of what.
    pub place: Place,
    /// Of which measure: the column's name.
    pub measure: &'static str,
    /// What it should be, and what says so.
    pub expected: (&'static str, i128),
    /// What it is, and where it stands.
    pub found: (&'static str, i128),
}

/// Whose figures they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A key's day.
    Key {
        /// The day.
        day: Day,
        /// The user's number, and its id where it is known.
        user: (UserNo, Option<Uuid>),
        /// The same of the key.
        key: (KeyNo, Option<Uuid>),
    },
    /// A user's day with one model.
    Model {
        /// The day.
        day: Day,
        /// The user's number, and its id where it is known.
        user: (UserNo, Option<Uuid>),
        /// The model's name; `None` where none was known by name.
        model: Option<String>,
    },
    /// The day of everybody on a plan.
    Plan {
        /// The day.
        day: Day,
        /// The plan.
        plan: PlanId,
    },
    /// The day of everybody.
    Day(Day),
    /// A budget that nodes share, in one period.
    Book(CounterId),
    /// A node's lease of it.
    Lease {
        /// Of what.
        cell: CounterId,
        /// Whose.
        node: Uuid,
        /// Which incarnation's.
        incarnation: u64,
    },
}

/// Usage that a budget's leases do not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unleased {
    /// Of which budget.
    pub cell: CounterId,
    /// How much.
    pub amount: u64,
}

impl Reconciliation {
    /// Whether all that could be compared agrees.
    #[must_use]
    pub const fn agrees(&self) -> bool {
        self.differences.is_empty() && !self.more
    }

    fn tell(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            if self.differences.len() >= DIFFERENCES_MAX {
                self.more = true;
                return;
            }
            self.differences.push(difference);
        }
    }
}

impl Days {
    /// Those from `from` on.
    fn since(self, from: Day) -> Option<Self> {
        let first = self.first.max(from);
        (first <= self.last).then_some(Self { first, last: self.last })
    }

    fn numbers(self) -> [i64; 2] {
        [self.first, self.last].map(|day| i64::from(day.0))
    }

    /// Between which ids the events of these days lie, unless a clock jumped.
    fn ids(self) -> [Uuid; 2] {
        let first = self.first.start().before(SLACK);
        [first, self.last.next().start().after(SLACK)].map(crate::retention::first_id)
    }
}

impl Store {
    /// Compares what is stored of `days`, as of one moment, beside servers at work.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn reconcile(&self, days: Days) -> Result<Reconciliation, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let from = comparable_from(&mut snapshot).await?;
        let compared = days.since(from);
        let mut found = Reconciliation {
            compared,
            differences: Vec::new(),
            more: false,
            interrupted: standing::interrupted(&mut snapshot, days).await?,
            unpriced: standing::unpriced(&mut snapshot, days).await?,
            open: standing::open(&mut snapshot).await?,
            stranded: Vec::new(),
            unleased: Vec::new(),
        };
        if let Some(days) = compared {
            sides::compare(&mut snapshot, days, &mut found).await?;
        }
        books::compare(&mut snapshot, days, &mut found).await?;
        snapshot.rollback().await?;
        found.stranded = self.open_leases().await?.into_iter().filter(|lease| lease.stranded).collect();
        Ok(found)
    }

    /// The first day whose events are all there: older ones may have been deleted by age.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn usage_kept_from(&self) -> Result<Day, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let from = comparable_from(&mut snapshot).await?;
        snapshot.rollback().await?;
        Ok(from)
    }
}

/// The first day whose events and counts are all there: those that were made before a moment may have been deleted.
async fn comparable_from(on: &mut Transaction) -> Result<Day, StoreError> {
    let (from,): (i64,) = on.query(USAGE_FROM).one().await?;
    Ok(match timestamp(from) {
        Timestamp(0) => Day(0),
        from => from.after(SLACK).day().next(),
    })
}

/// Every SQL text that is put together here, and those of the parts.
#[cfg(test)]
pub(crate) fn texts() -> Vec<String> {
    let lists = [STATEMENTS, sides::STATEMENTS, books::STATEMENTS, standing::STATEMENTS, mend::STATEMENTS];
    let fixed = lists.into_iter().flatten().map(|(_, sql)| (*sql).to_owned());
    fixed.chain(totals::texts()).chain(recorded::texts()).collect()
}

#[cfg(test)]
pub(crate) mod tests;
