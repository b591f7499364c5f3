//! Amounts that the daily totals contain for a budget, per node.

use std::collections::{BTreeMap, BTreeSet};

use access::{Amount, Credits, KeyNo, NanoUsd, PlanId, SubjectId, Tokens, UserNo};
use meter::Period;
use meter::budgets::budget::{BudgetScope, Charge};
use meter::lease::{CounterId, NodeId};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::windows;
use crate::error::DatabaseError;
use crate::nodes::backlog::{Backlog, BacklogError, BacklogReader};
use crate::sql::{ResultRow, SqlValue, StoreKind, Transaction, unsigned};

/// A list of ids and the days follow, as in the other texts.
const OF_SUBJECTS: &str =
    "SELECT d.subject_id, d.node_id, d.credits, d.charged_tokens, d.charged_nano FROM daily_subjects d
    WHERE d.subject_id IN ";
/// A list of numbers and the days follow.
const OF_USERS: &str = "SELECT d.user_no, d.node_id, d.credits, d.charged_tokens, d.charged_nano FROM daily_usage d
    WHERE d.user_no IN ";
/// The join over the user allows the index on the user's days.
const OF_KEYS: &str = "SELECT d.key_no, d.node_id, d.credits, d.charged_tokens, d.charged_nano FROM api_keys k
    JOIN users u ON u.id = k.user_id JOIN daily_usage d ON d.user_no = u.no AND d.key_no = k.no
    WHERE k.no IN ";
const OF_PLANS: &str =
    "SELECT plan_id, node_id, credits, charged_tokens, charged_nano - own_charged_nano FROM daily_plans
    WHERE day >= $1 AND day < $2";
/// Maximum number of scopes in one query.
const ASKED_MAX: usize = 256;

/// A number or an id of a scope, the node, and the amounts.
type ChargedRow<I> = (I, Uuid, i64, i64, i64);

/// Charges by scope and period, then by node.
#[derive(Debug, Default)]
pub struct ChargedAmounts(BTreeMap<(BudgetScope, Period), BTreeMap<NodeId, Charge>>);

impl ChargedAmounts {
    /// Returns the amount that was charged through all nodes.
    pub fn all(&self, cell: CounterId) -> Amount {
        let nodes = self.0.get(&(cell.budget.scope, cell.period)).into_iter().flat_map(BTreeMap::values);
        nodes.fold(Amount::ZERO, |sum, charge| sum.saturating_add(charge.counted_by(cell.budget)))
    }

    /// Returns the amount that was charged through one node.
    pub fn through(&self, cell: CounterId, node: NodeId) -> Amount {
        let nodes = self.0.get(&(cell.budget.scope, cell.period));
        nodes.and_then(|nodes| nodes.get(&node)).map_or(Amount::ZERO, |charge| charge.counted_by(cell.budget))
    }

    fn add(&mut self, of: (BudgetScope, Period), node: NodeId, charge: Charge) {
        let sum = self.0.entry(of).or_default().entry(node).or_default();
        *sum = sum.and(&charge);
    }
}

/// Returns the amounts that were charged to these budgets so far: those in the store, and those in a node's backlog.
pub async fn with_backlog(
    transaction: &mut Transaction,
    cells: &[CounterId],
    node: NodeId,
    backlog: &Backlog,
) -> Result<ChargedAmounts, BacklogError> {
    if cells.is_empty() {
        return Ok(ChargedAmounts::default());
    }
    let waiting = backlog.waiting().await?;
    Ok(with(transaction, cells, node, &waiting).await?)
}

/// Returns the same amounts for a caller that already holds the backlog's lock, so no charge moves to the store
/// meanwhile.
pub async fn with(
    transaction: &mut Transaction,
    cells: &[CounterId],
    node: NodeId,
    waiting: &BacklogReader<'_>,
) -> Result<ChargedAmounts, DatabaseError> {
    let mut charged = in_store(transaction, cells).await?;
    let asked: BTreeSet<_> = cells.iter().map(|cell| (cell.budget.scope, cell.period)).collect();
    for (scope, period) in asked {
        charged.add((scope, period), node, waiting.charge_of(scope, period));
    }
    Ok(charged)
}

/// Returns the amounts that the store contains.
pub async fn in_store(transaction: &mut Transaction, cells: &[CounterId]) -> Result<ChargedAmounts, DatabaseError> {
    let mut charged = ChargedAmounts::default();
    let mut asked: BTreeMap<Period, BTreeSet<BudgetScope>> = BTreeMap::new();
    for cell in cells {
        asked.entry(cell.period).or_default().insert(cell.budget.scope);
    }
    for (period, scopes) in asked {
        if period.per().window().is_some() {
            for scope in scopes {
                for (node, credits, tokens, money) in windows::by_node(transaction, scope, period).await? {
                    charged.add((scope, period), NodeId(node.as_u128()), charge(credits, tokens, money));
                }
            }
            continue;
        }
        let mut keys = Vec::new();
        let mut users = Vec::new();
        let mut subjects = Vec::new();
        let mut plans = false;
        for scope in scopes {
            match scope {
                BudgetScope::Key(KeyNo(no)) => keys.push(no),
                BudgetScope::User(UserNo(no)) => users.push(no),
                BudgetScope::Subject(SubjectId(id)) => subjects.push(id),
                BudgetScope::Plan(_) | BudgetScope::Global => plans = true,
            }
        }
        for keys in keys.chunks(ASKED_MAX) {
            for (no, node, charge) in rows(transaction, OF_KEYS, period, keys).await? {
                charged.add((BudgetScope::Key(KeyNo(no)), period), node, charge);
            }
        }
        for users in users.chunks(ASKED_MAX) {
            for (no, node, charge) in rows(transaction, OF_USERS, period, users).await? {
                charged.add((BudgetScope::User(UserNo(no)), period), node, charge);
            }
        }
        for subjects in subjects.chunks(ASKED_MAX) {
            for (id, node, charge) in rows(transaction, OF_SUBJECTS, period, subjects).await? {
                charged.add((BudgetScope::Subject(SubjectId(id)), period), node, charge);
            }
        }
        if plans {
            let (first, end) = days(period);
            let rows: Vec<ChargedRow<Uuid>> = transaction.query(OF_PLANS).bind(first).bind(end).all().await?;
            for (plan, node, credits, tokens, money) in rows {
                let node = NodeId(node.as_u128());
                let charge = charge(credits, tokens, money);
                charged.add((BudgetScope::Plan(PlanId(plan)), period), node, charge);
                charged.add((BudgetScope::Global, period), node, charge);
            }
        }
    }
    Ok(charged)
}

/// Returns the charges of the scopes with these numbers or ids.
async fn rows<I>(
    transaction: &mut Transaction,
    question: &str,
    period: Period,
    scopes: &[I],
) -> Result<Vec<(I, NodeId, Charge)>, DatabaseError>
where
    I: for<'t> SqlValue<'t> + Copy,
    ChargedRow<I>: ResultRow,
{
    let text = text(transaction.kind(), question, scopes.len().next_power_of_two());
    let (first, end) = days(period);
    let mut query = transaction.query(AssertSqlSafe(text));
    for scope in crate::sql::padded(scopes) {
        query = query.bind(scope);
    }
    let rows: Vec<ChargedRow<I>> = query.bind(first).bind(end).all().await?;
    let row = |(of, node, credits, tokens, money): ChargedRow<I>| {
        (of, NodeId(node.as_u128()), charge(credits, tokens, money))
    };
    Ok(rows.into_iter().map(row).collect())
}

fn charge(credits: i64, tokens: i64, money: i64) -> Charge {
    let money = Charge::money(NanoUsd(money.max(0)));
    Charge { credits: Credits(unsigned(credits)), tokens: Tokens(unsigned(tokens)), ..money }
}

fn days(period: Period) -> (i64, i64) {
    (i64::from(period.first().0), i64::from(period.next().first().0))
}

fn text(kind: StoreKind, question: &str, numbers: usize) -> String {
    let mut text = question.to_owned();
    kind.placeholders(numbers, &mut text);
    text.push_str(" AND d.day >= ");
    kind.placeholder(numbers + 1, &mut text);
    text.push_str(" AND d.day < ");
    kind.placeholder(numbers + 2, &mut text);
    text
}

/// Returns every text that this module sends.
#[cfg(test)]
pub(super) fn texts(kind: StoreKind) -> Vec<String> {
    vec![text(kind, OF_KEYS, 2), text(kind, OF_USERS, 2), text(kind, OF_SUBJECTS, 2), OF_PLANS.to_owned()]
}
