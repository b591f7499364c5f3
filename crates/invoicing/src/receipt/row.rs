//! One line of a day's file: a request, or requests that are stored as counts.

use std::collections::BTreeMap;

use access::{Credits, Day, Timestamp};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::priced::PricedAttempt;
use crate::rules::usage::UsageDay;

/// One request, or the requests of one route and class of the status that are stored as counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReceiptRow {
    /// Id of the request; absent for counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// Time at which the head of the request had arrived, as RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub started_at: String,
    /// Name of the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Name of the model of an LLM call, as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Provider of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Version of the price of the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<String>,
    /// Status that the client received; of counts the first digit.
    pub status: u16,
    /// Outcome of the request.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub outcome: String,
    /// Number of requests: 1, or the number of counted requests.
    pub requests: u64,
    /// Credits of the requests.
    pub credits: Credits,
    /// Tokens by class, of all attempts. Their sum is what invoices charge.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tokens: BTreeMap<String, u64>,
    /// Other units that the provider charges: images, seconds, calls of tools.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub units: BTreeMap<String, u64>,
    /// Known part of the cost in nano-USD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_nano: Option<u64>,
    /// Whether the cost is unknown or partly unknown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unpriced: bool,
    /// The attempts with a cost, each with the rates by which it was priced; absent if an older release listed the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priced: Vec<PricedAttempt>,
}

/// The sums of a day's rows: of all requests, and of each model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiptSums {
    /// Number of rows that were added.
    pub rows: u64,
    by_model: BTreeMap<Option<String>, UsageDay>,
}

impl ReceiptSums {
    /// Adds a row of a day.
    pub fn add(&mut self, day: Day, row: &ReceiptRow) {
        self.rows = self.rows.saturating_add(1);
        let tokens = row.tokens.values().fold(0_u64, |sum, tokens| sum.saturating_add(*tokens));
        for model in [None, row.model.clone()].into_iter().take(1 + usize::from(row.model.is_some())) {
            let of = self.by_model.entry(model.clone());
            let of = of.or_insert_with(|| UsageDay { day, model, ..UsageDay::default() });
            of.requests = of.requests.saturating_add(row.requests);
            of.credits = of.credits.saturating_add(row.credits);
            of.tokens = of.tokens.saturating_add(tokens);
            of.cost_nano = of.cost_nano.saturating_add(row.cost_nano.unwrap_or(0));
            of.unpriced_requests = of.unpriced_requests.saturating_add(u64::from(row.unpriced));
        }
    }

    /// Returns the first usage of a day that differs from its rows, with the sum of the rows; `None` if all are equal.
    /// Usage that is zero needs no rows.
    #[must_use]
    pub fn difference(&self, day: Day, usage: &[UsageDay]) -> Option<(UsageDay, UsageDay)> {
        let of_day = usage.iter().filter(|of| of.day == day);
        let zero = |model: &Option<String>| UsageDay { day, model: model.clone(), ..UsageDay::default() };
        let stated: BTreeMap<&Option<String>, &UsageDay> = of_day.map(|of| (&of.model, of)).collect();
        let models = self.by_model.keys().chain(stated.keys().copied());
        let pairs = models.map(|model| {
            let stated = stated.get(model).map_or_else(|| zero(model), |of| (*of).clone());
            (stated, self.by_model.get(model).cloned().unwrap_or_else(|| zero(model)))
        });
        pairs.into_iter().find(|(stated, summed)| stated != summed)
    }
}

/// Formats a time as RFC 3339 in UTC.
#[must_use]
pub fn rfc3339(at: Timestamp) -> String {
    let moment = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_micros);
    moment.unwrap_or(DateTime::<Utc>::MAX_UTC).to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
