//! Converts figures of the ledger into those of insights.

use std::collections::BTreeMap;

use insights::anomalies::DayFigures;
use insights::brief::ErrorCount;
use insights::briefing::FailedCost;
use insights::classify::RequestGroup;
use insights::movers::ModelChange;
use insights::rules::{Metadata, RuleSet};
use ledger::{DayTotals, EventGroup, GroupBounds, MinuteGroup, ModelDayUsage, UsageTotals};
use meter::{Outcome, RequestResult, ToolUse};
use uuid::Uuid;

/// The name of requests without a known model.
const NO_MODEL: &str = "unknown";

/// The bounds of numbers in the rules.
#[derive(Debug, Default)]
pub(super) struct RuleBounds {
    input_tokens: Vec<u64>,
    requests_per_key: Vec<u64>,
    requests_per_session: Vec<u64>,
    interval_s: Vec<u64>,
    sessions_of_called: bool,
}

impl RuleBounds {
    /// Returns the bounds of a set of rules.
    pub(super) fn from_rules(rules: &RuleSet) -> Self {
        Self {
            input_tokens: rules.bounds(|when| when.input_tokens),
            requests_per_key: rules.bounds(|when| when.requests_per_key),
            requests_per_session: rules.bounds(|when| when.requests_per_session),
            interval_s: rules.bounds(|when| when.interval_s),
            sessions_of_called: rules.has_sessions_of(ToolUse::Called.as_str()),
        }
    }

    /// Returns the bounds by which requests are grouped.
    pub(super) fn as_groups(&self) -> GroupBounds<'_> {
        GroupBounds {
            input_tokens: &self.input_tokens,
            requests_per_key: &self.requests_per_key,
            requests_per_session: &self.requests_per_session,
            interval_s: &self.interval_s,
            sessions_of_called: self.sessions_of_called,
        }
    }
}

/// Returns a number that reaches the first `reached` bounds.
fn number(bounds: &[u64], reached: usize) -> u64 {
    reached.checked_sub(1).and_then(|at| bounds.get(at).copied()).unwrap_or(0)
}

/// Returns the figures of one day.
pub(super) fn figures(of: &DayTotals) -> DayFigures {
    DayFigures {
        day: of.day,
        requests: of.results.all().saturating_sub(of.results.refused),
        refused: of.results.refused,
        tokens: tokens(&of.totals),
        cost_nano: of.totals.cost.0.saturating_sub(of.own_cost.0),
        own_cost_nano: of.own_cost.0,
    }
}

fn tokens(of: &UsageTotals) -> u64 {
    let classes = [of.input, of.cached_input, of.cache_write_short, of.cache_write_long, of.output, of.reasoning];
    classes.into_iter().fold(0, u64::saturating_add)
}

/// Returns the requests by metadata: events, and those that are stored as counts. `bounds` are those of the groups. Refused
/// requests have only tokens and costs.
pub(super) fn groups<'a>(
    events: &'a [EventGroup],
    minutes: &'a [MinuteGroup],
    bounds: &RuleBounds,
) -> Vec<RequestGroup<'a>> {
    let events = events.iter().map(|group| RequestGroup {
        metadata: Metadata {
            route: group.route.as_deref(),
            format: group.format.as_deref(),
            model: group.model.as_deref(),
            status: group.status,
            streamed: Some(group.streamed),
            input_tokens: Some(number(&bounds.input_tokens, group.input_bounds)),
            client: Some(group.client.as_str()),
            tools: group.tools.map(ToolUse::as_str),
            requests_per_key: Some(number(&bounds.requests_per_key, group.key_bounds)),
            requests_per_session: group.session_bounds.map(|reached| number(&bounds.requests_per_session, reached)),
            interval_s: group.interval_bounds.map(|reached| number(&bounds.interval_s, reached)),
        },
        requests: if group.result == RequestResult::Refused { 0 } else { group.requests },
        tokens: group.tokens,
        cost_nano: group.cost_nano,
        ids: if group.result == RequestResult::Refused { Vec::new() } else { ids(group) },
    });
    let is_counted = |group: &&MinuteGroup| RequestResult::of_class(group.status_class) != RequestResult::Refused;
    let minutes = minutes.iter().filter(is_counted).map(|group| RequestGroup {
        metadata: Metadata {
            route: group.route.as_deref(),
            status: u16::from(group.status_class % 10) * 100,
            streamed: Some(false),
            input_tokens: Some(0),
            requests_per_key: Some(0),
            ..Metadata::default()
        },
        requests: group.requests,
        ..RequestGroup::default()
    });
    events.chain(minutes).collect()
}

fn ids(group: &EventGroup) -> Vec<Uuid> {
    let [first, last] = group.ids;
    let last = (first != last).then_some(last);
    [Some(first), last, group.between].into_iter().flatten().map(|id| id.0).collect()
}

/// Returns the requests that failed or were refused, by code: the code of the refusal, otherwise the outcome, otherwise the
/// status.
pub(super) fn codes(events: &[EventGroup], minutes: &[MinuteGroup]) -> Vec<ErrorCount> {
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    for group in events.iter().filter(|group| group.result != RequestResult::Succeeded) {
        let code = match &group.refusal {
            Some(refusal) => refusal.clone(),
            None if group.outcome == Outcome::Completed.as_str() => format!("status_{}", group.status),
            None => group.outcome.clone(),
        };
        let of = codes.entry(code).or_default();
        *of = of.saturating_add(group.requests);
    }
    for group in minutes {
        let result = RequestResult::of_class(group.status_class);
        if result != RequestResult::Succeeded {
            let of = codes.entry(format!("status_{}xx", group.status_class % 10)).or_default();
            *of = of.saturating_add(group.requests);
        }
    }
    codes.into_iter().map(|(code, requests)| ErrorCount { code, requests }).collect()
}

/// Returns the known cost of failed requests, and some of them.
pub(super) fn failed_cost(events: &[EventGroup]) -> FailedCost {
    let failed = || events.iter().filter(|group| group.result == RequestResult::Failed && group.cost_nano > 0);
    FailedCost {
        cost_nano: failed().map(|group| group.cost_nano).fold(0, i128::saturating_add),
        ids: failed().flat_map(ids).take(3).collect(),
    }
}

/// Returns the change of each model between two days.
pub(super) fn changes(before: &[ModelDayUsage], now: &[ModelDayUsage]) -> Vec<ModelChange> {
    let mut changes: BTreeMap<String, ModelChange> = BTreeMap::new();
    let mut of = |model: &ModelDayUsage, set: fn(&mut ModelChange, u64, i64)| {
        let name = model.name.clone().unwrap_or_else(|| NO_MODEL.to_owned());
        let empty = || ModelChange { name: name.clone(), tokens_before: 0, cost_before: 0, tokens: 0, cost: 0 };
        let cost = model.totals.cost.0.saturating_sub(model.own_cost.0);
        set(changes.entry(name.clone()).or_insert_with(empty), tokens(&model.totals), cost);
    };
    for model in before {
        of(model, |change, tokens, cost| {
            change.tokens_before = change.tokens_before.saturating_add(tokens);
            change.cost_before = change.cost_before.saturating_add(cost);
        });
    }
    for model in now {
        of(model, |change, tokens, cost| {
            change.tokens = change.tokens.saturating_add(tokens);
            change.cost = change.cost.saturating_add(cost);
        });
    }
    changes.into_values().collect()
}
