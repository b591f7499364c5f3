//! The price at which a plan is for sale, and its charges on usage.

use access::{ChargeMetric, ChargeModel, PlanCharge};
use ledger::billing::{StoredPlanVersion, plan_versions};
use serde::Serialize;
use utoipa::ToSchema;

use crate::message::problem::Problem;
use crate::process::state::App;

/// Returns the prices of the plans that are for sale; none without billing.
///
/// # Errors
/// Database errors.
pub(super) async fn for_sale(app: &App) -> Result<Vec<StoredPlanVersion>, Problem> {
    match app.billing.current() {
        Some(books) => Ok(plan_versions::for_sale(books.store()).await?),
        None => Ok(Vec::new()),
    }
}

/// A charge on the usage of a period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanCharge)]
pub(super) struct PlanChargeView {
    /// The text of the invoice line.
    name: String,
    /// The usage that is charged: `requests`, `credits`, `tokens` or `cost`.
    metric: &'static str,
    /// Only usage of these models is charged; empty: all usage.
    models: Vec<String>,
    /// Units per period that are free; nano-USD for `cost`.
    included: u64,
    /// The computation of the amount: `per_unit`, `tiered`, `package` or `cost`.
    model: &'static str,
    /// The price of a unit, or of a package, as a decimal number in the plan's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit_price: Option<String>,
    /// The units of a package.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    /// The tiers in ascending order. The last one has no end.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tiers: Vec<ChargeTierView>,
    /// The markup on the cost in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    markup_percent: Option<f64>,
}

/// A tier of a graduated price.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChargeTier)]
struct ChargeTierView {
    /// The last unit that has this price; null in the last tier.
    up_to: Option<u64>,
    /// The price of a unit as a decimal number in the plan's currency.
    unit_price: String,
}

impl From<PlanCharge> for PlanChargeView {
    fn from(PlanCharge { name, metric, models, included, model }: PlanCharge) -> Self {
        let bare = |model| Self {
            name,
            metric: metric_name(metric),
            models,
            included,
            model,
            unit_price: None,
            size: None,
            tiers: Vec::new(),
            markup_percent: None,
        };
        match model {
            ChargeModel::PerUnit { unit } => Self { unit_price: Some(unit.decimal()), ..bare("per_unit") },
            ChargeModel::Package { size, unit } => {
                Self { unit_price: Some(unit.decimal()), size: Some(size), ..bare("package") }
            }
            ChargeModel::Tiered { tiers } => {
                let tiers = tiers
                    .into_iter()
                    .map(|tier| ChargeTierView { up_to: tier.up_to, unit_price: tier.unit.decimal() })
                    .collect();
                Self { tiers, ..bare("tiered") }
            }
            ChargeModel::Cost { markup_ppm } => {
                Self { markup_percent: Some(f64::from(markup_ppm) / 10_000.0), ..bare("cost") }
            }
        }
    }
}

const fn metric_name(metric: ChargeMetric) -> &'static str {
    match metric {
        ChargeMetric::Requests => "requests",
        ChargeMetric::Credits => "credits",
        ChargeMetric::Tokens => "tokens",
        ChargeMetric::Cost => "cost",
    }
}
