//! Versions of the prices of plans.

use access::{BillingInterval, Currency, Money, PlanCharge, PlanId, PlanPrice};
use store::sql::{Transaction, statements};
use store::{DatabaseError, Store};
use uuid::Uuid;

macro_rules! version_columns {
    () => {
        "v.id, v.plan_id, p.name, v.version, v.currency, v.price, v.term, v.trial_days, v.charges
        FROM plan_versions v JOIN plans p ON p.id = v.plan_id"
    };
}

statements! {
    ADD = "INSERT INTO plan_versions (id, plan_id, version, currency, price, term, trial_days, charges, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";
    RETIRE = "UPDATE plan_versions SET retired_at = $2, updated_at = $2 WHERE plan_id = $1 AND retired_at IS NULL";
    LAST = "SELECT coalesce(max(version), 0) FROM plan_versions WHERE plan_id = $1";
    FOR_SALE = concat!("SELECT ", version_columns!(), " WHERE v.retired_at IS NULL ORDER BY p.name LIMIT 1000");
    FIND = concat!("SELECT ", version_columns!(), " WHERE v.id = $1");
    FIND_FOR_SALE = concat!("SELECT ", version_columns!(), " WHERE p.name = $1 AND v.retired_at IS NULL");
    PLAN = "SELECT id FROM plans WHERE name = $1";
}

/// A version of a plan's price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPlanVersion {
    /// Id of the version.
    pub id: Uuid,
    /// Id of the plan.
    pub plan: PlanId,
    /// Name of the plan.
    pub name: String,
    /// Number of the version, from 1 for each plan.
    pub version: i64,
    /// The price of this version.
    pub price: PlanPrice,
}

#[derive(Debug, sqlx_macros::FromRow)]
struct PlanVersionRow {
    id: Uuid,
    plan_id: Uuid,
    name: String,
    version: i64,
    currency: String,
    price: i64,
    term: String,
    trial_days: i64,
    charges: String,
}

const fn unreadable(column: &'static str) -> DatabaseError {
    DatabaseError::Unreadable { table: "plan_versions", column }
}

impl TryFrom<PlanVersionRow> for StoredPlanVersion {
    type Error = DatabaseError;

    fn try_from(row: PlanVersionRow) -> Result<Self, DatabaseError> {
        let currency = Currency::of_code(&row.currency).ok_or(unreadable("currency"))?;
        let charges: Vec<PlanCharge> = serde_json::from_str(&row.charges).map_err(|_| unreadable("charges"))?;
        let price = PlanPrice {
            price: Money { amount: row.price, currency },
            interval: BillingInterval::of_name(&row.term).ok_or(unreadable("term"))?,
            trial_days: u32::try_from(row.trial_days).map_err(|_| unreadable("trial_days"))?,
            charges,
        };
        Ok(Self { id: row.id, plan: PlanId(row.plan_id), name: row.name, version: row.version, price })
    }
}

/// Returns the versions that are for sale, by the name of the plan.
///
/// # Errors
/// Database errors of any kind.
pub async fn for_sale(store: &Store) -> Result<Vec<StoredPlanVersion>, DatabaseError> {
    let rows: Vec<PlanVersionRow> = store.query(FOR_SALE).all().await?;
    rows.into_iter().map(StoredPlanVersion::try_from).collect()
}

/// Returns a version by its id.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(transaction: &mut Transaction, id: Uuid) -> Result<Option<StoredPlanVersion>, DatabaseError> {
    let row: Option<PlanVersionRow> = transaction.query(FIND).bind(id).find().await?;
    row.map(StoredPlanVersion::try_from).transpose()
}

/// Returns the version of a plan that is for sale.
///
/// # Errors
/// Database errors of any kind.
pub async fn find_for_sale(
    transaction: &mut Transaction,
    plan: &str,
) -> Result<Option<StoredPlanVersion>, DatabaseError> {
    let row: Option<PlanVersionRow> = transaction.query(FIND_FOR_SALE).bind(plan).find().await?;
    row.map(StoredPlanVersion::try_from).transpose()
}

/// Makes these prices the ones that are for sale. A changed price becomes a new version, and the version of a plan that
/// is missing in the list is retired. Returns the number of new versions.
///
/// # Errors
/// Database errors of any kind.
pub async fn apply(store: &Store, prices: &[(String, PlanPrice)]) -> Result<usize, DatabaseError> {
    let present = for_sale(store).await?;
    let is_same = |of: &StoredPlanVersion| prices.iter().any(|(name, price)| *name == of.name && *price == of.price);
    if present.len() == prices.len() && present.iter().all(is_same) {
        return Ok(0);
    }
    let mut transaction = store.begin_quiet().await?;
    let rows: Vec<PlanVersionRow> = transaction.query(FOR_SALE).all().await?;
    let mut added = 0;
    for row in rows {
        let stored = StoredPlanVersion::try_from(row)?;
        if !is_same(&stored) {
            transaction.query(RETIRE).bind(stored.plan.0).bind(store.now()).run().await?;
        }
    }
    for (name, price) in prices {
        let plan: Option<(Uuid,)> = transaction.query(PLAN).bind(name.as_str()).find().await?;
        let Some((plan,)) = plan else { continue };
        if find_for_sale(&mut transaction, name).await?.is_some() {
            continue;
        }
        let (last,): (i64,) = transaction.query(LAST).bind(plan).one().await?;
        let charges = serde_json::to_string(&price.charges).map_err(|_| unreadable("charges"))?;
        let add = transaction
            .query(ADD)
            .bind(store.new_id())
            .bind(plan)
            .bind(last + 1)
            .bind(price.price.currency.code())
            .bind(price.price.amount)
            .bind(price.interval.as_str())
            .bind(i64::from(price.trial_days))
            .bind(charges)
            .bind(store.now());
        add.run().await?;
        added += 1;
    }
    transaction.commit().await?;
    Ok(added)
}
