//! The brief of a day: its spend, the changes, anomalies, and possible savings.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::classification::Class;
use crate::figures::money::NanoMoney;
use crate::figures::ratio::Ratio;
use crate::scope::DayScope;

/// One day of a scope, explained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Brief {
    /// The id of the brief: a day, or a day and a scope.
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
    /// The version of the day's figures; it grows with each stored batch or repair that changes an earlier day.
    pub figures_version: u64,
    /// The version of the settings with the configured rules.
    pub rules_version: u64,
    /// The version of the built-in rules; it grows with each release that changes them. Example files may lack it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub built_in_rules_version: Option<u64>,
    /// The day in one sentence.
    pub headline: String,
    /// The cost of the day and of the days beside it.
    pub spend: Spend,
    /// The expected cost until the end of the month.
    pub forecast: Forecast,
    /// The models whose cost changed most since the same weekday of the week before. Together with the rest they are
    /// the whole difference.
    pub movers: Vec<Mover>,
    /// Figures that are far from the figures of earlier weekdays; if `complete` is false, only higher figures.
    pub anomalies: Vec<Anomaly>,
    /// The reason why no anomaly can be found; null if the search was possible.
    pub anomalies_reason: Option<String>,
    /// Failed and refused requests.
    pub errors: DayErrors,
    /// The durations of the requests that reached an upstream.
    pub latency: DayLatency,
    /// What would have cost less.
    pub recommendations: Vec<Recommendation>,
    /// The requests by class.
    pub classes: Vec<ClassCount>,
}

/// The cost of a day beside the cost of other days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Spend {
    /// The sum of all known costs, without calls with users' own credentials. The other costs of a brief exclude these calls
    /// too.
    pub cost: NanoMoney,
    /// The sum of all known costs of calls with users' own credentials, which the operator does not pay. Example files may omit
    /// it.
    #[serde(default)]
    #[schema(required = true)]
    pub own_cost: NanoMoney,
    /// The number of requests, without refused ones.
    pub requests: u64,
    /// The number of refused requests. Example files may omit it.
    #[serde(default)]
    #[schema(required = true)]
    pub refused: u64,
    /// The number of tokens.
    pub tokens: u64,
    /// The number of LLM requests whose cost is unknown or partly unknown.
    pub unpriced_requests: u64,
    /// The cost of the day before.
    pub yesterday: NanoMoney,
    /// The cost of the same weekday of the week before.
    pub same_weekday: NanoMoney,
    /// The budget in money that applies to the scope; null without one.
    pub budget: Option<BudgetUse>,
}

/// A budget in money and the amount that is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetUse {
    /// The period of the budget: `day`, `week` or `month`.
    pub per: String,
    /// The limit of the period.
    pub limit: NanoMoney,
    /// The amount that is used in the period.
    pub used: NanoMoney,
}

/// The expected cost of the month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// The last day of the month.
    #[schema(format = Date)]
    pub until: String,
    /// The expected cost of the whole month; null if it cannot be computed.
    pub cost: Option<NanoMoney>,
    /// The lower end of the interval.
    pub low: Option<NanoMoney>,
    /// The upper end of the interval.
    pub high: Option<NanoMoney>,
    /// The number of days that the forecast was computed from.
    pub days: u32,
    /// The reason why there is no forecast; null if there is one.
    pub reason: Option<String>,
}

/// The change of one model's cost, split into parts that add up to the difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mover {
    /// The kind of the group: `model`, or `other` for all groups that are not listed.
    pub kind: String,
    /// The name of the group.
    pub name: String,
    /// The cost of the day.
    pub cost: NanoMoney,
    /// The cost of the same weekday of the week before.
    pub before: NanoMoney,
    /// The difference in billionths of the currency.
    pub difference: i64,
    /// The part that more or fewer tokens caused, in billionths.
    pub volume: i64,
    /// The part that a change of the cost per token caused within the token classes, in billionths.
    pub price: i64,
    /// The part that a different share of the token classes caused, in billionths.
    pub mix: i64,
}

/// A figure that is far from the figures of the same weekday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Anomaly {
    /// The measure: `requests`, `tokens` or `cost_nano`.
    pub measure: String,
    /// The value of the day.
    pub value: i64,
    /// The median of the compared days.
    pub median: i64,
    /// The median of the absolute deviations from the median.
    pub mad: i64,
    /// The robust score: 0.6745 times the deviation, divided by `mad`.
    #[schema(value_type = f64)]
    pub score: Ratio,
    /// The number of days with figures that were compared.
    pub days: u32,
    /// The finding in one sentence.
    pub text: String,
    /// At most three requests of the day.
    pub request_ids: Vec<Uuid>,
}

/// Failed requests, and refused ones, of a day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DayErrors {
    /// The number of requests that failed.
    pub requests: u64,
    /// The number of requests that Tollgate refused.
    pub refused: u64,
    /// The failed and the refused requests, by code.
    pub by_code: Vec<ErrorCount>,
}

/// The number of requests with one error code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorCount {
    /// The error code of the requests.
    pub code: String,
    /// The number of requests.
    pub requests: u64,
}

/// The durations of a day's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DayLatency {
    /// The median in milliseconds; null without requests.
    pub p50_ms: Option<u64>,
    /// The 95th percentile in milliseconds.
    pub p95_ms: Option<u64>,
    /// The 99th percentile in milliseconds.
    pub p99_ms: Option<u64>,
    /// The number of requests that were measured.
    pub requests: u64,
}

/// A change that would have cost less.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Recommendation {
    /// The kind, such as `failed_requests` or `missing_prices`; example files may have others.
    pub kind: String,
    /// The recommendation in one sentence.
    pub text: String,
    /// The amount that the day would have cost less; null if it cannot be known.
    pub saves: Option<NanoMoney>,
    /// The formula of the amount.
    pub formula: String,
    /// At most three requests that the recommendation is about.
    pub request_ids: Vec<Uuid>,
}

/// The number of requests of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassCount {
    /// The class of the requests.
    pub class: Class,
    /// The number of requests.
    pub requests: u64,
}
