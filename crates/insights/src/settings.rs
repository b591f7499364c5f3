//! The settings of insights: rules, thresholds and the roles that sign off.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::classification::Class;
use crate::money::NanoMoney;
use crate::ratio::Ratio;

/// The settings that are in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InsightSettings {
    /// The version; it grows by one with each change.
    pub version: u64,
    /// The rules before the built-in ones; the first match decides.
    pub rules: Vec<ClassRule>,
    /// The search for anomalies.
    pub anomalies: AnomalySettings,
    /// The forecast of the month.
    pub forecast: ForecastSettings,
    /// The assumptions of savings.
    #[serde(default)]
    pub roi: RoiSettings,
    /// The roles that sign off.
    pub signoff: SignoffSettings,
    /// The cache of responses.
    pub cache: CacheSettings,
}

impl Default for InsightSettings {
    fn default() -> Self {
        Self {
            version: 1,
            rules: Vec::new(),
            anomalies: AnomalySettings { days_min: 14, score_min: Ratio(35_000) },
            forecast: ForecastSettings { interval: Ratio(8_000) },
            roi: RoiSettings::default(),
            signoff: SignoffSettings { roles: ["team_lead", "finance"].map(str::to_owned).to_vec() },
            cache: CacheSettings { today_ms: 5_000 },
        }
    }
}

/// One rule: requests that match all its conditions have its class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// The name of the rule.
    pub name: String,
    /// The class of the requests that match.
    pub class: Class,
    /// The conditions, which must all hold.
    pub when: RuleConditions,
    /// The confidence of the rule, from 0 to 1.
    #[schema(value_type = f64)]
    pub confidence: Ratio,
}

/// Conditions on the metadata of a request. Without any condition, every request matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConditions {
    /// The programs that sent the request, such as `codex`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub client: Option<Vec<String>>,
    /// The names of routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub route: Option<Vec<String>>,
    /// The formats of LLM requests, such as `chat`; `none` for ordinary APIs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub format: Option<Vec<String>>,
    /// The names of models.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub model: Option<Vec<String>>,
    /// The range of the HTTP status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub status: Option<NumberRange>,
    /// Whether the response was streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub streamed: Option<bool>,
    /// The use of tools: `none`, `offered` or `called`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tools: Option<Vec<String>>,
    /// The range of the number of requests of the session on the day.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub requests_per_session: Option<NumberRange>,
    /// The range of the seconds since the previous request of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub interval_s: Option<NumberRange>,
    /// The range of the number of input tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub input_tokens: Option<NumberRange>,
}

/// A range with at least one end; both ends belong to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NumberRange {
    /// The smallest number of the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub min: Option<u64>,
    /// The largest number of the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub max: Option<u64>,
}

/// The search for anomalies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnomalySettings {
    /// The number of days with figures before which no anomaly is reported.
    pub days_min: u32,
    /// The smallest score of an anomaly.
    #[schema(value_type = f64)]
    pub score_min: Ratio,
}

/// The forecast of the month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastSettings {
    /// The part of outcomes inside of the interval, above 0 and below 1.
    #[schema(value_type = f64)]
    pub interval: Ratio,
}

/// The assumptions of savings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoiSettings {
    /// The cost of running the gateway, per month.
    pub gateway_cost: NanoMoney,
}

impl Default for RoiSettings {
    fn default() -> Self {
        Self { gateway_cost: NanoMoney::of(access::NanoUsd(0)) }
    }
}

/// The roles that sign off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignoffSettings {
    /// The names of the roles that must approve a day, in their order.
    pub roles: Vec<String>,
}

/// The cache of responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheSettings {
    /// The maximum age of figures of today, in milliseconds.
    pub today_ms: u64,
}
