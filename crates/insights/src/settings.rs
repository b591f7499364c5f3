//! The settings of insights: rules, thresholds and the roles that sign off.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::classification::Class;
use crate::figures::interval::is_interval;
use crate::figures::money::{CURRENCY, NanoMoney};
use crate::figures::ratio::Ratio;

/// The maximum number of configured rules.
pub const RULES_MAX: usize = 100;

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
            cache: CacheSettings { today_ms: 5_000, redis: false },
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
#[serde(deny_unknown_fields)]
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
    /// The range of the number of LLM requests of the key on the day that were not refused, streams, embeddings and those in
    /// sessions included; the number is 0 for a request in a session or without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub requests_per_key: Option<NumberRange>,
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
#[serde(deny_unknown_fields)]
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
        Self { gateway_cost: NanoMoney::from_nano_usd(access::NanoUsd(0)) }
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
    /// Whether servers share responses through Redis, if it is configured.
    #[serde(default)]
    pub redis: bool,
}

/// The maximum number of values of one condition.
pub const VALUES_MAX: usize = 100;
/// The maximum length of names and values, in characters.
const CHARS_MAX: usize = 200;
/// The maximum number of roles that sign off.
pub const ROLES_MAX: usize = 10;
/// The maximum length of the name of a role, in characters.
pub const ROLE_CHARS_MAX: usize = 50;
/// The maximum age of figures of today.
pub const TODAY_MAX: Duration = Duration::from_secs(60);

impl InsightSettings {
    /// Checks the bounds of all values.
    ///
    /// # Errors
    /// The reason of the first invalid value.
    pub fn check(&self) -> Result<(), String> {
        let rules = &self.rules;
        if rules.len() > RULES_MAX {
            return Err(format!("`rules` may have at most {RULES_MAX} items"));
        }
        for (at, rule) in rules.iter().enumerate() {
            let name = format!("rule {}", at + 1);
            if !is_name(&rule.name) || rules.iter().take(at).any(|other| other.name == rule.name) {
                return Err(format!("{name} needs a different `name`, with 1 to {CHARS_MAX} characters"));
            }
            if !(0..=Ratio::ONE.0).contains(&rule.confidence.0) {
                return Err(format!("{name}: `confidence` must be 0 to 1"));
            }
            rule.when.check().map_err(|reason| format!("{name}: {reason}"))?;
        }
        if !(1..=366).contains(&self.anomalies.days_min) || self.anomalies.score_min.0 <= 0 {
            return Err("`anomalies` needs `days_min` of 1 to 366, and `score_min` above 0".to_owned());
        }
        if !is_interval(self.forecast.interval) {
            return Err("`forecast.interval` must be 0.5, 0.8, 0.9, 0.95 or 0.99".to_owned());
        }
        let cost = &self.roi.gateway_cost;
        if cost.amount_nano < 0 || cost.currency != CURRENCY {
            return Err(format!("`roi.gateway_cost` must be an amount in {CURRENCY} of at least 0"));
        }
        let roles = &self.signoff.roles;
        let is_role = |role: &String| (1..=ROLE_CHARS_MAX).contains(&role.chars().count());
        let is_repeated = (1..roles.len()).any(|at| roles.iter().take(at).any(|role| roles.get(at) == Some(role)));
        if !(1..=ROLES_MAX).contains(&roles.len()) || !roles.iter().all(is_role) || is_repeated {
            return Err(format!(
                "`signoff.roles` needs 1 to {ROLES_MAX} different roles of 1 to {ROLE_CHARS_MAX} characters"
            ));
        }
        if Duration::from_millis(self.cache.today_ms) > TODAY_MAX {
            return Err(format!("`cache.today_ms` must be at most {}", TODAY_MAX.as_millis()));
        }
        Ok(())
    }
}

impl RuleConditions {
    fn check(&self) -> Result<(), String> {
        let lists = [&self.client, &self.route, &self.format, &self.model, &self.tools];
        for list in lists.into_iter().flatten() {
            if !(1..=VALUES_MAX).contains(&list.len()) || !list.iter().all(|value| is_name(value)) {
                return Err(format!("a list needs 1 to {VALUES_MAX} values of 1 to {CHARS_MAX} characters"));
            }
        }
        let of_events = [self.status, self.input_tokens];
        let of_several = [self.requests_per_key, self.requests_per_session, self.interval_s];
        let ranges = of_events.into_iter().chain(of_several);
        for NumberRange { min, max } in ranges.flatten() {
            if min.is_none() && max.is_none() || min.zip(max).is_some_and(|(min, max)| min > max) {
                return Err("a range needs `min` or `max`, and `min` may not exceed `max`".to_owned());
            }
        }
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    (1..=CHARS_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_bounds_are_named() {
        assert_eq!(InsightSettings::default().check(), Ok(()));
        let rule = |when| ClassRule { name: "r".to_owned(), class: Class::Batch, when, confidence: Ratio::ONE };
        let with = |change: &dyn Fn(&mut InsightSettings)| {
            let mut settings = InsightSettings::default();
            change(&mut settings);
            settings.check().unwrap_err()
        };
        for (reason, part) in [
            (with(&|of| of.rules = vec![rule(RuleConditions::default()); 2]), "rule 2 needs"),
            (
                with(&|of| {
                    of.rules = vec![rule(RuleConditions { client: Some(Vec::new()), ..RuleConditions::default() })];
                }),
                "a list",
            ),
            (
                with(&|of| {
                    let status = Some(NumberRange { min: Some(5), max: Some(4) });
                    of.rules = vec![rule(RuleConditions { status, ..RuleConditions::default() })];
                }),
                "a range",
            ),
            (with(&|of| of.anomalies.days_min = 0), "days_min"),
            (with(&|of| of.forecast.interval = Ratio(8_100)), "interval"),
            (with(&|of| of.roi.gateway_cost.currency = "EUR".to_owned()), "gateway_cost"),
            (with(&|of| of.signoff.roles.clear()), "roles"),
            (with(&|of| of.signoff.roles = vec!["finance".to_owned(); 2]), "roles"),
            (with(&|of| of.signoff.roles = vec!["x".repeat(51)]), "roles"),
            (with(&|of| of.cache.today_ms = 60_001), "today_ms"),
        ] {
            assert!(reason.contains(part), "{reason}");
        }
    }
}
