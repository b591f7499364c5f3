//! The withdrawal of password links.

use access::UserId;

use crate::error::DatabaseError;
use crate::sql::{Transaction, statements};

statements! {
    TAKE_BACK_OF = "UPDATE links SET expires_at = $2, updated_at = $2 WHERE user_id = $1 AND used_at IS NULL AND
        expires_at > $2";
}

/// Withdraws a user's password links, within a transaction that has locked the user's row. Returns their number.
pub(crate) async fn take_back_of(transaction: &mut Transaction, user: UserId, now: i64) -> Result<u64, DatabaseError> {
    transaction.query(TAKE_BACK_OF).bind(user.0).bind(now).run().await
}
