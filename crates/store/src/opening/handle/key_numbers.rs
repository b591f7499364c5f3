//! Key numbers, reserved from the store in blocks. Keys are therefore created concurrently, not one after the other
//! behind a lock that is held until each commit is on disk.

use super::Store;
use crate::error::DatabaseError;
use crate::revision;
use crate::sql::statements;

/// Maximum size of a block. The first block of a process has one number, so that a command wastes none.
const TAKEN_MAX: i64 = 64;

statements! {
    // Runs while the revision's row is locked. `no_floor` covers numbers that a restored backup does not know; reserved
    // numbers that are not used are lost.
    TAKE = "UPDATE revision SET updated_at = $3, key_no = $2 + (SELECT max(given.no) FROM (SELECT max(no) AS no FROM api_keys
        UNION ALL SELECT no_floor FROM revision UNION ALL SELECT key_no FROM revision) given) WHERE id = $1 RETURNING key_no";
}

/// Key numbers that this process has reserved and not used.
#[derive(Debug, Default)]
pub(crate) struct KeyNumbers(tokio::sync::Mutex<NumberBlock>);

#[derive(Debug, Default)]
struct NumberBlock {
    /// Last number that was used.
    given: i64,
    /// Last number of the current block.
    last: i64,
    /// Size of the current block.
    size: i64,
}

impl Store {
    /// Returns a key number that no process has used before.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub(crate) async fn next_key_no(&self) -> Result<i64, DatabaseError> {
        let mut taken = self.numbers().0.lock().await;
        if taken.given == taken.last {
            let size = (taken.size * 2).clamp(1, TAKEN_MAX);
            let mut transaction = self.begin_quiet().await?;
            let take = transaction.query(TAKE).bind(revision::ROW).bind(size).bind(self.now());
            let (last,): (i64,) = take.one().await?;
            transaction.commit().await?;
            *taken = NumberBlock { given: last - size, last, size };
        }
        taken.given += 1;
        Ok(taken.given)
    }
}
