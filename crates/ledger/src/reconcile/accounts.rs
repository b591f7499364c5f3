//! Comparison of leases with their limits and the totals: leased amounts never exceed a budget account's limit, and the
//! amount that a lease reports as spent was charged.

use std::collections::BTreeMap;

use access::Amount;
use meter::Measure;
use meter::lease::{CounterId, NodeId};
use store::DatabaseError;
use store::columns::budget_period::BudgetPeriodRow;
use store::limits::charges::by_node::{self, ChargedAmounts};
use store::sql::{Transaction, micros, statements, timestamp, unsigned};
use uuid::Uuid;

use super::{Days, Difference, DifferencePlace, Reconciliation, UnleasedUsage};
use std::time::Duration;

/// Maximum number of budget accounts in memory at once.
const PAGE: usize = 256;
/// Maximum delay until the spent amount of a closed lease is in the spool, while its node runs.
const SPOOLED_WITHIN: Duration = Duration::from_secs(60);

statements! {
    BOOKS = "SELECT scope, scope_no, scope_id, measure, per, first_day, id, carried, most FROM lease_books
        WHERE ends_at > $1 AND first_day <= $2 AND id > $3 ORDER BY id LIMIT $4";
    LEASES = "SELECT l.book_id, l.node_id, l.incarnation, l.granted, l.used, l.spent, l.closed, l.told, l.base, l.updated_at,
            n.left_at IS NOT NULL AS has_left, n.ingested_until
        FROM leases l JOIN lease_books b ON b.id = l.book_id LEFT JOIN nodes n ON n.id = l.node_id
        WHERE b.ends_at > $1 AND b.first_day <= $2 AND b.id >= $3 AND b.id <= $4
        ORDER BY l.book_id, l.node_id, l.incarnation";
}

#[derive(sqlx_macros::FromRow)]
struct AuditedAccountRow {
    #[sqlx(flatten)]
    cell: BudgetPeriodRow,
    id: Uuid,
    carried: Option<i64>,
    most: i64,
}

#[derive(sqlx_macros::FromRow)]
struct AuditedLeaseRow {
    book_id: Uuid,
    node_id: Uuid,
    incarnation: i64,
    granted: i64,
    used: i64,
    spent: i64,
    closed: bool,
    told: bool,
    base: i64,
    updated_at: i64,
    has_left: bool,
    ingested_until: Option<i64>,
}

/// Compares every budget account whose period overlaps `days`.
pub(super) async fn compare(tx: &mut Transaction, days: Days, found: &mut Reconciliation) -> Result<(), DatabaseError> {
    let mut after = Uuid::nil();
    loop {
        let from = micros(days.first.start());
        let until = i64::from(days.last.0);
        let query = tx.query(BOOKS).bind(from).bind(until);
        let books: Vec<AuditedAccountRow> =
            query.bind(after).bind(i64::try_from(PAGE).unwrap_or(i64::MAX)).all().await?;
        let [Some(first), Some(last)] = [books.first(), books.last()].map(|book| book.map(|book| book.id)) else {
            return Ok(());
        };
        after = last;
        let mut leases: BTreeMap<Uuid, Vec<AuditedLeaseRow>> = BTreeMap::new();
        for lease in tx.query(LEASES).bind(from).bind(until).bind(first).bind(last).all::<AuditedLeaseRow>().await? {
            leases.entry(lease.book_id).or_default().push(lease);
        }
        let cells: Vec<CounterId> = books.iter().map(|book| book.cell.cell()).collect::<Result<_, _>>()?;
        let charged = by_node::in_store(tx, &cells).await?;
        for (book, cell) in books.iter().zip(cells) {
            let leases = leases.remove(&book.id).unwrap_or_default();
            found.tell(AuditedAccount { cell, row: book, leases: &leases }.differences(&charged));
            let unleased = unleased(cell, &leases, &charged);
            if !unleased.amount.is_zero() && found.unleased.len() < super::DIFFERENCES_MAX {
                found.unleased.push(unleased);
            }
        }
        if books.len() < PAGE {
            return Ok(());
        }
    }
}

struct AuditedAccount<'a> {
    cell: CounterId,
    row: &'a AuditedAccountRow,
    leases: &'a [AuditedLeaseRow],
}

impl AuditedAccount<'_> {
    fn differences(&self, charged: &ChargedAmounts) -> Vec<Difference> {
        let mut differences: Vec<Difference> = self.lent_beyond().into_iter().collect();
        let mut are_over = !self.leases.is_empty();
        for (nth, lease) in self.leases.iter().enumerate() {
            let next = self.leases.get(nth + 1).filter(|next| next.node_id == lease.node_id);
            differences.extend(self.of_lease(lease, next, charged));
            are_over &= is_over(lease, next);
        }
        if differences.is_empty() && are_over {
            differences.extend(self.carried_beyond(charged));
        }
        differences
    }

    /// Checks that the amount charged before the first lease, plus the amount that all leases have spent since, is at
    /// most the total charge.
    fn carried_beyond(&self, charged: &ChargedAmounts) -> Option<Difference> {
        let spent = i128::from(self.row.carried.unwrap_or(0)) + self.spent();
        let charged = i128::from(charged.all(self.cell).0);
        (spent > charged).then(|| Difference {
            place: DifferencePlace::BudgetAccount(self.cell),
            measure: self.cell.budget.measure.as_str(),
            expected: ("charged in totals", charged),
            found: ("carried and spent", spent),
        })
    }

    fn spent(&self) -> i128 {
        self.leases.iter().map(|lease| i128::from(lease.spent)).sum()
    }

    /// Checks, while unspent leases exist, that their amounts and all spent amounts are together at most the largest
    /// limit under which a lease was granted. (Usage beyond a request's reservation is spent, and may exceed the
    /// limit.)
    fn lent_beyond(&self) -> Option<Difference> {
        let spent = i128::from(self.row.carried.unwrap_or(0)) + self.spent();
        let open = self.leases.iter().filter(|lease| !lease.closed);
        let lent: i128 = open.map(|lease| i128::from(lease.granted.saturating_sub(lease.spent).max(0))).sum();
        let limit = i128::from(self.row.most);
        // The credits of a request are known in advance. Its tokens and money may exceed the reservation.
        let beyond = match self.cell.budget.measure {
            Measure::Credits => spent + lent,
            Measure::Tokens | Measure::Money => lent,
        };
        (lent > 0 && beyond > limit).then(|| Difference {
            place: DifferencePlace::BudgetAccount(self.cell),
            measure: self.cell.budget.measure.as_str(),
            expected: ("at most the limit", limit),
            found: ("spent and lent", spent + lent),
        })
    }

    fn of_lease(
        &self,
        lease: &AuditedLeaseRow,
        next: Option<&AuditedLeaseRow>,
        charged: &ChargedAmounts,
    ) -> Option<Difference> {
        let cell = self.cell;
        let measure = self.cell.budget.measure.as_str();
        let place = DifferencePlace::Lease { cell, node: lease.node_id, incarnation: unsigned(lease.incarnation) };
        let tell = |expected, found| Difference { place: place.clone(), measure, expected, found };
        let [granted, used, spent] = [lease.granted, lease.used, lease.spent].map(i128::from);
        if !lease.closed {
            if spent > used {
                return Some(tell(("at most used", used), ("spent", spent)));
            }
            return (used > granted).then(|| tell(("at most granted", granted), ("used", used)));
        }
        let until = next.map_or_else(|| charged_through(charged, cell, lease), |next| i128::from(next.base));
        let charged = until - i128::from(lease.base);
        (is_over(lease, next) && spent > charged).then(|| tell(("charged in totals", charged), ("spent", spent)))
    }
}

/// Whether the whole spent amount of a lease is known and in the totals; `next` is the same node's next lease.
fn is_over(lease: &AuditedLeaseRow, next: Option<&AuditedLeaseRow>) -> bool {
    let spooled_at = timestamp(lease.updated_at).after(if lease.has_left { Duration::ZERO } else { SPOOLED_WITHIN });
    let is_ingested = next.is_some() || lease.ingested_until.is_some_and(|until| spooled_at < timestamp(until));
    lease.closed && lease.told && is_ingested
}

fn charged_through(charged: &ChargedAmounts, cell: CounterId, lease: &AuditedLeaseRow) -> i128 {
    i128::from(charged.through(cell, NodeId(lease.node_id.as_u128())).0)
}

/// Returns the amount that was charged through nodes while their leases were open, minus the amounts that those leases
/// spent; only if all leases are closed.
fn unleased(cell: CounterId, leases: &[AuditedLeaseRow], charged: &ChargedAmounts) -> UnleasedUsage {
    let mut amount = 0;
    if leases.iter().all(|lease| lease.closed && lease.told) {
        for of_node in leases.chunk_by(|a, b| a.node_id == b.node_id) {
            let Some(first) = of_node.first() else {
                continue;
            };
            let spent = of_node.iter().map(|lease| i128::from(lease.spent)).sum::<i128>();
            amount += (charged_through(charged, cell, first) - i128::from(first.base) - spent).max(0);
        }
    }
    UnleasedUsage { cell, amount: u64::try_from(amount).map_or(Amount::MAX, Amount) }
}
