//! Composes the responses of a day from its figures.

use access::{Day, NanoUsd, Timestamp};
use uuid::Uuid;

use crate::anomalies::{DayFigures, anomalies};
use crate::brief::{Brief, BudgetUse, ClassCount, DayErrors, DayLatency, ErrorCount, Recommendation, Spend};
use crate::classification::Classification;
use crate::classify::{DaySums, RequestGroup, clamped, classify};
use crate::figures::day::{date, earlier, month, rfc3339};
use crate::figures::money::{NanoMoney, shown};
use crate::forecast::forecast;
use crate::movers::{ModelChange, movers};
use crate::roi::{NotCounted, Roi, RoiCost, Saving};
use crate::rules::{BUILT_IN_VERSION, RuleSet};
use crate::scope::DayScope;
use crate::settings::InsightSettings;
use crate::signed_classes::SignedClasses;

/// The maximum number of error codes that a brief lists.
const CODES_MAX: usize = 20;

/// The day, the scope and the state of figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiguresHead {
    /// The day in UTC.
    pub day: Day,
    /// The users whose usage the figures contain.
    pub scope: DayScope,
    /// The time of the figures.
    pub as_of: Timestamp,
    /// Whether the day is over and all its usage is stored.
    pub complete: bool,
    /// The version of the day's figures.
    pub figures_version: u64,
}

/// The requests of a day by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayOutcomes {
    /// The number of requests that failed.
    pub failed: u64,
    /// The number of LLM requests whose cost is unknown or partly unknown.
    pub unpriced: u64,
}

/// The cost of failed requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedCost {
    /// The sum of the known costs in nano-USD.
    pub cost_nano: i128,
    /// Some of these requests.
    pub ids: Vec<Uuid>,
}

/// The figures that a brief is composed of.
#[derive(Debug, Clone)]
pub struct BriefFigures<'a> {
    /// The day, the scope and the state of the figures.
    pub head: FiguresHead,
    /// The days with requests up to the day of the brief, oldest first.
    pub days: &'a [DayFigures],
    /// The requests of the day by result.
    pub outcomes: DayOutcomes,
    /// The models of the day and of the same weekday of the week before.
    pub models: &'a [ModelChange],
    /// The events of the day by metadata.
    pub groups: &'a [RequestGroup<'a>],
    /// The requests of the day that failed or were refused, by code.
    pub codes: Vec<ErrorCount>,
    /// The cost of failed requests.
    pub failed: FailedCost,
    /// The durations of the day's requests.
    pub latency: DayLatency,
    /// The budget in money that applies to the scope.
    pub budget: Option<BudgetUse>,
    /// The classes that were approved, if the day is approved; they take the place of those of `groups`.
    pub signed: Option<&'a SignedClasses>,
}

impl FiguresHead {
    /// Returns the id of the day's brief.
    #[must_use]
    pub fn id(&self) -> String {
        self.scope.brief_id(self.day)
    }
}

/// Returns the figures of one day among `days`; zeros if it has no requests.
fn of_day(days: &[DayFigures], day: Option<Day>) -> DayFigures {
    let found = day.and_then(|day| days.iter().find(|of| of.day == day).copied());
    found.unwrap_or(DayFigures { day: day.unwrap_or_default(), ..DayFigures::default() })
}

fn sums(of: &DayFigures) -> DaySums {
    DaySums { requests: of.requests, tokens: of.tokens, cost_nano: of.cost_nano.into() }
}

/// The figures that a classification is composed of.
#[derive(Debug, Clone, Copy)]
pub struct ClassifiedDay<'a> {
    /// The figures of the day.
    pub figures: &'a DayFigures,
    /// The number of LLM requests whose cost is unknown or partly unknown.
    pub unpriced: u64,
    /// The events of the day by metadata.
    pub groups: &'a [RequestGroup<'a>],
}

/// Returns the requests of a day by class.
#[must_use]
pub fn classification(head: &FiguresHead, settings: &InsightSettings, day: ClassifiedDay<'_>) -> Classification {
    let ClassifiedDay { figures, unpriced, groups } = day;
    Classification {
        id: head.id(),
        date: date(head.day),
        scope: head.scope.clone(),
        as_of: rfc3339(head.as_of),
        complete: head.complete,
        figures_version: head.figures_version,
        rules_version: settings.version,
        built_in_rules_version: Some(BUILT_IN_VERSION),
        requests: figures.requests,
        refused: figures.refused,
        tokens: figures.tokens,
        cost: NanoMoney::from_nano_usd(NanoUsd(figures.cost_nano)),
        own_cost: NanoMoney::from_nano_usd(NanoUsd(figures.own_cost_nano)),
        unpriced_requests: unpriced,
        classes: classify(&RuleSet::with(&settings.rules), groups, sums(figures)),
    }
}

/// Returns the brief of a day.
#[must_use]
pub fn brief(of: BriefFigures<'_>, settings: &InsightSettings) -> Brief {
    let BriefFigures { head, days, outcomes, models, groups, mut codes, failed, latency, budget, signed } = of;
    let today = of_day(days, Some(head.day));
    let week_before = of_day(days, earlier(head.day, 7));
    let shares = classify(&RuleSet::with(&settings.rules), groups, sums(&today));
    let ids: Vec<Uuid> = shares.iter().flat_map(|class| class.request_ids.clone()).collect();
    let computed = shares.iter().map(|of| ClassCount { class: of.class, requests: of.requests });
    let classes = signed.map_or_else(|| computed.collect(), |signed| signed.classes.clone());
    let earlier_days: Vec<DayFigures> = days.iter().filter(|of| of.day < head.day).copied().collect();
    let (anomalies, anomalies_reason) = match anomalies(today, &earlier_days, &settings.anomalies, &ids) {
        Ok(mut found) => {
            // Figures of a day that is not over are low because of the time.
            found.retain(|of| head.complete || of.value > of.median);
            (found, None)
        }
        Err(reason) => (Vec::new(), Some(reason)),
    };
    codes.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.code.cmp(&b.code)));
    codes.truncate(CODES_MAX);
    let money = |nano: i64| NanoMoney::from_nano_usd(NanoUsd(nano));
    Brief {
        id: head.id(),
        date: date(head.day),
        scope: head.scope.clone(),
        as_of: rfc3339(head.as_of),
        complete: head.complete,
        figures_version: head.figures_version,
        rules_version: settings.version,
        built_in_rules_version: Some(signed.map_or(BUILT_IN_VERSION, |signed| signed.built_in_rules_version)),
        headline: headline(&head.scope, &today, &week_before, &classes),
        spend: Spend {
            cost: money(today.cost_nano),
            own_cost: money(today.own_cost_nano),
            requests: today.requests,
            refused: today.refused,
            tokens: today.tokens,
            unpriced_requests: outcomes.unpriced,
            yesterday: money(of_day(days, earlier(head.day, 1)).cost_nano),
            same_weekday: money(week_before.cost_nano),
            budget,
        },
        forecast: forecast(head.day, days, &settings.forecast),
        movers: movers(models, week_before.cost_nano, today.cost_nano),
        anomalies,
        anomalies_reason,
        errors: DayErrors { requests: outcomes.failed, refused: today.refused, by_code: codes },
        latency,
        recommendations: recommendations(outcomes, failed),
        classes,
    }
}

fn headline(scope: &DayScope, today: &DayFigures, week_before: &DayFigures, classes: &[ClassCount]) -> String {
    let who = match scope {
        DayScope::All {} => "all users".to_owned(),
        DayScope::User { .. } => "this user".to_owned(),
        DayScope::Label { label } => label.split_once('=').map_or(label.as_str(), |(_, value)| value).to_owned(),
    };
    let difference = i128::from(today.cost_nano) - i128::from(week_before.cost_nano);
    let change = match difference {
        0 => "as much as on the same weekday".to_owned(),
        1.. => format!("{} more than on the same weekday", shown(difference)),
        _ => format!("{} less than on the same weekday", shown(-difference)),
    };
    let spent = format!("{who} spent {}, {change}", shown(today.cost_nano.into()));
    let largest = classes.iter().filter(|class| class.requests > 0).max_by_key(|class| class.requests);
    match largest {
        None if today.requests == 0 && today.refused == 0 => format!("{spent}; there were no requests"),
        None if today.requests == 0 => format!("{spent}; {} requests were refused", today.refused),
        None => format!("{spent}; the events of {} requests are deleted, so classes are missing", today.requests),
        Some(class) => {
            format!("{spent}; {} of {} requests are {}", class.requests, today.requests, class.class.as_str())
        }
    }
}

fn recommendations(outcomes: DayOutcomes, failed: FailedCost) -> Vec<Recommendation> {
    let mut all = Vec::new();
    if failed.cost_nano > 0 {
        all.push(Recommendation {
            kind: "failed_requests".to_owned(),
            text: format!("{} requests failed, and some of them had a cost", outcomes.failed),
            saves: Some(NanoMoney::from_nano_usd(clamped(failed.cost_nano))),
            formula: "sum of the known costs of failed requests".to_owned(),
            request_ids: failed.ids,
        });
    }
    if outcomes.unpriced > 0 {
        all.push(Recommendation {
            kind: "missing_prices".to_owned(),
            text: format!(
                "the cost of {} requests is unknown; add the prices of their models, unless their usage is unknown",
                outcomes.unpriced
            ),
            saves: None,
            formula: "number of LLM requests with an unknown cost".to_owned(),
            request_ids: Vec::new(),
        });
    }
    all
}

/// Savings by prompt caches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheSavings {
    /// The amount in nano-USD.
    pub amount_nano: i128,
    /// The number of requests that saved it.
    pub requests: u64,
    /// The number of requests whose price is not configured any more, or was never known.
    pub without_price: u64,
}

/// The use of the response caches of routes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResponseCacheUse {
    /// Whether a route has a cache.
    pub is_configured: bool,
    /// The number of requests that a cache served.
    pub requests: u64,
}

impl ResponseCacheUse {
    /// Returns the reason why the savings are unknown.
    const fn reason(self) -> &'static str {
        match (self.requests, self.is_configured) {
            (0, false) => "no route has a cache",
            (0, true) => "no request with an event was served from a cache",
            (1.., _) => "these requests were served from a cache; the amount that they would have cost is not recorded",
        }
    }
}

/// The figures that the cost and the savings of a day are composed of.
#[derive(Debug, Clone, Copy)]
pub struct RoiFigures<'a> {
    /// The figures of the day.
    pub figures: &'a DayFigures,
    /// The number of requests that a limit on usage refused.
    pub refused_by_budget: u64,
    /// The savings by prompt caches.
    pub prompt_caches: CacheSavings,
    /// The use of response caches.
    pub response_caches: ResponseCacheUse,
    /// The cost of running the gateway, per month.
    pub gateway_cost: NanoUsd,
}

/// Returns the share of one day in an amount per month. The shares of all days of a month add up to the amount.
fn share_of_day(per_month: NanoUsd, day: Day) -> NanoUsd {
    let (first, last) = month(day);
    let number = |of: Day| i128::from(of.0.saturating_sub(first.0)) + 1;
    let until = |days: i128| i128::from(per_month.0) * days / number(last);
    clamped(until(number(day)) - until(number(day) - 1))
}

/// Returns the costs of requests and, for all users, of the gateway.
fn costs(head: &FiguresHead, requests: NanoUsd, gateway_per_month: NanoUsd) -> Vec<RoiCost> {
    let cost = |kind: &str, amount, formula: &str, assumption: &str| RoiCost {
        kind: kind.to_owned(),
        amount: NanoMoney::from_nano_usd(amount),
        formula: formula.to_owned(),
        assumptions: vec![assumption.to_owned()],
    };
    let known = "requests with an unknown cost, and costs that users' own credentials paid, are not included";
    let mut costs = vec![cost("requests", requests, "sum of the known costs of requests", known)];
    if gateway_per_month.0 > 0 && matches!(head.scope, DayScope::All {}) {
        let share = share_of_day(gateway_per_month, head.day);
        let equal = "all days of a month cost the same, and a day that is not over counts in full";
        costs.push(cost("gateway", share, "insights.roi.gateway_cost / days of the month", equal));
    }
    costs
}

/// Returns the cost and the savings of a day.
#[must_use]
pub fn roi(head: &FiguresHead, of: RoiFigures<'_>) -> Roi {
    let RoiFigures { figures, refused_by_budget, prompt_caches: caches, response_caches, gateway_cost } = of;
    let costs = costs(head, NanoUsd(figures.cost_nano), gateway_cost);
    let spent = costs.iter().map(|cost| i128::from(cost.amount.amount_nano)).sum();
    let amount = NanoMoney::from_nano_usd(clamped(caches.amount_nano));
    let saving = Saving {
        kind: "prompt_cache".to_owned(),
        amount: amount.clone(),
        requests: caches.requests,
        formula: "cached_input x (input rate - cached_input rate), each at the event's price".to_owned(),
        assumptions: vec!["long prompts are counted at the rates of short ones, which are lower".to_owned()],
    };
    let not = |kind: &str, requests: u64, reason: &str| NotCounted {
        kind: kind.to_owned(),
        requests,
        reason: reason.to_owned(),
    };
    let mut not_counted = vec![
        not("refused_overspend", refused_by_budget, "the amount that a refused call would have cost is not recorded"),
        not("response_cache", response_caches.requests, response_caches.reason()),
    ];
    if caches.without_price > 0 {
        let reason = "the price of these requests is unknown, or not configured any more";
        not_counted.push(not("prompt_cache", caches.without_price, reason));
    }
    if gateway_cost.0 > 0 && !matches!(head.scope, DayScope::All {}) {
        not_counted.push(not("gateway", 0, "the cost of running the gateway is not divided between users or labels"));
    }
    Roi {
        id: head.id(),
        date: date(head.day),
        scope: head.scope.clone(),
        as_of: rfc3339(head.as_of),
        complete: head.complete,
        spent: NanoMoney::from_nano_usd(clamped(spent)),
        own_cost: NanoMoney::from_nano_usd(NanoUsd(figures.own_cost_nano)),
        costs,
        saved: if caches.requests > 0 { vec![saving] } else { Vec::new() },
        not_counted,
        total_saved: amount,
    }
}

#[cfg(test)]
mod tests;
