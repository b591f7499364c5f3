//! The cost of a day and its savings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::figures::money::NanoMoney;
use crate::scope::DayScope;

/// The cost of a day and its savings, with their formulas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Roi {
    /// The id of the day's brief.
    pub id: String,
    /// The day in UTC.
    #[schema(format = Date)]
    pub date: String,
    /// The users whose usage the figures contain.
    pub scope: DayScope,
    /// The time of these figures.
    #[schema(format = DateTime)]
    pub as_of: String,
    /// Whether the day is over and all its usage is stored.
    pub complete: bool,
    /// The sum of all known costs, without calls with users' own credentials.
    pub spent: NanoMoney,
    /// The sum of all known costs of calls with users' own credentials, which the operator does not pay. Example files may omit
    /// it.
    #[serde(default)]
    #[schema(required = true)]
    pub own_cost: NanoMoney,
    /// The parts of `spent`. Example files may omit them.
    #[serde(default)]
    pub costs: Vec<RoiCost>,
    /// The savings that can be computed.
    pub saved: Vec<Saving>,
    /// What cannot be known, with the reason.
    pub not_counted: Vec<NotCounted>,
    /// The sum of the savings.
    pub total_saved: NanoMoney,
}

/// One part of the cost of a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoiCost {
    /// The kind: `requests` or `gateway`.
    pub kind: String,
    /// The amount in money.
    pub amount: NanoMoney,
    /// The formula of the amount.
    pub formula: String,
    /// The assumptions of the formula.
    pub assumptions: Vec<String>,
}

/// One kind of savings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Saving {
    /// The kind, such as `prompt_cache`.
    pub kind: String,
    /// The amount that was saved.
    pub amount: NanoMoney,
    /// The number of requests that saved it.
    pub requests: u64,
    /// The formula of the amount.
    pub formula: String,
    /// The assumptions of the formula.
    pub assumptions: Vec<String>,
}

/// A possible saving whose amount is unknown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NotCounted {
    /// The kind, such as `refused_overspend`.
    pub kind: String,
    /// The number of requests.
    pub requests: u64,
    /// The reason why the amount is unknown.
    pub reason: String,
}
