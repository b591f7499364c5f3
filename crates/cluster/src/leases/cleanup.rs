//! Deletes old budget accounts, and counts the leases of nodes that do not respond.

use std::time::Duration;

use access::Amount;
use jobs::{Job, JobError, JobSpec, NextRun, Owner};
use meter::Charge;
use meter::budgets::budget::Measure;
use store::DatabaseError;
use store::sql::{amount, micros, statements};

use crate::handle::Cluster;
use crate::lease_server;
use crate::leases::KEEPING;

/// Time for which budget accounts are kept after the end of their period, so that they can be compared with the totals.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// Maximum number of accounts that one check deletes: those of a day end at the same time, and may be hundreds of
/// thousands.
const AT_ONCE: i64 = 500;
/// A lease is unusable if its node has not sent a tick for this number of lease TTLs.
const LIVES: u32 = 2;

statements! {
    STRANDED = "SELECT b.measure, l.granted - l.spent FROM leases l JOIN lease_books b ON b.id = l.book_id
        WHERE NOT l.told AND l.granted > l.spent AND l.heard_at < $1 AND b.ends_at > $2";
    OLD_LEASES = "DELETE FROM leases WHERE book_id IN
        (SELECT id FROM lease_books WHERE ends_at < $1 ORDER BY ends_at, id LIMIT $2)";
    OLD_WINDOWS = "DELETE FROM open_windows WHERE id IN
        (SELECT id FROM open_windows WHERE end_minute < $1 / 60000000 ORDER BY end_minute LIMIT $2)";
    OLD_BOOKS = "DELETE FROM lease_books WHERE id IN
        (SELECT id FROM lease_books WHERE ends_at < $1 ORDER BY ends_at, id LIMIT $2)
        AND NOT EXISTS (SELECT 1 FROM leases WHERE book_id = lease_books.id)";
    OLD_HOLDERS = "DELETE FROM lease_holders WHERE id IN
        (SELECT id FROM lease_holders WHERE heard_at < $1 ORDER BY heard_at, id LIMIT $2)";
}

/// Leases of nodes that do not respond.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct UnreturnedLeases {
    /// Number of leases with unspent amounts.
    pub(super) leases: u64,
    /// Unspent amounts, summed over budgets: an amount of a user's and of a global budget is counted twice.
    pub(super) left: Charge,
}

/// One node of a cluster deletes old budget accounts.
pub const SPEC: JobSpec = JobSpec { owner: Owner::OneNode, ..JobSpec::every("lease_cleanup", KEEPING) };

/// The job that deletes old budget accounts, leases and nodes.
#[derive(Debug, Clone)]
pub struct LeaseCleanup {
    cluster: Cluster,
}

impl LeaseCleanup {
    /// Returns the job for a store that nodes share.
    #[must_use]
    pub const fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }
}

impl Job for LeaseCleanup {
    async fn run(&mut self) -> Result<NextRun, JobError> {
        self.cluster.delete_old_leases().await?;
        Ok(NextRun::Period)
    }
}

impl Cluster {
    /// Deletes some of the old budget accounts, leases and nodes.
    async fn delete_old_leases(&self) -> Result<(), DatabaseError> {
        let mut transaction = self.store.begin().await?;
        let old = micros(lease_server::now(&self.store, &mut transaction).await?.before(KEPT));
        for statement in [OLD_LEASES, OLD_BOOKS, OLD_HOLDERS, OLD_WINDOWS] {
            transaction.query(statement).bind(old).bind(AT_ONCE).run().await?;
        }
        transaction.commit().await
    }

    /// Returns the leases of nodes that do not respond.
    pub(super) async fn unreturned_leases(&self, ttl: Duration) -> Result<UnreturnedLeases, DatabaseError> {
        let mut transaction = self.store.begin().await?;
        let now = lease_server::now(&self.store, &mut transaction).await?;
        let silent = micros(now.before(ttl.saturating_mul(LIVES)));
        let left: Vec<(String, i64)> = transaction.query(STRANDED).bind(silent).bind(micros(now)).all().await?;
        transaction.rollback().await?;
        Ok(left.iter().fold(UnreturnedLeases::default(), |sum, (measure, left)| sum.and(measure, amount(*left))))
    }
}

impl UnreturnedLeases {
    fn and(self, measure: &str, left: Amount) -> Self {
        let more = Measure::parse(measure).map_or(self.left, |of| self.left.and(&Charge::default().with(of, left)));
        Self { leases: self.leases + 1, left: more }
    }
}

#[cfg(test)]
mod tests;
