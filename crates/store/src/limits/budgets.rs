//! Budgets of keys, users, plans and of all users together, which are set while nodes run.

use std::collections::HashMap;

use access::{Amount, Budget, BudgetId, BudgetScope, KeyId, KeyNo, LimitPeriod, Measure, Plan, PlanId, UserId, UserNo};
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::users::NoUser;
use crate::audit::{Act, Actor, AuditAction};
use crate::error::DatabaseError;
use crate::keys::api_keys::NoKey;
use crate::opening::handle::Store;
use crate::plans::{self, NoPlan};
use crate::sql::{StoreKind, Texts, Transaction, padded, signed, statements, unsigned};

/// Maximum number of budgets in a store. The list of budgets is not paged.
pub const BUDGETS_MAX: usize = 100_000;
/// Scope id of global budgets.
pub const EVERYBODY: Uuid = Uuid::nil();

/// Columns and tables of a [`ListedRow`]; a condition may follow.
macro_rules! listed {
    ($condition:literal) => {
        concat!(
            "SELECT b.id, b.scope, b.scope_id, b.measure, b.per, b.amount, k.no AS key_no, k.label, u.no AS user_no,
            CASE WHEN u.email LIKE '%@%' THEN u.email ELSE u.name END AS email,
            p.name AS plan_name FROM budgets b LEFT JOIN api_keys k ON k.id = b.scope_id
            LEFT JOIN users u ON u.id = b.scope_id LEFT JOIN plans p ON p.id = b.scope_id",
            $condition
        )
    };
}

statements! {
    SET = "INSERT INTO budgets (id, scope, scope_id, measure, per, amount, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
        ON CONFLICT (scope_id, scope, measure, per) DO UPDATE SET amount = excluded.amount, updated_at = excluded.updated_at";
    REMOVE = "DELETE FROM budgets WHERE scope_id = $1 AND scope = $2 AND measure = $3 AND per = $4";
    AMOUNT = "SELECT amount FROM budgets WHERE scope_id = $1 AND scope = $2 AND measure = $3 AND per = $4";
    COUNT = "SELECT count(*) FROM budgets";
    COUNT_WINDOWS = "SELECT count(*) FROM budgets WHERE scope_id = $1 AND per NOT IN ('day', 'week', 'month')";
    OWNER_OF_KEY = "SELECT user_id FROM api_keys WHERE id = $1";
    USER = "SELECT id FROM users WHERE id = $1";
    PLAN_OF_USER = "SELECT plan_id FROM users WHERE id = $1";
    LIST = listed!("");
    PAGE = listed!(" WHERE b.id > $1 ORDER BY b.id LIMIT $2");
    OF_SCOPES = listed!(" WHERE b.scope_id IN ($1, $2, $3, $4)");
}

/// Budgets that apply to keys, with the key's id; [`EVERYBODY`] and a list of keys follow.
const HOLDING: &str = "SELECT k.id AS key_id, b.scope, b.measure, b.per, b.amount FROM api_keys k
    JOIN users u ON u.id = k.user_id JOIN budgets b ON b.scope_id IN (k.id, u.id, u.plan_id, ";

pub(crate) static TEXTS: Texts = Texts::new(text);

/// The error of a change of budgets.
#[derive(Debug, Error)]
pub enum BudgetError {
    /// The key does not exist.
    #[error(transparent)]
    NoKey(#[from] NoKey),
    /// The user does not exist.
    #[error(transparent)]
    NoUser(#[from] NoUser),
    /// The plan does not exist.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// A budget exceeds the maximum amount.
    #[error(
        "the amount of a budget must be at most {} credits, or {} tokens or nano-USD",
        Plan::CREDITS_MAX,
        Budget::AMOUNT_MAX.0
    )]
    BudgetTooLarge,
    /// A window of a key, a plan or all users.
    #[error("only budgets of users have windows: keys, plans and all users together have `day`, `week` or `month`")]
    WindowOfMany,
    /// A user has the maximum number of windows.
    #[error("the user has {} windows already: remove one", Budget::WINDOWS_MAX)]
    TooManyWindows,
    /// The store has the maximum number of budgets.
    #[error("the store has the maximum of {BUDGETS_MAX} budgets: remove some, or use plan budgets")]
    TooManyBudgets,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// The budget scope that a budget is set for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetHolder {
    /// One key of a user.
    Key(KeyId),
    /// One user, over all of their keys.
    User(UserId),
    /// All users of the plan with this name together.
    Plan(String),
    /// All users of all plans together.
    Global,
}

/// A budget as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBudget {
    /// Id of the budget; a budget that was set in a later millisecond has a greater id.
    pub id: Uuid,
    /// Key, user or plan that the budget belongs to, or `Global`.
    pub scope: BudgetScope,
    /// Id of that key, user or plan; nil for a global budget.
    pub scope_id: Uuid,
    /// Label of the key, e-mail of the user or name of the plan; empty for a global budget.
    pub name: String,
    /// Measure, period and amount of the budget.
    pub budget: Budget,
}

/// A budget that applies to one of several keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ApplicableBudget {
    scope: ScopeKind,
    budget: Budget,
}

/// The kind of a budget scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScopeKind {
    Key,
    User,
    Plan,
    Global,
}

impl ScopeKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Plan => "plan",
            Self::Global => "global",
        }
    }

    fn read(word: &str) -> Result<Self, DatabaseError> {
        let found = [Self::Key, Self::User, Self::Plan, Self::Global].into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| unreadable("scope"))
    }
}

impl ApplicableBudget {
    /// Returns the budget's id and amount for the key and user to which it applies.
    pub(crate) const fn id_and_amount(self, user: UserNo, key: KeyNo, plan: PlanId) -> (BudgetId, Amount) {
        self.budget.id_and_amount(match self.scope {
            ScopeKind::Key => BudgetScope::Key(key),
            ScopeKind::User => BudgetScope::User(user),
            ScopeKind::Plan => BudgetScope::Plan(plan),
            ScopeKind::Global => BudgetScope::Global,
        })
    }
}

#[derive(sqlx_macros::FromRow)]
struct BudgetRow {
    scope: String,
    measure: String,
    per: String,
    amount: i64,
}

impl TryFrom<BudgetRow> for ApplicableBudget {
    type Error = DatabaseError;

    fn try_from(row: BudgetRow) -> Result<Self, DatabaseError> {
        let measure = Measure::parse(&row.measure).ok_or_else(|| unreadable("measure"))?;
        let per = LimitPeriod::parse(&row.per).ok_or_else(|| unreadable("per"))?;
        let budget = Budget::new(measure, per, measure.limit_of(unsigned(row.amount)));
        Ok(Self { scope: ScopeKind::read(&row.scope)?, budget })
    }
}

#[derive(sqlx_macros::FromRow)]
struct HoldingRow {
    key_id: Uuid,
    #[sqlx(flatten)]
    budget: BudgetRow,
}

#[derive(sqlx_macros::FromRow)]
struct ListedRow {
    id: Uuid,
    scope_id: Uuid,
    key_no: Option<i64>,
    label: Option<String>,
    user_no: Option<i64>,
    email: Option<String>,
    plan_name: Option<String>,
    #[sqlx(flatten)]
    budget: BudgetRow,
}

impl TryFrom<ListedRow> for StoredBudget {
    type Error = DatabaseError;

    fn try_from(row: ListedRow) -> Result<Self, DatabaseError> {
        let ApplicableBudget { scope, budget } = row.budget.try_into()?;
        let scope = match scope {
            ScopeKind::Key => row.key_no.map(|no| BudgetScope::Key(KeyNo(no))),
            ScopeKind::User => row.user_no.map(|no| BudgetScope::User(UserNo(no))),
            ScopeKind::Plan => Some(BudgetScope::Plan(PlanId(row.scope_id))),
            ScopeKind::Global => Some(BudgetScope::Global),
        };
        Ok(Self {
            id: row.id,
            scope: scope.ok_or_else(|| unreadable("scope_id"))?,
            scope_id: row.scope_id,
            name: row.label.or(row.email).or(row.plan_name).unwrap_or_default(),
            budget,
        })
    }
}

const fn unreadable(column: &'static str) -> DatabaseError {
    DatabaseError::Unreadable { table: "budgets", column }
}

/// The scope of a budget row, and the user who owns it.
struct Target {
    kind: ScopeKind,
    id: Uuid,
    owner: Option<UserId>,
}

/// Returns the holder of a budget, which must exist.
async fn target(transaction: &mut Transaction, holder: &BudgetHolder) -> Result<Target, BudgetError> {
    Ok(match holder {
        BudgetHolder::Key(key) => {
            let owner: Option<(Uuid,)> = transaction.query(OWNER_OF_KEY).bind(key.0).find().await?;
            let (owner,) = owner.ok_or(NoKey { id: *key })?;
            Target { kind: ScopeKind::Key, id: key.0, owner: Some(UserId(owner)) }
        }
        BudgetHolder::User(user) => {
            let there: Option<(Uuid,)> = transaction.query(USER).bind(user.0).find().await?;
            there.ok_or(NoUser { id: Some(*user) })?;
            Target { kind: ScopeKind::User, id: user.0, owner: Some(*user) }
        }
        BudgetHolder::Plan(name) => {
            Target { kind: ScopeKind::Plan, id: plans::find_id::<BudgetError>(transaction, name).await?.0, owner: None }
        }
        BudgetHolder::Global => Target { kind: ScopeKind::Global, id: EVERYBODY, owner: None },
    })
}

impl Store {
    /// Sets the budget of a holder for one measure and period, or removes it if there is no amount. All nodes apply the
    /// change within one second. Returns whether anything changed.
    ///
    /// # Errors
    /// [`BudgetError::NoKey`], [`BudgetError::NoUser`], [`BudgetError::NoPlan`], [`BudgetError::BudgetTooLarge`],
    /// [`BudgetError::WindowOfMany`], [`BudgetError::TooManyWindows`], [`BudgetError::TooManyBudgets`], and database errors.
    #[expect(clippy::too_many_arguments, reason = "holder, measure and period identify a budget")]
    pub async fn set_budget(
        &self,
        by: &Actor,
        holder: &BudgetHolder,
        measure: Measure,
        per: LimitPeriod,
        amount: Option<Amount>,
    ) -> Result<bool, BudgetError> {
        if amount.is_some_and(|amount| amount > Budget::AMOUNT_MAX) {
            return Err(BudgetError::BudgetTooLarge);
        }
        if per.window().is_some() && !matches!(holder, BudgetHolder::User(_)) {
            return Err(BudgetError::WindowOfMany);
        }
        let mut transaction = self.begin_revision().await?;
        let Target { kind, id, owner } = target(&mut transaction, holder).await?;
        let stored =
            transaction.query(AMOUNT).bind(id).bind(kind.as_str()).bind(measure.as_str()).bind(per.to_string());
        let stored: Option<(i64,)> = stored.find().await?;
        let stored = stored.map(|(stored,)| measure.limit_of(unsigned(stored)));
        if stored == amount {
            return Ok(false);
        }
        match amount {
            Some(amount) => {
                if stored.is_none() {
                    refuse_crowd(&mut transaction).await?;
                    if per.window().is_some() {
                        let (windows,): (i64,) = transaction.query(COUNT_WINDOWS).bind(id).one().await?;
                        if usize::try_from(windows).is_ok_and(|windows| windows >= Budget::WINDOWS_MAX) {
                            return Err(BudgetError::TooManyWindows);
                        }
                    }
                }
                let set =
                    transaction.query(SET).bind(self.new_id()).bind(kind.as_str()).bind(id).bind(measure.as_str());
                set.bind(per.to_string()).bind(signed(measure.units_of(amount))).bind(self.now()).run().await?;
            }
            None => {
                let remove = transaction.query(REMOVE).bind(id).bind(kind.as_str());
                remove.bind(measure.as_str()).bind(per.to_string()).run().await?;
            }
        }
        let [before, amount] = [stored, amount].map(|amount| amount.map(|amount| measure.written(amount)));
        let detail = json!({"subject": kind.as_str(), "measure": measure.as_str(), "per": per.to_string(), "amount": amount,
            "before": {"amount": before}});
        self.note(&mut transaction, by, Act::new(AuditAction::BudgetChange, id, owner).with(detail)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Returns all budgets in the order in which the meter checks them; at most [`BUDGETS_MAX`].
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn budgets(&self) -> Result<Vec<StoredBudget>, DatabaseError> {
        let rows: Vec<ListedRow> = self.query(LIST).all().await?;
        let mut budgets: Vec<StoredBudget> = rows.into_iter().map(StoredBudget::try_from).collect::<Result<_, _>>()?;
        budgets.sort_by_key(|stored| stored.budget.id_and_amount(stored.scope));
        Ok(budgets)
    }

    /// Returns the budgets that were set after the one with this id, oldest first; at most `limit`.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn budgets_after(&self, after: Uuid, limit: u32) -> Result<Vec<StoredBudget>, DatabaseError> {
        let rows: Vec<ListedRow> = self.query(PAGE).bind(after).bind(i64::from(limit)).all().await?;
        rows.into_iter().map(StoredBudget::try_from).collect()
    }

    /// Returns the budgets of these scopes, of any kind; [`EVERYBODY`] is one of the ids.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn budgets_of(&self, scopes: [Uuid; 4]) -> Result<Vec<StoredBudget>, DatabaseError> {
        let query = scopes.into_iter().fold(self.query(OF_SCOPES), |query, id| query.bind(id));
        let rows: Vec<ListedRow> = query.all().await?;
        rows.into_iter().map(StoredBudget::try_from).collect()
    }

    /// Returns the id of a user's plan; `None` if the user does not exist.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn plan_of(&self, user: UserId) -> Result<Option<PlanId>, DatabaseError> {
        let row: Option<(Uuid,)> = self.query(PLAN_OF_USER).bind(user.0).find().await?;
        Ok(row.map(|(id,)| PlanId(id)))
    }

    /// Returns the budgets of these keys, their users, their plans, and the global ones, for at most
    /// [`ASKED_MAX`](crate::sql::ASKED_MAX) keys.
    pub(crate) async fn budgets_holding(
        &self,
        keys: &[KeyId],
    ) -> Result<HashMap<KeyId, Vec<ApplicableBudget>>, DatabaseError> {
        let asked = padded(keys);
        let mut query = self.look_up(TEXTS.text_for(self.kind(), asked.len())).bind(EVERYBODY);
        for key in asked {
            query = query.bind(key.0);
        }
        let rows: Vec<HoldingRow> = query.all().await?;
        let mut held: HashMap<KeyId, Vec<ApplicableBudget>> = HashMap::new();
        for HoldingRow { key_id, budget } in rows {
            held.entry(KeyId(key_id)).or_default().push(budget.try_into()?);
        }
        Ok(held)
    }
}

/// Refuses a budget beyond the maximum. Transactions that set budgets hold the lock of the revision's row, so no other
/// budget is added meanwhile.
async fn refuse_crowd(transaction: &mut Transaction) -> Result<(), BudgetError> {
    let (count,): (i64,) = transaction.query(COUNT).one().await?;
    let crowd = usize::try_from(count).is_ok_and(|count| count >= BUDGETS_MAX);
    if crowd { Err(BudgetError::TooManyBudgets) } else { Ok(()) }
}

/// Builds the query for a number of keys.
fn text(kind: StoreKind, keys: usize) -> String {
    let mut text = HOLDING.to_owned();
    kind.placeholder(1, &mut text);
    text.push_str(") WHERE k.id IN ");
    kind.placeholders_from(2, keys, &mut text);
    text
}
