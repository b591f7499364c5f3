//! What is over long since goes, and what nobody answers for is counted.

use std::time::Duration;

use crate::error::StoreError;
use crate::lender;
use crate::statement::{micros, statements, unsigned};
use crate::store::Store;

/// Books are kept so long after their periods, for whoever compares them with the totals.
const KEPT: Duration = Duration::from_hours(7 * 24);
/// A lease whose holder is silent for so many of its lives is stranded.
const LIVES: u32 = 2;

statements! {
    STRANDED = "SELECT count(*) FROM leases l JOIN lease_books b ON b.id = l.book_id
        WHERE NOT l.told AND l.granted > l.spent AND l.heard_at < $1 AND b.ends_at > $2";
    OLD_LEASES = "DELETE FROM leases WHERE book_id IN (SELECT id FROM lease_books WHERE ends_at < $1)";
    OLD_BOOKS = "DELETE FROM lease_books WHERE ends_at < $1";
    OLD_HOLDERS = "DELETE FROM lease_holders WHERE heard_at < $1";
}

impl Store {
    /// Deletes what is over for long; answers how many leases are stranded.
    pub(super) async fn look_after_leases(&self, ttl: Duration) -> Result<u64, StoreError> {
        let mut transaction = self.begin().await?;
        let now = lender::now(self, &mut transaction).await?;
        let old = micros(now.before(KEPT));
        for statement in [OLD_LEASES, OLD_BOOKS, OLD_HOLDERS] {
            transaction.query(statement).bind(old).run().await?;
        }
        let silent = micros(now.before(ttl.saturating_mul(LIVES)));
        let (stranded,) = transaction.query(STRANDED).bind(silent).bind(micros(now)).one::<(i64,)>().await?;
        transaction.commit().await?;
        Ok(unsigned(stranded))
    }
}
