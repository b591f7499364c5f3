//! Budget accounts that a tick names: locked, read, and written back if they have changed.

use std::collections::{BTreeMap, BTreeSet};

use access::Amount;
use meter::lease::server::{BudgetAccount, ServerLease};
use meter::lease::{CounterId, LeaseServer, NodeId, Tick};
use sqlx::AssertSqlSafe;
use store::columns::budget_period::BudgetPeriodRow;
use store::limits::charges::by_node;
use store::nodes::backlog::Backlog;
use store::sql::{Insert, Query, SqlType, StoreKind, Transaction, Values, amount, micros, signed, timestamp, unsigned};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::LeaseError;

const BOOKS: &str = "SELECT id, carried, most, recall, pressed_id, pressed_until FROM lease_books WHERE id IN ";
const LEASES: &str =
    "SELECT book_id, node_id, incarnation, seq, term, granted, used, spent, ceded, round, recalls, heard_at,
    closed, told FROM leases WHERE book_id IN ";

/// Inserts budget accounts that do not exist yet.
static OPEN: Insert = Insert::new("lease_books", &BOOK_COLUMNS, &BOOK_TYPES, "ON CONFLICT (id) DO NOTHING");
/// Inserts or updates budget accounts.
static KEEP: Insert = Insert::new(
    "lease_books",
    &BOOK_COLUMNS,
    &BOOK_TYPES,
    "ON CONFLICT (id) DO UPDATE SET carried = excluded.carried, most = excluded.most, recall = excluded.recall, pressed_id = excluded.pressed_id,
        pressed_until = excluded.pressed_until, updated_at = excluded.updated_at",
);
const BOOK_COLUMNS: [&str; 13] = [
    "id",
    "scope",
    "scope_no",
    "scope_id",
    "measure",
    "per",
    "first_day",
    "ends_at",
    "carried",
    "most",
    "recall",
    "pressed_id",
    "pressed_until",
];
const BOOK_TYPES: [(&str, SqlType); 6] = [
    ("id", SqlType::Uuid),
    ("scope", SqlType::Text),
    ("scope_id", SqlType::Uuid),
    ("measure", SqlType::Text),
    ("per", SqlType::Text),
    ("pressed_id", SqlType::Uuid),
];
/// Inserts or updates leases; `base` keeps its first value.
static LOANS: Insert = Insert::new(
    "leases",
    &[
        "id",
        "book_id",
        "node_id",
        "incarnation",
        "seq",
        "term",
        "granted",
        "used",
        "spent",
        "ceded",
        "round",
        "recalls",
        "recalled",
        "heard_at",
        "closed",
        "told",
        "base",
    ],
    &[
        ("id", SqlType::Uuid),
        ("book_id", SqlType::Uuid),
        ("node_id", SqlType::Uuid),
        ("closed", SqlType::Boolean),
        ("told", SqlType::Boolean),
    ],
    "ON CONFLICT (book_id, node_id, incarnation) DO UPDATE SET seq = excluded.seq, term = excluded.term,
        granted = excluded.granted, used = excluded.used, spent = excluded.spent, ceded = excluded.ceded,
        round = excluded.round, recalls = excluded.recalls, recalled = excluded.recalled, heard_at = excluded.heard_at,
        closed = excluded.closed, told = excluded.told, updated_at = excluded.updated_at",
);

#[derive(sqlx_macros::FromRow)]
struct AccountRow {
    id: Uuid,
    carried: Option<i64>,
    most: i64,
    recall: i64,
    pressed_id: Option<Uuid>,
    pressed_until: Option<i64>,
}

#[derive(sqlx_macros::FromRow)]
struct LeaseRow {
    book_id: Uuid,
    node_id: Uuid,
    incarnation: i64,
    seq: i64,
    term: i64,
    granted: i64,
    used: i64,
    spent: i64,
    ceded: i64,
    round: i64,
    recalls: i64,
    heard_at: i64,
    closed: bool,
    told: bool,
}

/// Budget accounts that this transaction has locked.
pub(crate) struct LockedAccounts<'a> {
    /// Node for which a lease may begin.
    node: NodeId,
    backlog: &'a Backlog,
    ids: BTreeMap<Uuid, CounterId>,
    /// Budget accounts as stored, by budget and period.
    books: BTreeMap<CounterId, BudgetAccount>,
    /// Largest limit under which an amount of each budget was leased.
    mosts: BTreeMap<CounterId, Amount>,
    /// Budgets whose previously charged amount has not been looked up yet.
    fresh: Vec<CounterId>,
}

impl<'a> LockedAccounts<'a> {
    /// Locks and reads the budget accounts, in a transaction that begins here, and creates the missing ones first. All
    /// transactions create and lock accounts in the order of their ids, so none can deadlock.
    pub(crate) async fn open(
        store: &Store,
        ids: BTreeMap<Uuid, CounterId>,
        node: NodeId,
        backlog: &'a Backlog,
    ) -> Result<(Transaction, Self), LeaseError> {
        let mut kept = Self { node, backlog, ids, books: BTreeMap::new(), mosts: BTreeMap::new(), fresh: Vec::new() };
        let mut transaction = store.begin().await?;
        if kept.ids.is_empty() {
            return Ok((transaction, kept));
        }
        let all: Vec<Uuid> = kept.ids.keys().copied().collect();
        let mut rows = locked(&mut transaction, &all).await?;
        if rows.len() < all.len() {
            // The ids of the missing accounts may sort before the ids that are locked by now, so locking starts again.
            transaction.rollback().await?;
            transaction = store.begin().await?;
            let there: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
            let now = store.now();
            let empty = BudgetAccount::default();
            let missing = kept.ids.iter().filter(|(id, _)| !there.contains(*id));
            let missing: Vec<WrittenAccount<'_>> = missing
                .map(|(id, cell)| WrittenAccount {
                    id: *id,
                    cell: *cell,
                    per: cell.budget.per.to_string(),
                    carried: None,
                    most: Amount::ZERO,
                    account: &empty,
                })
                .collect();
            OPEN.run(&mut transaction, now, &missing, bind_book).await?;
            rows = locked(&mut transaction, &all).await?;
            if rows.len() < all.len() {
                return Err(LeaseError::Contended { table: "lease_books" });
            }
        }
        for row in rows {
            kept.read_book(&row);
        }
        let text = leases_text(transaction.kind(), all.len().next_power_of_two());
        let rows: Vec<LeaseRow> = listed(transaction.query(AssertSqlSafe(text)), &all).all().await?;
        for row in rows {
            kept.read_loan(&row);
        }
        let charged = by_node::with_backlog(&mut transaction, &kept.fresh, node, backlog).await?;
        for cell in &kept.fresh {
            if let Some(book) = kept.books.get_mut(cell) {
                book.spent_before = charged.all(*cell);
            }
        }
        Ok((transaction, kept))
    }

    fn read_book(&mut self, row: &AccountRow) {
        let Some(cell) = self.ids.get(&row.id) else { return };
        let pressed = row.pressed_id.zip(row.pressed_until);
        let pressed = pressed.map(|(who, until)| (NodeId(who.as_u128()), timestamp(until)));
        let carried = row.carried.map(amount).unwrap_or_default();
        self.books.insert(
            *cell,
            BudgetAccount {
                spent_before: carried,
                recall: unsigned(row.recall),
                contended: pressed,
                ..BudgetAccount::default()
            },
        );
        self.mosts.insert(*cell, amount(row.most));
        if row.carried.is_none() {
            self.fresh.push(*cell);
        }
    }

    fn read_loan(&mut self, row: &LeaseRow) {
        let Some(book) = self.ids.get(&row.book_id).and_then(|cell| self.books.get_mut(cell)) else { return };
        let loan = ServerLease {
            seq: unsigned(row.seq),
            term: unsigned(row.term),
            granted: amount(row.granted),
            used: amount(row.used),
            spent: amount(row.spent),
            answered_recall: unsigned(row.ceded),
            heard_at: timestamp(row.heard_at),
            closed: row.closed,
            reported: row.told,
            round: unsigned(row.round),
            recalls: unsigned(row.recalls),
        };
        book.leases.insert((NodeId(row.node_id.as_u128()), unsigned(row.incarnation)), loan);
    }

    /// Returns the budget accounts as they were read.
    pub(crate) const fn books(&self) -> &BTreeMap<CounterId, BudgetAccount> {
        &self.books
    }

    /// Whether the budget account of `cell` is locked.
    pub(crate) fn has(&self, cell: CounterId) -> bool {
        self.books.contains_key(&cell)
    }

    /// Writes the changes that `server` made to the budget accounts for `tick`.
    pub(crate) async fn write(
        &mut self,
        store: &Store,
        transaction: &mut Transaction,
        server: &LeaseServer,
        tick: &Tick,
    ) -> Result<(), LeaseError> {
        let mut raised = BTreeSet::new();
        for ask in &tick.requests {
            let most = self.mosts.entry(ask.counter).or_default();
            if ask.limit > *most {
                *most = ask.limit;
                raised.insert(ask.counter);
            }
        }
        let beginning: Vec<CounterId> = beginning(tick, &self.books).collect();
        let bases = by_node::with_backlog(transaction, &beginning, self.node, self.backlog).await?;
        let mut books = Vec::new();
        let mut loans = Vec::new();
        for (id, cell) in &self.ids {
            let Some(before) = self.books.get(cell) else { continue };
            let Some(after) = server.account(*cell) else { continue };
            let written = (before.recall, before.contended) == (after.recall, after.contended);
            if !written || self.fresh.contains(cell) || raised.contains(cell) {
                let most = self.mosts.get(cell).copied().unwrap_or_default();
                let carried = Some(after.spent_before);
                let per = cell.budget.per.to_string();
                books.push(WrittenAccount { id: *id, cell: *cell, per, carried, most, account: after });
            }
            for (of, loan) in &after.leases {
                // A lease whose final amount is known is not recalled: its last write must keep the time at which it
                // was over.
                let is_recalled = || !loan.reported && before.recalled(*of) != after.recalled(*of);
                if before.leases.get(of) != Some(loan) || is_recalled() {
                    let (node, incarnation) = *of;
                    let recalled = after.recalled(*of);
                    let base = bases.through(*cell, node);
                    loans.push(WrittenLease { account: *id, node, incarnation, lease: loan, recalled, base });
                }
            }
        }
        let now = store.now();
        KEEP.run(transaction, now, &books, bind_book).await?;
        LOANS.run(transaction, now, &loans, |loan, row| bind_loan(store.new_id(), loan, row)).await?;
        Ok(())
    }
}

/// A budget account that is to be written.
struct WrittenAccount<'a> {
    id: Uuid,
    cell: CounterId,
    /// The period as text.
    per: String,
    /// Amount that was charged before the account began; `None` while it is not looked up.
    carried: Option<Amount>,
    /// Largest limit under which an amount was leased.
    most: Amount,
    account: &'a BudgetAccount,
}

/// A lease that is to be written.
struct WrittenLease<'a> {
    account: Uuid,
    node: NodeId,
    incarnation: u64,
    lease: &'a ServerLease,
    /// The latest recall of the account's other leases.
    recalled: u64,
    /// Amount that was charged through the node before the lease began.
    base: Amount,
}

fn bind_book<'r>(written: &'r WrittenAccount<'_>, row: &mut Values<'r>) {
    let WrittenAccount { id, cell, ref per, carried, most, account: book } = *written;
    row.put(id);
    BudgetPeriodRow::put(cell, per, row);
    row.put(micros(cell.period.end()))
        .put(carried.map(|carried| signed(carried.0)))
        .put(signed(most.0))
        .put(signed(book.recall));
    row.put(book.contended.map(|(who, _)| Uuid::from_u128(who.0))).put(book.contended.map(|(_, until)| micros(until)));
}

fn bind_loan(id: Uuid, written: &WrittenLease<'_>, row: &mut Values<'_>) {
    let WrittenLease { account, node, incarnation, lease, recalled, base } = *written;
    row.put(id).put(account).put(Uuid::from_u128(node.0)).put(signed(incarnation));
    let ServerLease { seq, term, granted, used, spent, answered_recall, round, recalls, .. } = *lease;
    for number in [seq, term, granted.0, used.0, spent.0, answered_recall, round, recalls, recalled] {
        row.put(signed(number));
    }
    row.put(micros(lease.heard_at)).put(lease.closed).put(lease.reported).put(signed(base.0));
}

/// Locks and returns the budget accounts that exist.
async fn locked(transaction: &mut Transaction, ids: &[Uuid]) -> Result<Vec<AccountRow>, DatabaseError> {
    let text = books_text(transaction.kind(), ids.len().next_power_of_two());
    listed(transaction.query(AssertSqlSafe(text)), ids).all().await
}

/// Binds the ids as parameters and repeats the last one, so that few texts exist.
fn listed<'e>(query: Query<'e>, ids: &[Uuid]) -> Query<'e> {
    store::sql::padded(ids).into_iter().fold(query, Query::bind)
}

fn books_text(kind: StoreKind, books: usize) -> String {
    let mut text = BOOKS.to_owned();
    kind.placeholders(books, &mut text);
    text.push_str(" ORDER BY id");
    text.push_str(kind.for_update());
    text
}

fn leases_text(kind: StoreKind, books: usize) -> String {
    let mut text = LEASES.to_owned();
    kind.placeholders(books, &mut text);
    text
}

/// Returns every text that this module sends.
#[cfg(test)]
pub(crate) fn texts(kind: StoreKind) -> Vec<String> {
    let mut texts = vec![books_text(kind, 4), leases_text(kind, 4)];
    texts.extend([&OPEN, &KEEP, &LOANS].into_iter().flat_map(|insert| insert.all_texts(kind)));
    texts
}

/// Whether the budget account has no lease of this node and incarnation yet.
fn begins(book: &BudgetAccount, of: (NodeId, u64)) -> bool {
    !book.leases.contains_key(&of)
}

/// Returns the budgets and periods for which a tick begins a lease.
fn beginning<'a>(
    tick: &'a Tick,
    books: &'a BTreeMap<CounterId, BudgetAccount>,
) -> impl Iterator<Item = CounterId> + 'a {
    let of = (tick.node, tick.incarnation);
    let cells: BTreeSet<CounterId> = tick.requests.iter().map(|ask| ask.counter).collect();
    cells.into_iter().filter(move |cell| books.get(cell).is_none_or(|book| begins(book, of)))
}
