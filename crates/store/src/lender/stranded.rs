//! What is lent, for people; and what they take from nodes that do not answer.

use std::collections::BTreeMap;
use std::time::Duration;

use access::Timestamp;
use meter::lease::{CounterId, LeaseId, LeaseServer, NodeId, Tick};
use serde_json::json;
use uuid::Uuid;

use super::books::Kept;
use super::rows::{CellRow, book_id};
use super::{live, now};
use crate::audit::{Act, Action, Actor};
use crate::error::StoreError;
use crate::ingest::Backlog;
use crate::statement::{micros, statements, timestamp, unsigned};
use crate::store::Store;

/// A lease whose holder was silent for so long is stranded, however long nodes say that leases live: that is at most this.
pub const SILENT: Duration = Duration::from_secs(60);

statements! {
    OPEN = "SELECT b.subject, b.subject_no, b.plan_id, b.measure, b.per, b.first_day, l.node_id, l.incarnation, l.granted,
            l.used, l.spent, l.heard_at
        FROM leases l JOIN lease_books b ON b.id = l.book_id WHERE NOT l.told AND b.ends_at > $1
        ORDER BY l.node_id, l.incarnation, b.subject, b.subject_no, b.plan_id, b.measure, b.per, b.first_day";
}

/// A lease that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenLease {
    /// Of what.
    pub cell: CounterId,
    /// To whom.
    pub node: Uuid,
    /// To which incarnation.
    pub incarnation: u64,
    /// All that is granted of it.
    pub granted: u64,
    /// Reserved and spent, as last heard.
    pub used: u64,
    /// Spent, as last heard.
    pub spent: u64,
    /// When its holder was heard last.
    pub heard_at: Timestamp,
    /// Whether its holder is silent for long, and something is left of it.
    pub stranded: bool,
}

#[derive(sqlx::FromRow)]
struct Row {
    #[sqlx(flatten)]
    cell: CellRow,
    node_id: Uuid,
    incarnation: i64,
    granted: i64,
    used: i64,
    spent: i64,
    heard_at: i64,
}

impl Row {
    fn lease(&self, at: Timestamp) -> Result<OpenLease, StoreError> {
        let (granted, spent) = (unsigned(self.granted), unsigned(self.spent));
        let heard_at = timestamp(self.heard_at);
        Ok(OpenLease {
            cell: self.cell.cell()?,
            node: self.node_id,
            incarnation: unsigned(self.incarnation),
            granted,
            used: unsigned(self.used),
            spent,
            heard_at,
            stranded: granted > spent && heard_at.after(SILENT) < at,
        })
    }
}

impl Store {
    /// What is lent of periods that are not over.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn open_leases(&self) -> Result<Vec<OpenLease>, StoreError> {
        let mut transaction = self.snapshot().await?;
        let at = now(self, &mut transaction).await?;
        let rows: Vec<Row> = transaction.query(OPEN).bind(micros(at)).all().await?;
        transaction.rollback().await?;
        rows.iter().map(|row| row.lease(at)).collect()
    }

    /// How many nodes live as far as lending is concerned: each lease is a share for so many.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn lessees(&self, ttl: Duration) -> Result<u64, StoreError> {
        let mut transaction = self.snapshot().await?;
        let at = now(self, &mut transaction).await?;
        let lessees = live(&mut transaction, ttl, at).await?;
        transaction.rollback().await?;
        Ok(u64::try_from(lessees.len()).unwrap_or(u64::MAX))
    }

    /// Takes what is not spent of stranded leases, of one node or of all; answers each with how much that was. A node that
    /// comes back after all says what it has spent meanwhile, and that counts: it may be more than the limit.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn reclaim_leases(&self, by: &Actor, of: Option<Uuid>) -> Result<Vec<(OpenLease, u64)>, StoreError> {
        let mut reclaimed = Vec::new();
        for lease in self.open_leases().await? {
            if lease.stranded && of.is_none_or(|of| of == lease.node) {
                let unspent = self.reclaim(by, &lease).await?;
                reclaimed.extend(unspent.map(|unspent| (lease, unspent)));
            }
        }
        Ok(reclaimed)
    }

    async fn reclaim(&self, by: &Actor, lease: &OpenLease) -> Result<Option<u64>, StoreError> {
        let ids = BTreeMap::from([(book_id(lease.cell), lease.cell)]);
        // Nothing begins here.
        let (node, backlog) = (NodeId(lease.node.as_u128()), Backlog::default());
        let (mut transaction, mut kept) = Kept::open(self, ids, (node, &backlog)).await?;
        let at = now(self, &mut transaction).await?;
        let mut lender = LeaseServer::new(SILENT);
        for (cell, book) in kept.books() {
            lender.import(*cell, book.clone());
        }
        let Some(unspent) = lender.reclaim(LeaseId { counter: lease.cell, node, incarnation: lease.incarnation }, at)
        else {
            transaction.rollback().await?;
            return Ok(None);
        };
        let nothing = Tick { node, incarnation: lease.incarnation, requests: Vec::new(), closes: Vec::new() };
        kept.write(self, &mut transaction, (&lender, &nothing)).await?;
        let detail = json!({"incarnation": lease.incarnation, "reclaimed": unspent, "spent": lease.spent});
        self.note(&mut transaction, by, Act::of(Action::LeaseReclaim, lease.node, None).with(detail)).await?;
        transaction.commit().await?;
        Ok(Some(unspent))
    }
}
