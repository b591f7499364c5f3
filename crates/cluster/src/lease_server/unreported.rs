//! Leases of earlier incarnations of a node whose spent amount was never reported.

use std::time::Duration;

use access::Amount;
use meter::lease::{CounterId, LeaseClose, Tick, TickReply};
use store::columns::budget_period::BudgetPeriodRow;
use store::limits::charges::by_node;
use store::sql::{amount, signed, statements, unsigned};
use store::{BacklogError, Node};

use crate::handle::Cluster;
use crate::lease_server::LeaseError;

/// Maximum number of leases that one transaction closes.
pub(crate) const CLOSED_MAX: usize = 256;

statements! {
    UNTOLD = "SELECT b.scope, b.scope_no, b.scope_id, b.measure, b.per, b.first_day, l.incarnation, l.spent, l.base,
            (SELECT n.base FROM leases n WHERE n.book_id = l.book_id AND n.node_id = l.node_id
                AND n.incarnation > l.incarnation ORDER BY n.incarnation LIMIT 1) AS next_base
        FROM leases l JOIN lease_books b ON b.id = l.book_id
        WHERE l.node_id = $1 AND NOT l.told AND l.incarnation < $2 ORDER BY l.incarnation, l.book_id LIMIT $3";
}

/// A lease of an earlier incarnation, and the amount that was spent of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnreportedLease {
    /// Budget and period of the lease.
    pub cell: CounterId,
    /// Incarnation of the node that had the lease.
    pub incarnation: u64,
    /// Amount that was charged through the node during the lease.
    pub spent: Amount,
}

#[derive(sqlx_macros::FromRow)]
struct UnreportedLeaseRow {
    #[sqlx(flatten)]
    cell: BudgetPeriodRow,
    incarnation: i64,
    spent: i64,
    base: i64,
    next_base: Option<i64>,
}

impl Cluster {
    /// Returns the oldest 256 leases of a node's earlier incarnations, each with its spent amount. All records that
    /// those incarnations spooled are in the store or in the backlog.
    ///
    /// # Errors
    /// [`BacklogError`].
    pub async fn unreported_leases(&self, node: &Node) -> Result<Vec<UnreportedLease>, BacklogError> {
        let mut transaction = self.store.begin_read().await?;
        // Locked before the first query: the snapshot does not see records that are stored later.
        let waiting = node.backlog().waiting().await?;
        let query = transaction.query(UNTOLD).bind(node.id()).bind(signed(node.incarnation()));
        let query = query.bind(i64::try_from(CLOSED_MAX).unwrap_or(i64::MAX));
        let mut leases = Vec::new();
        for row in query.all::<UnreportedLeaseRow>().await? {
            leases.push((row.cell.cell()?, row));
        }
        let cells: Vec<CounterId> = leases.iter().map(|(cell, _)| *cell).collect();
        let charged = by_node::with(&mut transaction, &cells, node.lessee(), &waiting).await?;
        drop(waiting);
        transaction.rollback().await?;
        let unreported = leases.into_iter().map(|(cell, row)| {
            let until = row.next_base.map_or_else(|| charged.through(cell, node.lessee()), amount);
            let spent = until.saturating_sub(amount(row.base)).max(amount(row.spent));
            UnreportedLease { cell, incarnation: unsigned(row.incarnation), spent }
        });
        Ok(unreported.collect())
    }

    /// Closes those leases, so that their unspent amounts become available again.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub async fn close_unreported_leases(&self, node: &Node, ttl: Duration) -> Result<(), LeaseError> {
        loop {
            let unreported = self.unreported_leases(node).await?;
            let close = |lease: &UnreportedLease| LeaseClose {
                counter: lease.cell,
                incarnation: lease.incarnation,
                spent: lease.spent,
            };
            let closes = unreported.iter().map(close).collect();
            let tick = Tick { node: node.lessee(), incarnation: node.incarnation(), requests: Vec::new(), closes };
            let answer = self.lend(node, &tick, ttl).await?;
            if unreported.len() < CLOSED_MAX || answer == TickReply::Fenced {
                return Ok(());
            }
        }
    }
}
