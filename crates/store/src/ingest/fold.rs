//! What a batch of records adds up to: totals a caller and day, counts a minute. No I/O.

use std::collections::BTreeMap;

use access::NanoUsd;
use meter::{Attempt, Counts, Source, Usage, UsageEvent};

use crate::usage::Totals;

/// A row of `daily_usage`, in the order of its unique index: rows are written in one order by all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallerDay {
    pub(crate) day: i64,
    pub(crate) user: i64,
    pub(crate) key: i64,
}

/// A row of `usage_counts`; `key` is 0 where there was no caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Minute {
    pub(crate) key: i64,
    pub(crate) route: i64,
    pub(crate) status_class: i64,
    pub(crate) minute: i64,
}

/// What [`Minute`]s hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) user: i64,
    pub(crate) requests: u64,
    pub(crate) credits: u64,
}

/// Totals of known callers.
pub(crate) fn days<'a>(
    events: impl IntoIterator<Item = &'a UsageEvent>,
    counts: impl IntoIterator<Item = &'a Counts>,
) -> BTreeMap<CallerDay, Totals> {
    let mut days: BTreeMap<CallerDay, Totals> = BTreeMap::new();
    for event in events {
        if let Some(caller) = event.caller {
            let day = CallerDay { day: event.day.0.into(), user: caller.user.0, key: caller.key.0 };
            days.entry(day).or_default().add(&totals(event));
        }
    }
    for counts in counts {
        if let Some(caller) = counts.caller {
            let day = CallerDay { day: counts.day.0.into(), user: caller.user.0, key: caller.key.0 };
            let more = Totals { requests: counts.requests, credits: counts.credits, ..Totals::default() };
            days.entry(day).or_default().add(&more);
        }
    }
    days
}

/// Counts a minute; `route_no` gives a route's number.
pub(crate) fn minutes<'a>(
    counts: impl IntoIterator<Item = &'a Counts>,
    route_no: impl Fn(&str) -> Option<i64>,
) -> BTreeMap<Minute, Counted> {
    let mut minutes: BTreeMap<Minute, Counted> = BTreeMap::new();
    for counts in counts {
        let (user, key) = counts.caller.map_or((0, 0), |caller| (caller.user.0, caller.key.0));
        let minute = Minute {
            key,
            route: route_no(&counts.route).unwrap_or(0),
            status_class: counts.status_class.into(),
            minute: counts.minute.into(),
        };
        let counted = minutes.entry(minute).or_default();
        counted.user = user;
        counted.requests = counted.requests.saturating_add(counts.requests);
        counted.credits = counted.credits.saturating_add(counts.credits);
    }
    minutes
}

fn totals(event: &UsageEvent) -> Totals {
    let usage = usage(&event.attempts);
    let tokens = |class: fn(&Usage) -> Option<u64>| usage.as_ref().and_then(class).unwrap_or(0);
    let unpriced = event.format.is_some() && event.attempts.iter().any(|attempt| attempt.cost.is_none());
    Totals {
        requests: 1,
        credits: event.credits.0.into(),
        input: tokens(|usage| usage.input),
        cached_input: tokens(|usage| usage.cached_input),
        cache_write_short: tokens(|usage| usage.cache_write_short),
        cache_write_long: tokens(|usage| usage.cache_write_long),
        output: tokens(|usage| usage.output),
        reasoning: tokens(|usage| usage.reasoning),
        cost: cost(&event.attempts).unwrap_or_default(),
        unpriced_requests: unpriced.into(),
    }
}

/// The attempts' usage together, as true as the least true of them; `None` where none is known.
pub(crate) fn usage(attempts: &[Attempt]) -> Option<Usage> {
    let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        (a, b) => a.or(b),
    };
    attempts.iter().filter_map(|attempt| attempt.usage).reduce(|a, b| Usage {
        source: less_true(a.source, b.source),
        input: sum(a.input, b.input),
        cached_input: sum(a.cached_input, b.cached_input),
        cache_write_short: sum(a.cache_write_short, b.cache_write_short),
        cache_write_long: sum(a.cache_write_long, b.cache_write_long),
        output: sum(a.output, b.output),
        reasoning: sum(a.reasoning, b.reasoning),
    })
}

/// What is known of the attempts' cost; `None` where none is.
pub(crate) fn cost(attempts: &[Attempt]) -> Option<NanoUsd> {
    attempts.iter().filter_map(|attempt| attempt.cost).reduce(NanoUsd::saturating_add)
}

const fn less_true(a: Source, b: Source) -> Source {
    match (a, b) {
        (Source::Bounded, _) | (_, Source::Bounded) => Source::Bounded,
        (Source::Counted, _) | (_, Source::Counted) => Source::Counted,
        (Source::Reported, Source::Reported) => Source::Reported,
    }
}
