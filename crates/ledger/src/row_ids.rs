//! The times that the ids of rows contain (UUIDv7).

use access::Timestamp;
use uuid::Uuid;

/// Returns a lower bound of all ids that are created from this time on (RFC 9562, 5.7: milliseconds in the first 48
/// bits).
pub(crate) fn first_id(moment: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(moment.unix_millis()) << 80)
}

/// Returns the time at which the row with this id was created; `None` if the id does not contain it.
pub(crate) fn made_at(id: Uuid) -> Option<Timestamp> {
    let millis = u64::try_from(id.as_u128() >> 80).unwrap_or(u64::MAX);
    (id.get_version_num() == 7).then(|| Timestamp(millis.saturating_mul(1_000)))
}
