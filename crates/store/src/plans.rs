//! Plans: seeded from the configuration, then the store's.

use std::num::NonZeroU32;

use access::{Plan, PlanId};
use uuid::Uuid;

use crate::dialect::Transaction;
use crate::error::StoreError;
use crate::revision;
use crate::statement::{signed, statements, unsigned};
use crate::store::Store;

statements! {
    ADD = "INSERT INTO plans (id, name, credits_per_day, requests_per_minute, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (name) DO NOTHING";
    FIND = "SELECT name, credits_per_day, requests_per_minute FROM plans WHERE name = $1";
    LIST = "SELECT name, credits_per_day, requests_per_minute FROM plans ORDER BY name";
    FIND_ID = "SELECT id FROM plans WHERE name = $1";
}

/// A plan that the configuration and the store describe differently; the store's holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanDifference {
    /// What holds.
    pub stored: Plan,
    /// What was asked for.
    pub configured: Plan,
}

/// A plan's columns, wherever they stand in a row.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct PlanRow {
    name: String,
    credits_per_day: Option<i64>,
    requests_per_minute: Option<i64>,
}

impl From<PlanRow> for Plan {
    fn from(row: PlanRow) -> Self {
        plan(row.name, row.credits_per_day, row.requests_per_minute)
    }
}

/// A plan of its stored columns.
pub(crate) fn plan(name: String, credits_per_day: Option<i64>, requests_per_minute: Option<i64>) -> Plan {
    let per_minute = |stored: i64| NonZeroU32::new(u32::try_from(stored).unwrap_or(u32::MAX));
    Plan {
        name,
        credits_per_day: credits_per_day.map(unsigned),
        requests_per_minute: requests_per_minute.and_then(per_minute),
    }
}

/// The id of the plan with this name.
pub(crate) async fn find_id(transaction: &mut Transaction, name: &str) -> Result<PlanId, StoreError> {
    let id: Option<Uuid> = sqlx::query_scalar(FIND_ID).bind(name).fetch_optional(&mut **transaction).await?;
    id.map(PlanId).ok_or_else(|| StoreError::NoPlan { name: name.to_owned() })
}

impl Store {
    /// Adds the plans whose names are not in the store; says which of the others differ, and leaves them.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn ensure_plans(&self, plans: &[Plan]) -> Result<Vec<PlanDifference>, StoreError> {
        let mut transaction = self.begin().await?;
        let mut differences = Vec::new();
        let mut added = 0;
        for configured in plans {
            let add = sqlx::query(ADD)
                .bind(self.new_id())
                .bind(&configured.name)
                .bind(configured.credits_per_day.map(signed))
                .bind(configured.requests_per_minute.map(|limit| i64::from(limit.get())))
                .bind(self.now());
            added += add.execute(&mut *transaction).await?.rows_affected();
            let row: PlanRow = sqlx::query_as(FIND).bind(&configured.name).fetch_one(&mut *transaction).await?;
            let stored = Plan::from(row);
            if stored != *configured {
                differences.push(PlanDifference { stored, configured: configured.clone() });
            }
        }
        if added > 0 {
            revision::raise(&mut transaction, self.now()).await?;
        }
        transaction.commit().await?;
        Ok(differences)
    }

    /// All plans, by name.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn plans(&self) -> Result<Vec<Plan>, StoreError> {
        let rows: Vec<PlanRow> = sqlx::query_as(LIST).fetch_all(self.readers()).await?;
        Ok(rows.into_iter().map(Plan::from).collect())
    }
}
