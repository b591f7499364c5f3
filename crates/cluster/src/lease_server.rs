//! The lease server: grants parts of budgets to nodes. It runs `meter::lease::LeaseServer` on rows, one transaction per
//! tick.
//!
//! The state machine in `meter` contains the rules. This module reads and locks its budget accounts, in the order of
//! their ids, and writes its changes back. It adds two amounts that the machine does not know: the amount charged
//! before a budget account began (`carried`), and the amount charged through a node before a lease began (`base`). Both
//! come from the daily totals and from the node's backlog.

mod accounts;
mod open_windows;
pub mod reclaim;
pub mod unreported;

use std::collections::BTreeMap;
use std::time::Duration;

use access::Timestamp;
use meter::lease::{CounterId, LeaseServer, NodeId, Recall, Tick, TickReply};
use store::columns::budget_period::{BudgetPeriodRow, book_id};
use store::nodes::backlog::Backlog;
use store::sql::{Transaction, micros, signed, statements, timestamp, unsigned};
use store::{BacklogError, DatabaseError, Node, Store};
use thiserror::Error;
use uuid::Uuid;

use crate::handle::Cluster;

pub(crate) use accounts::LockedAccounts;
#[cfg(test)]
pub(crate) use accounts::texts;
#[cfg(test)]
pub(crate) use open_windows::STATEMENTS as WINDOWS;

/// A node is considered alive if its last tick is at most this many lease TTLs ago.
const LIVES: u32 = 2;

statements! {
    INCARNATION = "SELECT incarnation FROM nodes WHERE id = $1";
    HEAR = "INSERT INTO lease_holders (id, heard_at, created_at, updated_at) VALUES ($1, $2, $2, $2)
        ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at, updated_at = excluded.updated_at";
    HEARD = "SELECT id, heard_at FROM lease_holders WHERE heard_at >= $1";
    RECALLED = "SELECT b.scope, b.scope_no, b.scope_id, b.measure, b.per, b.first_day, l.recalled
        FROM leases l JOIN lease_books b ON b.id = l.book_id
        WHERE l.node_id = $1 AND l.incarnation = $2 AND l.recalled > l.ceded AND NOT l.told";
}

/// The error of a transaction on budget accounts.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// It is unknown what the node's backlog contains.
    #[error(transparent)]
    Backlog(#[from] BacklogError),
    /// Another process wrote the same rows at the same time; nothing was written.
    #[error("two processes write to {table} at the same time")]
    Contended {
        /// Name of the table.
        table: &'static str,
    },
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

#[derive(sqlx_macros::FromRow)]
struct RecalledRow {
    #[sqlx(flatten)]
    cell: BudgetPeriodRow,
    recalled: i64,
}

impl Cluster {
    /// Applies a tick of a node, and returns the response; grants are valid for `ttl`. Each ask contains its
    /// budget's limit. After an error the tick may have been applied nevertheless; the node's next tick reports the
    /// current state.
    ///
    /// # Errors
    /// [`LeaseError`].
    pub async fn lend(&self, node: &Node, tick: &Tick, ttl: Duration) -> Result<TickReply, LeaseError> {
        self.lend_beside(tick, ttl, None, node.backlog()).await
    }

    /// Applies a tick of a node with its `backlog`. `at` is the lease server's time; `None` is the database's clock.
    async fn lend_beside(
        &self,
        tick: &Tick,
        ttl: Duration,
        at: Option<Timestamp>,
        backlog: &Backlog,
    ) -> Result<TickReply, LeaseError> {
        let node = Uuid::from_u128(tick.node.0);
        let moved = open_windows::open(&self.store, tick).await?;
        let tick = &*open_windows::without(tick, &moved);
        let (mut transaction, mut kept) = LockedAccounts::open(&self.store, cells(tick), tick.node, backlog).await?;
        let latest = transaction.query(INCARNATION).bind(node).find::<(i64,)>().await?;
        if latest.is_some_and(|(latest,)| tick.incarnation < unsigned(latest)) {
            transaction.rollback().await?;
            return Ok(TickReply::Fenced);
        }
        // Read after the locks: the time may have advanced while the transaction waited for them.
        let at = match at {
            Some(at) => at,
            None => now(&self.store, &mut transaction).await?,
        };
        let mut server = LeaseServer::new(ttl);
        for (of, heard_at) in live(&mut transaction, ttl, at).await? {
            server.record_node(of, 0, heard_at);
        }
        server.record_node(tick.node, tick.incarnation, at);
        for (cell, book) in kept.books() {
            server.import(*cell, book.clone());
        }
        for ask in &tick.requests {
            server.set_limit(ask.counter.budget, Some(ask.limit));
        }
        let mut answer = server.take(tick, at);
        kept.write(&self.store, &mut transaction, &server, tick).await?;
        transaction.query(HEAR).bind(node).bind(micros(at)).run().await?;
        if let TickReply::Accepted(heard) = &mut answer {
            let others = recalls(&mut transaction, tick).await?;
            heard.recalls.extend(others.into_iter().filter(|recall| !kept.has(recall.counter)));
            heard.moved = moved;
        }
        transaction.commit().await?;
        Ok(answer)
    }
}

/// Returns every budget and period in a tick with the id of its budget account, in the order in which accounts are
/// locked.
fn cells(tick: &Tick) -> BTreeMap<Uuid, CounterId> {
    let named = tick.requests.iter().map(|ask| ask.counter).chain(tick.closes.iter().map(|close| close.counter));
    named.map(|cell| (book_id(cell), cell)).collect()
}

/// Returns the recalls of the node's leases.
async fn recalls(transaction: &mut Transaction, tick: &Tick) -> Result<Vec<Recall>, DatabaseError> {
    let query = transaction.query(RECALLED).bind(Uuid::from_u128(tick.node.0)).bind(signed(tick.incarnation));
    let rows: Vec<RecalledRow> = query.all().await?;
    rows.into_iter().map(|row| Ok(Recall { counter: row.cell.cell()?, no: unsigned(row.recalled) })).collect()
}

/// Returns the nodes that are considered alive.
async fn live(
    transaction: &mut Transaction,
    ttl: Duration,
    at: Timestamp,
) -> Result<Vec<(NodeId, Timestamp)>, DatabaseError> {
    let since = at.before(ttl.saturating_mul(LIVES));
    let rows: Vec<(Uuid, i64)> = transaction.query(HEARD).bind(micros(since)).all().await?;
    Ok(rows.into_iter().map(|(node, heard_at)| (NodeId(node.as_u128()), timestamp(heard_at))).collect())
}

/// Returns the time of the database's clock; for SQLite, the time of this node's clock.
pub(crate) async fn now(store: &Store, transaction: &mut Transaction) -> Result<Timestamp, DatabaseError> {
    match transaction.kind().now() {
        Some(question) => Ok(timestamp(transaction.query(question).one::<(i64,)>().await?.0)),
        None => Ok(store.clock().now()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
