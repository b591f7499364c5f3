//! Lends budgets to nodes: `meter::lease::LeaseServer` over rows, a tick a transaction.
//!
//! The rules are the machine's. Here its books are read and locked, in the order of their ids, and what it changed is
//! written back. What it does not know: what was charged of a budget before its book began (`carried`), and through a node
//! before a lease began (`base`), both from the daily totals and from what waits in the node's spool for them.

mod books;
pub(crate) mod charged;
pub(crate) mod rows;
pub mod stranded;
pub mod untold;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use access::Timestamp;
use meter::lease::server::BudgetAccount;
use meter::lease::{CounterId, LeaseServer, NodeId, Recall, Tick, TickReply};
use uuid::Uuid;

use crate::dialect::Transaction;
use crate::error::StoreError;
use crate::ingest::Backlog;
use crate::node::Node;
use crate::statement::{micros, signed, statements, timestamp, unsigned};
use crate::store::Store;

pub(crate) use books::Kept;
#[cfg(test)]
pub(crate) use books::texts;
use rows::{CellRow, book_id};

/// A node was heard within so many lives of a lease, or is not counted as living.
const LIVES: u32 = 2;

statements! {
    INCARNATION = "SELECT incarnation FROM nodes WHERE id = $1";
    HEAR = "INSERT INTO lease_holders (id, heard_at, created_at, updated_at) VALUES ($1, $2, $2, $2)
        ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at, updated_at = excluded.updated_at";
    HEARD = "SELECT id, heard_at FROM lease_holders WHERE heard_at >= $1";
    RECALLED = "SELECT b.subject, b.subject_no, b.plan_id, b.measure, b.per, b.first_day, l.recalled
        FROM leases l JOIN lease_books b ON b.id = l.book_id
        WHERE l.node_id = $1 AND l.incarnation = $2 AND l.recalled > l.ceded AND NOT l.told";
}

#[derive(sqlx::FromRow)]
struct RecalledRow {
    #[sqlx(flatten)]
    cell: CellRow,
    recalled: i64,
}

impl Node {
    /// Takes a tick of this node's, and answers it; grants hold for `ttl`. Each ask brings its budget's limit. On an error it may
    /// be taken all the same: the holder's next tick says how things stand.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn lend(&self, tick: &Tick, ttl: Duration) -> Result<TickReply, StoreError> {
        self.store().lend_beside(tick, (ttl, None), self.backlog()).await
    }
}

impl Store {
    /// Takes a tick of a node of which `backlog` waits. `at` is the lender's clock; `None` is the database's.
    async fn lend_beside(
        &self,
        tick: &Tick,
        (ttl, at): (Duration, Option<Timestamp>),
        backlog: &Backlog,
    ) -> Result<TickReply, StoreError> {
        let node = Uuid::from_u128(tick.node.0);
        let (mut transaction, mut kept) = Kept::open(self, cells(tick), (tick.node, backlog)).await?;
        let latest = transaction.query(INCARNATION).bind(node).find::<(i64,)>().await?;
        if latest.is_some_and(|(latest,)| tick.incarnation < unsigned(latest)) {
            transaction.rollback().await?;
            return Ok(TickReply::Fenced);
        }
        // After the locks: whoever waited for them learns how late it is by now.
        let at = match at {
            Some(at) => at,
            None => now(self, &mut transaction).await?,
        };
        let mut lender = LeaseServer::new(ttl);
        for (of, heard_at) in live(&mut transaction, ttl, at).await? {
            lender.record_node(of, 0, heard_at);
        }
        lender.record_node(tick.node, tick.incarnation, at);
        for (cell, book) in kept.books() {
            lender.import(*cell, book.clone());
        }
        for ask in &tick.requests {
            lender.set_limit(ask.counter.budget, Some(ask.limit));
        }
        let mut answer = lender.take(tick, at);
        kept.write(self, &mut transaction, (&lender, tick)).await?;
        transaction.query(HEAR).bind(node).bind(micros(at)).run().await?;
        if let TickReply::Accepted(heard) = &mut answer {
            let others = recalls(&mut transaction, tick).await?;
            heard.recalls.extend(others.into_iter().filter(|recall| !kept.has(recall.counter)));
        }
        transaction.commit().await?;
        Ok(answer)
    }
}

/// Every cell that a tick speaks of, with its book's id, in the order in which books are locked.
fn cells(tick: &Tick) -> BTreeMap<Uuid, CounterId> {
    let named = tick.requests.iter().map(|ask| ask.counter).chain(tick.closes.iter().map(|close| close.counter));
    named.map(|cell| (book_id(cell), cell)).collect()
}

/// What is recalled of the holder's leases.
async fn recalls(transaction: &mut Transaction, tick: &Tick) -> Result<Vec<Recall>, StoreError> {
    let query = transaction.query(RECALLED).bind(Uuid::from_u128(tick.node.0)).bind(signed(tick.incarnation));
    let rows: Vec<RecalledRow> = query.all().await?;
    rows.into_iter().map(|row| Ok(Recall { counter: row.cell.cell()?, no: unsigned(row.recalled) })).collect()
}

/// The nodes that were heard lately.
async fn live(
    transaction: &mut Transaction,
    ttl: Duration,
    at: Timestamp,
) -> Result<Vec<(NodeId, Timestamp)>, StoreError> {
    let since = at.before(ttl.saturating_mul(LIVES));
    let rows: Vec<(Uuid, i64)> = transaction.query(HEARD).bind(micros(since)).all().await?;
    Ok(rows.into_iter().map(|(node, heard_at)| (NodeId(node.as_u128()), timestamp(heard_at))).collect())
}

/// The database's clock.
pub(crate) async fn now(store: &Store, transaction: &mut Transaction) -> Result<Timestamp, StoreError> {
    match transaction.kind().now() {
        Some(question) => Ok(timestamp(transaction.query(question).one::<(i64,)>().await?.0)),
        None => Ok(store.clock().now()),
    }
}

/// The ask whose cell is `cell` began a lease that the book does not know.
fn begins(book: &BudgetAccount, of: (NodeId, u64)) -> bool {
    !book.leases.contains_key(&of)
}

/// The cells of a tick whose leases begin with it.
fn beginning<'a>(
    tick: &'a Tick,
    books: &'a BTreeMap<CounterId, BudgetAccount>,
) -> impl Iterator<Item = CounterId> + 'a {
    let of = (tick.node, tick.incarnation);
    let cells: BTreeSet<CounterId> = tick.requests.iter().map(|ask| ask.counter).collect();
    cells.into_iter().filter(move |cell| books.get(cell).is_none_or(|book| begins(book, of)))
}

#[cfg(test)]
pub(crate) mod tests;
