//! Invoices of a month, for exports.

use access::Timestamp;
use store::sql::{micros, statements};
use store::{DatabaseError, Store};
use uuid::Uuid;

statements! {
    ISSUED = "SELECT i.id, u.name FROM invoices i JOIN users u ON u.id = i.user_id WHERE i.issued_at >= $1 AND i.issued_at < $2
        AND i.state <> 'void' AND i.id > $3 ORDER BY i.id LIMIT $4";
}

/// Returns the invoices that were opened between two times and are not void, with the name of the user, in the order of
/// their ids.
///
/// # Errors
/// Database errors of any kind.
pub async fn issued(
    store: &Store,
    between: (Timestamp, Timestamp),
    after: Uuid,
    limit: u32,
) -> Result<Vec<(Uuid, String)>, DatabaseError> {
    let query = store.query(ISSUED).bind(micros(between.0)).bind(micros(between.1));
    query.bind(after).bind(i64::from(limit)).all().await
}
