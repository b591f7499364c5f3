//! Numbers for keys, taken from the store some at a time: keys are then made beside each other, and not one after the other
//! behind a lock that is held until the disk has each.

use crate::error::StoreError;
use crate::revision;
use crate::statement::statements;
use crate::store::Store;

/// The most that are taken at once; a process begins with one, so that a command wastes none.
const TAKEN_MAX: i64 = 64;

statements! {
    // With the row's lock in hand. What a restored backup does not know is below `no_floor`; what was taken and not given is lost.
    TAKE = "UPDATE revision SET updated_at = $3, key_no = $2 + (SELECT max(given.no) FROM (SELECT max(no) AS no FROM api_keys
        UNION ALL SELECT no_floor FROM revision UNION ALL SELECT key_no FROM revision) given) WHERE id = $1 RETURNING key_no";
}

/// Numbers that this process has taken and not given.
#[derive(Debug, Default)]
pub(crate) struct Numbers(tokio::sync::Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    /// The last that was given.
    given: i64,
    /// The last that may be.
    last: i64,
    /// How many were taken the last time.
    size: i64,
}

impl Store {
    /// A number that no key of any process has, or had.
    ///
    /// # Errors
    /// What the database meets.
    pub(super) async fn next_key_no(&self) -> Result<i64, StoreError> {
        let mut taken = self.numbers().0.lock().await;
        if taken.given == taken.last {
            let size = (taken.size * 2).clamp(1, TAKEN_MAX);
            let mut transaction = self.addition().await?;
            let take = transaction.query(TAKE).bind(revision::ROW).bind(size).bind(self.now());
            let (last,): (i64,) = take.one().await?;
            transaction.commit().await?;
            *taken = Taken { given: last - size, last, size };
        }
        taken.given += 1;
        Ok(taken.given)
    }
}
