//! Lists leases for operators, and reclaims leases from nodes that do not respond.

use std::collections::BTreeMap;
use std::time::Duration;

use access::{Amount, Timestamp};
use meter::lease::{CounterId, LeaseId, LeaseServer, NodeId, Tick};
use serde_json::json;
use store::DatabaseError;
use store::audit::{Act, Actor, AuditAction};
use store::columns::budget_period::{BudgetPeriodRow, book_id};
use store::nodes::backlog::Backlog;
use store::sql::{amount, micros, statements, timestamp, unsigned};
use uuid::Uuid;

use super::accounts::LockedAccounts;
use super::{LeaseError, live, now};
use crate::handle::Cluster;

/// A lease is unusable after its node was silent for this time, whatever TTL nodes use; the TTL is at most this.
pub const SILENT: Duration = Duration::from_secs(60);

statements! {
    OPEN = "SELECT b.scope, b.scope_no, b.scope_id, b.measure, b.per, b.first_day, l.node_id, l.incarnation, l.granted,
            l.used, l.spent, l.heard_at
        FROM leases l JOIN lease_books b ON b.id = l.book_id WHERE NOT l.told AND b.ends_at > $1
        ORDER BY l.node_id, l.incarnation, b.scope, b.scope_no, b.scope_id, b.measure, b.per, b.first_day";
}

/// An open lease of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLease {
    /// Budget and period of the lease.
    pub cell: CounterId,
    /// Node that has the lease.
    pub node: Uuid,
    /// Incarnation of the node.
    pub incarnation: u64,
    /// Total amount that was granted for the lease.
    pub granted: Amount,
    /// Reserved and spent amount, as of the last tick.
    pub used: Amount,
    /// Spent amount, as of the last tick.
    pub spent: Amount,
    /// Time of the node's last tick for the lease.
    pub heard_at: Timestamp,
    /// Whether the node has been silent for long and the lease has an unspent amount.
    pub unusable: bool,
}

#[derive(sqlx_macros::FromRow)]
struct OpenLeaseRow {
    #[sqlx(flatten)]
    cell: BudgetPeriodRow,
    node_id: Uuid,
    incarnation: i64,
    granted: i64,
    used: i64,
    spent: i64,
    heard_at: i64,
}

impl OpenLeaseRow {
    fn lease(&self, at: Timestamp) -> Result<OpenLease, DatabaseError> {
        let granted = amount(self.granted);
        let spent = amount(self.spent);
        let heard_at = timestamp(self.heard_at);
        Ok(OpenLease {
            cell: self.cell.cell()?,
            node: self.node_id,
            incarnation: unsigned(self.incarnation),
            granted,
            used: amount(self.used),
            spent,
            heard_at,
            unusable: granted > spent && heard_at.after(SILENT) < at,
        })
    }
}

impl Cluster {
    /// Returns the open leases of periods that are not over.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn open_leases(&self) -> Result<Vec<OpenLease>, DatabaseError> {
        let mut transaction = self.store.begin_read().await?;
        let at = now(&self.store, &mut transaction).await?;
        let rows: Vec<OpenLeaseRow> = transaction.query(OPEN).bind(micros(at)).all().await?;
        transaction.rollback().await?;
        rows.iter().map(|row| row.lease(at)).collect()
    }

    /// Returns the open leases of nodes that do not respond.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn unusable_leases(&self) -> Result<Vec<OpenLease>, DatabaseError> {
        let open = self.open_leases().await?;
        Ok(open.into_iter().filter(|lease| lease.unusable).collect())
    }

    /// Returns the number of nodes that are alive to the lease server; each lease is a share for this many nodes.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn lessees(&self, ttl: Duration) -> Result<u64, DatabaseError> {
        let mut transaction = self.store.begin_read().await?;
        let at = now(&self.store, &mut transaction).await?;
        let lessees = live(&mut transaction, ttl, at).await?;
        transaction.rollback().await?;
        Ok(u64::try_from(lessees.len()).unwrap_or(u64::MAX))
    }

    /// Reclaims the unspent amounts of unusable leases, of one node or of all. Returns each lease with its reclaimed
    /// amount. If a node returns nevertheless, its reported usage counts, and may exceed the limit.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn reclaim_leases(&self, by: &Actor, of: Option<Uuid>) -> Result<Vec<(OpenLease, Amount)>, LeaseError> {
        let mut reclaimed = Vec::new();
        for lease in self.unusable_leases().await? {
            if of.is_none_or(|of| of == lease.node) {
                let unspent = self.reclaim(by, &lease).await?;
                reclaimed.extend(unspent.map(|unspent| (lease, unspent)));
            }
        }
        Ok(reclaimed)
    }

    async fn reclaim(&self, by: &Actor, lease: &OpenLease) -> Result<Option<Amount>, LeaseError> {
        let ids = BTreeMap::from([(book_id(lease.cell), lease.cell)]);
        // No lease begins in this transaction.
        let node = NodeId(lease.node.as_u128());
        let backlog = Backlog::default();
        let (mut transaction, mut kept) = LockedAccounts::open(&self.store, ids, node, &backlog).await?;
        let at = now(&self.store, &mut transaction).await?;
        let mut server = LeaseServer::new(SILENT);
        for (cell, book) in kept.books() {
            server.import(*cell, book.clone());
        }
        let Some(unspent) = server.reclaim(LeaseId { counter: lease.cell, node, incarnation: lease.incarnation }, at)
        else {
            transaction.rollback().await?;
            return Ok(None);
        };
        let nothing = Tick { node, incarnation: lease.incarnation, requests: Vec::new(), closes: Vec::new() };
        kept.write(&self.store, &mut transaction, &server, &nothing).await?;
        let detail = json!({"incarnation": lease.incarnation, "reclaimed": unspent, "spent": lease.spent});
        self.store
            .note(&mut transaction, by, Act::new(AuditAction::LeaseReclaim, lease.node, None).with(detail))
            .await?;
        transaction.commit().await?;
        Ok(Some(unspent))
    }
}
