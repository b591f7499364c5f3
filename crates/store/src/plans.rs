//! Plans: created from the configuration, then managed in the store.

use std::num::NonZeroU32;

use access::{Budget, Credits, Plan, PlanId, Timestamp};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::audit::{Act, Actor, AuditAction, Difference};
use crate::error::DatabaseError;
use crate::opening::handle::Store;
use crate::sql::{Transaction, signed, statements, timestamp, unsigned};

/// Maximum number of plans in a store. The list of plans is not paged.
pub const PLANS_MAX: usize = 1_000;

/// Columns and table of a [`StoredRow`].
macro_rules! plan_columns {
    () => {
        "id, created_at, updated_at, name, credits_per_day, requests_per_minute, budgets, shared_keys FROM plans"
    };
}

statements! {
    ADD = "INSERT INTO plans (id, name, credits_per_day, requests_per_minute, budgets, shared_keys, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7)";
    SET = "UPDATE plans SET credits_per_day = $2, requests_per_minute = $3, budgets = $4, shared_keys = $5, updated_at = $6
        WHERE id = $1";
    USERS = "SELECT plan_id, count(*) FROM users GROUP BY plan_id";
    FIND = concat!("SELECT ", plan_columns!(), " WHERE name = $1");
    LIST = concat!("SELECT ", plan_columns!(), " ORDER BY name");
    COUNT = "SELECT count(*) FROM plans";
    FIND_ID = "SELECT id FROM plans WHERE name = $1";
}

/// No plan has this name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no plan {name}")]
pub struct NoPlan {
    /// The requested plan name.
    pub name: String,
}

/// The error of a change of plans.
#[derive(Debug, Error)]
pub enum PlanError {
    /// No plan has the requested name.
    #[error(transparent)]
    NoPlan(#[from] NoPlan),
    /// Another plan has this name.
    #[error("a plan named {name} already exists")]
    PlanTaken {
        /// Name of the existing plan.
        name: String,
    },
    /// A plan's name, quota, rate limit or budgets are invalid.
    #[error(
        "a plan's name has 1 to 64 of a-z, 0-9, `-`, `_` and `.`, its credits_per_day and the amounts of its budgets are at \
         most {} (money in nano-USD), its requests_per_minute at most {}, and it has one budget per measure and period",
        Plan::CREDITS_MAX,
        Plan::REQUESTS_MAX
    )]
    InvalidPlan,
    /// The store has the maximum number of plans.
    #[error("the store has the maximum of {PLANS_MAX} plans")]
    TooManyPlans,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// A plan that differs between the configuration and the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDifference {
    /// The plan in the store; after [`Store::apply_plans`], the plan before the change.
    pub stored: Plan,
    /// The plan in the configuration.
    pub configured: Plan,
}

/// Differences between the plans of the configuration and of the store. Further plans of the store are not a
/// difference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanDifferences {
    /// Plans that are missing in the store.
    pub absent: Vec<Plan>,
    /// Plans that have other values in the store.
    pub differing: Vec<PlanDifference>,
}

impl PlanDifferences {
    /// Whether there are no differences.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.absent.is_empty() && self.differing.is_empty()
    }

    /// Compares in the order of names: two transactions that write the same plans then cannot deadlock.
    fn between(stored: &[StoredPlan], configured: &[Plan]) -> Self {
        let mut differences = Self::default();
        for configured in configured.iter().map(in_order) {
            match stored.iter().find(|stored| stored.plan.name == configured.name) {
                None => differences.absent.push(configured),
                Some(StoredPlan { plan, .. }) if *plan == configured => {}
                Some(StoredPlan { plan, .. }) => {
                    differences.differing.push(PlanDifference { stored: plan.clone(), configured });
                }
            }
        }
        differences.absent.sort_by(|a, b| a.name.cmp(&b.name));
        differences.differing.sort_by(|a, b| a.stored.name.cmp(&b.stored.name));
        differences
    }
}

/// A plan as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlan {
    /// Id of the plan.
    pub id: PlanId,
    /// Name and limits of the plan.
    pub plan: Plan,
    /// Time at which the plan was created.
    pub created_at: Timestamp,
    /// Time of the last change.
    pub updated_at: Timestamp,
}

/// Fields of a plan to change; `None` keeps a value, and `Some(None)` removes a limit. The name cannot change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanChange {
    /// Quota of credits per day.
    pub credits_per_day: Option<Option<Credits>>,
    /// Rate limit in requests per minute.
    pub requests_per_minute: Option<Option<NonZeroU32>>,
    /// Budgets that apply to each user in addition to the quota.
    pub budgets: Option<Vec<Budget>>,
    /// Whether users may use shared credentials.
    pub shared_keys: Option<bool>,
}

impl PlanChange {
    fn apply_to(self, plan: &Plan) -> Plan {
        Plan {
            name: plan.name.clone(),
            credits_per_day: self.credits_per_day.unwrap_or(plan.credits_per_day),
            requests_per_minute: self.requests_per_minute.unwrap_or(plan.requests_per_minute),
            budgets: self.budgets.unwrap_or_else(|| plan.budgets.clone()),
            shared_keys: self.shared_keys.unwrap_or(plan.shared_keys),
        }
    }
}

/// The columns of a plan, in any position of a row.
#[derive(Debug, sqlx_macros::FromRow)]
pub(crate) struct PlanRow {
    name: String,
    credits_per_day: Option<i64>,
    requests_per_minute: Option<i64>,
    budgets: String,
    shared_keys: bool,
}

impl TryFrom<PlanRow> for Plan {
    type Error = DatabaseError;

    fn try_from(row: PlanRow) -> Result<Self, DatabaseError> {
        let per_minute = |stored: i64| NonZeroU32::new(u32::try_from(stored).unwrap_or(u32::MAX));
        let unreadable = |_| DatabaseError::Unreadable { table: "plans", column: "budgets" };
        Ok(Self {
            name: row.name,
            credits_per_day: row.credits_per_day.map(|credits| Credits::whole(unsigned(credits))),
            requests_per_minute: row.requests_per_minute.and_then(per_minute),
            budgets: serde_json::from_str(&row.budgets).map_err(unreadable)?,
            shared_keys: row.shared_keys,
        })
    }
}

#[derive(Debug, sqlx_macros::FromRow)]
struct StoredRow {
    id: Uuid,
    created_at: i64,
    updated_at: i64,
    #[sqlx(flatten)]
    plan: PlanRow,
}

impl TryFrom<StoredRow> for StoredPlan {
    type Error = DatabaseError;

    fn try_from(row: StoredRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            id: PlanId(row.id),
            plan: row.plan.try_into()?,
            created_at: timestamp(row.created_at),
            updated_at: timestamp(row.updated_at),
        })
    }
}

/// Returns the id of the plan with this name. Both errors convert into the error of the calling module.
pub(crate) async fn find_id<E: From<NoPlan> + From<DatabaseError>>(
    transaction: &mut Transaction,
    name: &str,
) -> Result<PlanId, E> {
    let missing = || NoPlan { name: name.to_owned() };
    // PostgreSQL would not even accept a NUL as a parameter.
    if !Plan::is_name(name) {
        return Err(missing().into());
    }
    let id: Option<(Uuid,)> = transaction.query(FIND_ID).bind(name).find().await?;
    Ok(id.map(|(id,)| PlanId(id)).ok_or_else(missing)?)
}

async fn list(transaction: &mut Transaction) -> Result<Vec<StoredPlan>, DatabaseError> {
    let rows: Vec<StoredRow> = transaction.query(LIST).all().await?;
    rows.into_iter().map(StoredPlan::try_from).collect()
}

/// Returns the plan with this name; `None` for names that no plan can have.
async fn find(transaction: &mut Transaction, name: &str) -> Result<Option<StoredPlan>, DatabaseError> {
    if !Plan::is_name(name) {
        return Ok(None);
    }
    let row: Option<StoredRow> = transaction.query(FIND).bind(name).find().await?;
    row.map(StoredPlan::try_from).transpose()
}

/// Returns the plan with this name, which must exist.
async fn existing(transaction: &mut Transaction, name: &str) -> Result<StoredPlan, PlanError> {
    Ok(find(transaction, name).await?.ok_or_else(|| NoPlan { name: name.to_owned() })?)
}

/// Refuses values that the configuration would refuse too; budgets must be sorted.
fn check(plan: &Plan) -> Result<(), PlanError> {
    let fine = Plan::is_name(&plan.name)
        && plan.credits_per_day.is_none_or(|credits| credits <= Plan::CREDITS_MAX)
        && plan.requests_per_minute.is_none_or(|requests| requests <= Plan::REQUESTS_MAX)
        && Budget::are_fit(&plan.budgets);
    if fine { Ok(()) } else { Err(PlanError::InvalidPlan) }
}

/// Returns the plan as it is stored, with sorted budgets, so that equal plans compare equal.
fn in_order(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.budgets.sort_unstable();
    plan
}

fn written(budgets: &[Budget]) -> Vec<String> {
    budgets.iter().map(Budget::to_string).collect()
}

/// Returns the limits of a new plan for the audit log.
fn limits(plan: &Plan) -> Value {
    json!({"name": plan.name, "credits_per_day": plan.credits_per_day, "requests_per_minute": plan.requests_per_minute,
        "budgets": written(&plan.budgets), "shared_keys": plan.shared_keys})
}

/// Returns the changed limits of a plan for the audit log.
fn changed_limits(before: &Plan, after: &Plan) -> Value {
    let mut difference = Difference::default();
    difference.field("credits_per_day", &before.credits_per_day, &after.credits_per_day);
    difference.field("requests_per_minute", &before.requests_per_minute, &after.requests_per_minute);
    difference.field("budgets", &written(&before.budgets), &written(&after.budgets));
    difference.field("shared_keys", &before.shared_keys, &after.shared_keys);
    let mut detail = difference.detail();
    detail.insert("name".to_owned(), json!(after.name));
    Value::Object(detail)
}

impl Store {
    /// Adds the plans whose names are missing in the store. Returns the plans that differ, which stay unchanged.
    ///
    /// # Errors
    /// The errors of [`create_plan`](Self::create_plan), except [`PlanError::PlanTaken`].
    pub async fn ensure_plans(&self, plans: &[Plan]) -> Result<Vec<PlanDifference>, PlanError> {
        let PlanDifferences { absent, differing } = self.compare_plans(plans).await?;
        if absent.is_empty() {
            return Ok(differing);
        }
        // Another node may have added the plans meanwhile.
        let mut transaction = self.begin_revision().await?;
        let PlanDifferences { absent, differing } = PlanDifferences::between(&list(&mut transaction).await?, plans);
        for plan in &absent {
            self.add_plan(&mut transaction, &Actor::SYSTEM, plan).await?;
        }
        transaction.commit().await?;
        Ok(differing)
    }

    /// Returns the changes that [`apply_plans`](Self::apply_plans) would make.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn compare_plans(&self, plans: &[Plan]) -> Result<PlanDifferences, DatabaseError> {
        Ok(PlanDifferences::between(&self.stored_plans().await?, plans))
    }

    /// Adds the plans whose names are missing in the store, and changes the others to match; deletes none. Applies all
    /// changes in one transaction, on all nodes within one second. Returns the changes.
    ///
    /// # Errors
    /// The errors of [`create_plan`](Self::create_plan), except [`PlanError::PlanTaken`].
    pub async fn apply_plans(&self, by: &Actor, plans: &[Plan]) -> Result<PlanDifferences, PlanError> {
        let mut transaction = self.begin_revision().await?;
        let stored = list(&mut transaction).await?;
        let differences = PlanDifferences::between(&stored, plans);
        if differences.is_empty() {
            return Ok(differences);
        }
        for plan in &differences.absent {
            self.add_plan(&mut transaction, by, plan).await?;
        }
        for PlanDifference { configured, .. } in &differences.differing {
            if let Some(stored) = stored.iter().find(|stored| stored.plan.name == configured.name) {
                self.set_plan(&mut transaction, by, stored, configured).await?;
            }
        }
        transaction.commit().await?;
        Ok(differences)
    }

    /// Creates a plan in the store.
    ///
    /// # Errors
    /// [`PlanError::InvalidPlan`], [`PlanError::PlanTaken`], [`PlanError::TooManyPlans`], and database errors.
    pub async fn create_plan(&self, by: &Actor, plan: &Plan) -> Result<StoredPlan, PlanError> {
        let plan = &in_order(plan);
        check(plan)?;
        let mut transaction = self.begin_revision().await?;
        // Transactions that create plans hold the lock of the revision's row, so no other plan is added meanwhile.
        if find(&mut transaction, &plan.name).await?.is_some() {
            return Err(PlanError::PlanTaken { name: plan.name.clone() });
        }
        self.add_plan(&mut transaction, by, plan).await?;
        let made = existing(&mut transaction, &plan.name).await?;
        transaction.commit().await?;
        Ok(made)
    }

    /// Changes the limits of a plan for all of its users. All nodes apply the change within one second.
    ///
    /// # Errors
    /// [`PlanError::NoPlan`], [`PlanError::InvalidPlan`], and database errors.
    pub async fn change_plan(&self, by: &Actor, name: &str, change: PlanChange) -> Result<StoredPlan, PlanError> {
        let mut transaction = self.begin_revision().await?;
        let stored = existing(&mut transaction, name).await?;
        let plan = in_order(&change.apply_to(&stored.plan));
        if plan == stored.plan {
            return Ok(stored);
        }
        self.set_plan(&mut transaction, by, &stored, &plan).await?;
        let changed = existing(&mut transaction, name).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    /// Returns all plans, by name; at most [`PLANS_MAX`].
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn plans(&self) -> Result<Vec<Plan>, DatabaseError> {
        Ok(self.stored_plans().await?.into_iter().map(|stored| stored.plan).collect())
    }

    /// Returns all plans with their ids and times, by name; at most [`PLANS_MAX`].
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn stored_plans(&self) -> Result<Vec<StoredPlan>, DatabaseError> {
        let rows: Vec<StoredRow> = self.query(LIST).all().await?;
        rows.into_iter().map(StoredPlan::try_from).collect()
    }

    /// Returns the id of the plan with this name.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn find_plan(&self, name: &str) -> Result<Option<PlanId>, DatabaseError> {
        // PostgreSQL refuses a text with a NUL.
        if !Plan::is_name(name) {
            return Ok(None);
        }
        let row: Option<StoredRow> = self.query(FIND).bind(name).find().await?;
        Ok(row.map(StoredPlan::try_from).transpose()?.map(|stored| stored.id))
    }

    /// Returns the number of users of each plan that has users. It reads each user's plan.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn users_by_plan(&self) -> Result<Vec<(PlanId, u64)>, DatabaseError> {
        let rows: Vec<(Uuid, i64)> = self.query(USERS).all().await?;
        Ok(rows.into_iter().map(|(plan, users)| (PlanId(plan), unsigned(users))).collect())
    }

    async fn add_plan(&self, transaction: &mut Transaction, by: &Actor, plan: &Plan) -> Result<(), PlanError> {
        check(plan)?;
        let (count,) = transaction.query(COUNT).one::<(i64,)>().await?;
        if usize::try_from(count).is_ok_and(|count| count >= PLANS_MAX) {
            return Err(PlanError::TooManyPlans);
        }
        let id = self.new_id();
        let add = transaction
            .query(ADD)
            .bind(id)
            .bind(plan.name.as_str())
            .bind(plan.credits_per_day.map(|credits| signed(credits.rounded_down())))
            .bind(plan.requests_per_minute.map(|limit| i64::from(limit.get())))
            .bind(json!(plan.budgets).to_string())
            .bind(plan.shared_keys)
            .bind(self.now());
        add.run().await?;
        Ok(self.note(transaction, by, Act::new(AuditAction::PlanCreate, id, None).with(limits(plan))).await?)
    }

    async fn set_plan(
        &self,
        transaction: &mut Transaction,
        by: &Actor,
        stored: &StoredPlan,
        plan: &Plan,
    ) -> Result<(), PlanError> {
        check(plan)?;
        let set = transaction
            .query(SET)
            .bind(stored.id.0)
            .bind(plan.credits_per_day.map(|credits| signed(credits.rounded_down())))
            .bind(plan.requests_per_minute.map(|limit| i64::from(limit.get())))
            .bind(json!(plan.budgets).to_string())
            .bind(plan.shared_keys)
            .bind(self.now());
        set.run().await?;
        let detail = changed_limits(&stored.plan, plan);
        Ok(self.note(transaction, by, Act::new(AuditAction::PlanChange, stored.id.0, None).with(detail)).await?)
    }
}
