//! Budgets of single keys, users and plans, and of everybody, set while servers run.

use std::collections::HashMap;

use access::{Budget, BudgetId, KeyId, KeyNo, Measure, Per, PlanId, Subject, UserId, UserNo};
use serde_json::json;
use uuid::Uuid;

use crate::audit::{Act, Action, Actor};
use crate::batch::{Texts, padded};
use crate::dialect::{Kind, Transaction};
use crate::error::StoreError;
use crate::plans;
use crate::statement::{signed, statements, unsigned};
use crate::store::Store;

/// Most budgets of a store: who lists them gets all.
pub const BUDGETS_MAX: usize = 100_000;
/// The subject's id of budgets that hold everybody.
pub const EVERYBODY: Uuid = Uuid::nil();

/// The columns of a [`ListedRow`], and whence; a condition may follow.
macro_rules! listed {
    ($condition:literal) => {
        concat!(
            "SELECT b.id, b.subject, b.subject_id, b.measure, b.per, b.amount, k.no AS key_no, k.label, u.no AS user_no, u.email,
            p.name AS plan_name FROM budgets b LEFT JOIN api_keys k ON k.id = b.subject_id
            LEFT JOIN users u ON u.id = b.subject_id LEFT JOIN plans p ON p.id = b.subject_id",
            $condition
        )
    };
}

statements! {
    SET = "INSERT INTO budgets (id, subject, subject_id, measure, per, amount, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
        ON CONFLICT (subject_id, subject, measure, per) DO UPDATE SET amount = excluded.amount, updated_at = excluded.updated_at";
    REMOVE = "DELETE FROM budgets WHERE subject_id = $1 AND subject = $2 AND measure = $3 AND per = $4";
    AMOUNT = "SELECT amount FROM budgets WHERE subject_id = $1 AND subject = $2 AND measure = $3 AND per = $4";
    COUNT = "SELECT count(*) FROM budgets";
    OWNER_OF_KEY = "SELECT user_id FROM api_keys WHERE id = $1";
    USER = "SELECT id FROM users WHERE id = $1";
    PLAN_OF_USER = "SELECT plan_id FROM users WHERE id = $1";
    LIST = listed!("");
    PAGE = listed!(" WHERE b.id > $1 ORDER BY b.id LIMIT $2");
    OF_SUBJECTS = listed!(" WHERE b.subject_id IN ($1, $2, $3, $4)");
}

/// What holds keys, with the id of the key; [`EVERYBODY`] follows, and a list of keys.
const HOLDING: &str = "SELECT k.id AS key_id, b.subject, b.measure, b.per, b.amount FROM api_keys k
    JOIN users u ON u.id = k.user_id JOIN budgets b ON b.subject_id IN (k.id, u.id, u.plan_id, ";

pub(crate) static TEXTS: Texts = Texts::new(text);

/// Whom a budget shall hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetHolder {
    /// One key.
    Key(KeyId),
    /// One user, over all of their keys.
    User(UserId),
    /// Everybody on the plan of this name together.
    Plan(String),
    /// Everybody.
    Global,
}

/// A budget as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBudget {
    /// Its id: a budget that was set in a later millisecond has a greater one.
    pub id: Uuid,
    /// Whom it holds.
    pub subject: Subject,
    /// The id of that key, user or plan; nil is everybody's.
    pub subject_id: Uuid,
    /// The key's label, the user's address, the plan's name; empty is everybody's.
    pub name: String,
    /// How much there is.
    pub budget: Budget,
}

/// What one of several keys is held to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    subject: Kindred,
    budget: Budget,
}

/// A kind of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kindred {
    Key,
    User,
    Plan,
    Global,
}

impl Kindred {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::User => "user",
            Self::Plan => "plan",
            Self::Global => "global",
        }
    }

    fn read(word: &str) -> Result<Self, StoreError> {
        let found = [Self::Key, Self::User, Self::Plan, Self::Global].into_iter().find(|kind| kind.as_str() == word);
        found.ok_or_else(|| unreadable("subject"))
    }
}

impl Held {
    /// The budget of the caller whom it holds.
    pub(crate) const fn of(self, user: UserNo, key: KeyNo, plan: PlanId) -> (BudgetId, u64) {
        self.budget.of(match self.subject {
            Kindred::Key => Subject::Key(key),
            Kindred::User => Subject::User(user),
            Kindred::Plan => Subject::Plan(plan),
            Kindred::Global => Subject::Global,
        })
    }
}

#[derive(sqlx::FromRow)]
struct BudgetRow {
    subject: String,
    measure: String,
    per: String,
    amount: i64,
}

impl TryFrom<BudgetRow> for Held {
    type Error = StoreError;

    fn try_from(row: BudgetRow) -> Result<Self, StoreError> {
        let budget = Budget {
            measure: Measure::parse(&row.measure).ok_or_else(|| unreadable("measure"))?,
            per: Per::parse(&row.per).ok_or_else(|| unreadable("per"))?,
            amount: unsigned(row.amount),
        };
        Ok(Self { subject: Kindred::read(&row.subject)?, budget })
    }
}

#[derive(sqlx::FromRow)]
struct HoldingRow {
    key_id: Uuid,
    #[sqlx(flatten)]
    budget: BudgetRow,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: Uuid,
    subject_id: Uuid,
    key_no: Option<i64>,
    label: Option<String>,
    user_no: Option<i64>,
    email: Option<String>,
    plan_name: Option<String>,
    #[sqlx(flatten)]
    budget: BudgetRow,
}

impl TryFrom<ListedRow> for StoredBudget {
    type Error = StoreError;

    fn try_from(row: ListedRow) -> Result<Self, StoreError> {
        let Held { subject, budget } = row.budget.try_into()?;
        let subject = match subject {
            Kindred::Key => row.key_no.map(|no| Subject::Key(KeyNo(no))),
            Kindred::User => row.user_no.map(|no| Subject::User(UserNo(no))),
            Kindred::Plan => Some(Subject::Plan(PlanId(row.subject_id))),
            Kindred::Global => Some(Subject::Global),
        };
        Ok(Self {
            id: row.id,
            subject: subject.ok_or_else(|| unreadable("subject_id"))?,
            subject_id: row.subject_id,
            name: row.label.or(row.email).or(row.plan_name).unwrap_or_default(),
            budget,
        })
    }
}

const fn unreadable(column: &'static str) -> StoreError {
    StoreError::Unreadable { table: "budgets", column }
}

/// A row's subject, and whose the change is.
struct Target {
    kind: Kindred,
    id: Uuid,
    owner: Option<UserId>,
}

/// The holder, which must be there.
async fn target(transaction: &mut Transaction, holder: &BudgetHolder) -> Result<Target, StoreError> {
    Ok(match holder {
        BudgetHolder::Key(key) => {
            let owner: Option<(Uuid,)> = transaction.query(OWNER_OF_KEY).bind(key.0).find().await?;
            let (owner,) = owner.ok_or(StoreError::NoKey { id: *key })?;
            Target { kind: Kindred::Key, id: key.0, owner: Some(UserId(owner)) }
        }
        BudgetHolder::User(user) => {
            let there: Option<(Uuid,)> = transaction.query(USER).bind(user.0).find().await?;
            there.ok_or(StoreError::NoUser { id: Some(*user) })?;
            Target { kind: Kindred::User, id: user.0, owner: Some(*user) }
        }
        BudgetHolder::Plan(name) => {
            Target { kind: Kindred::Plan, id: plans::find_id(transaction, name).await?.0, owner: None }
        }
        BudgetHolder::Global => Target { kind: Kindred::Global, id: EVERYBODY, owner: None },
    })
}

impl Store {
    /// Sets the holder's budget of a measure and a period, or removes it where there is no amount; it holds everywhere within
    /// a second. Answers whether that changed anything.
    ///
    /// # Errors
    /// [`StoreError::NoKey`], [`StoreError::NoUser`], [`StoreError::NoPlan`], [`StoreError::BudgetTooLarge`],
    /// [`StoreError::TooManyBudgets`], and what the database meets.
    pub async fn set_budget(
        &self,
        by: &Actor,
        holder: &BudgetHolder,
        (measure, per, amount): (Measure, Per, Option<u64>),
    ) -> Result<bool, StoreError> {
        if amount.is_some_and(|amount| amount > Budget::AMOUNT_MAX) {
            return Err(StoreError::BudgetTooLarge);
        }
        let mut transaction = self.change().await?;
        let Target { kind, id, owner } = target(&mut transaction, holder).await?;
        let stored = transaction.query(AMOUNT).bind(id).bind(kind.as_str()).bind(measure.as_str()).bind(per.as_str());
        let stored: Option<(i64,)> = stored.find().await?;
        let stored = stored.map(|(stored,)| unsigned(stored));
        if stored == amount {
            return Ok(false);
        }
        match amount {
            Some(amount) => {
                if stored.is_none() {
                    refuse_crowd(&mut transaction).await?;
                }
                let set =
                    transaction.query(SET).bind(self.new_id()).bind(kind.as_str()).bind(id).bind(measure.as_str());
                set.bind(per.as_str()).bind(signed(amount)).bind(self.now()).run().await?;
            }
            None => {
                let remove = transaction.query(REMOVE).bind(id).bind(kind.as_str());
                remove.bind(measure.as_str()).bind(per.as_str()).run().await?;
            }
        }
        let amount = amount.map(|amount| measure.written(amount));
        let detail =
            json!({"subject": kind.as_str(), "measure": measure.as_str(), "per": per.as_str(), "amount": amount});
        self.note(&mut transaction, by, Act::of(Action::BudgetChange, id, owner).with(detail)).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// All budgets that were set, in the order in which they are asked; at most [`BUDGETS_MAX`].
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn budgets(&self) -> Result<Vec<StoredBudget>, StoreError> {
        let rows: Vec<ListedRow> = self.query(LIST).all().await?;
        let mut budgets: Vec<StoredBudget> = rows.into_iter().map(StoredBudget::try_from).collect::<Result<_, _>>()?;
        budgets.sort_by_key(|stored| stored.budget.of(stored.subject));
        Ok(budgets)
    }

    /// The budgets that were set after the one with this id, oldest first; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn budgets_after(&self, after: Uuid, limit: u32) -> Result<Vec<StoredBudget>, StoreError> {
        let rows: Vec<ListedRow> = self.query(PAGE).bind(after).bind(i64::from(limit)).all().await?;
        rows.into_iter().map(StoredBudget::try_from).collect()
    }

    /// The budgets that were set for subjects with these ids, of whatever kind; [`EVERYBODY`] is one.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], and what the database meets.
    pub async fn budgets_of(&self, subjects: [Uuid; 4]) -> Result<Vec<StoredBudget>, StoreError> {
        let query = subjects.into_iter().fold(self.query(OF_SUBJECTS), |query, id| query.bind(id));
        let rows: Vec<ListedRow> = query.all().await?;
        rows.into_iter().map(StoredBudget::try_from).collect()
    }

    /// The id of a user's plan; `None` without such a user.
    ///
    /// # Errors
    /// What the database meets.
    pub async fn plan_of(&self, user: UserId) -> Result<Option<PlanId>, StoreError> {
        let row: Option<(Uuid,)> = self.query(PLAN_OF_USER).bind(user.0).find().await?;
        Ok(row.map(|(id,)| PlanId(id)))
    }

    /// What was set for these keys, their users, their plans and everybody; for at most
    /// [`ASKED_MAX`](crate::batch::ASKED_MAX) keys.
    pub(crate) async fn budgets_holding(&self, keys: &[KeyId]) -> Result<HashMap<KeyId, Vec<Held>>, StoreError> {
        let asked = padded(keys);
        let mut query = self.look_up(TEXTS.of(self.kind(), asked.len())).bind(EVERYBODY);
        for key in asked {
            query = query.bind(key.0);
        }
        let rows: Vec<HoldingRow> = query.all().await?;
        let mut held: HashMap<KeyId, Vec<Held>> = HashMap::new();
        for HoldingRow { key_id, budget } in rows {
            held.entry(KeyId(key_id)).or_default().push(budget.try_into()?);
        }
        Ok(held)
    }
}

/// Whoever sets budgets waits for the revision's row: nobody adds one in between.
async fn refuse_crowd(transaction: &mut Transaction) -> Result<(), StoreError> {
    let (count,): (i64,) = transaction.query(COUNT).one().await?;
    let crowd = usize::try_from(count).is_ok_and(|count| count >= BUDGETS_MAX);
    if crowd { Err(StoreError::TooManyBudgets) } else { Ok(()) }
}

/// The question about so many keys.
fn text(kind: Kind, keys: usize) -> String {
    let mut text = HOLDING.to_owned();
    kind.placeholder(1, &mut text);
    text.push_str(") WHERE k.id IN ");
    kind.placeholders_from(2, keys, &mut text);
    text
}
