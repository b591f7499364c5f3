//! Positions in the spool as the store keeps them.

use spool::Position;
use store::sql::unsigned;

/// Returns the positions in the rows of the table `ingested`: up to each, a partition of the spool is stored.
pub(super) fn positions_of(rows: Vec<(i64, i64, i64)>) -> Vec<Position> {
    let number = |stored| u32::try_from(unsigned(stored)).unwrap_or(u32::MAX);
    let position = |(lane, segment, offset)| Position {
        partition: number(lane),
        segment: number(segment),
        offset: number(offset),
    };
    rows.into_iter().map(position).collect()
}
