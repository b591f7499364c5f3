//! Sums of a batch of records: totals per key and day, totals per hour, counts per minute. Performs no I/O.

use access::{Credits, Day, LabelSet, NanoUsd, PlanId, Subject, SubjectId, Timestamp};
use meter::{Attempt, Charge, Counts, RequestResult, Usage, UsageEvent};
use rustc_hash::FxHashMap;
use store::sql::micros;

use crate::ingest::attempt_sums::{cost, own_cost, usage};
use crate::ingest::names::{BatchNames, NameKind};
use crate::skipped_targets;
use crate::stored_text::{refused_limits, windows};
use crate::usage_totals::UsageTotals;

const MICROS_PER_MINUTE: u64 = 60_000_000;
const MICROS_PER_HOUR: i64 = 3_600_000_000;
const MINUTES_PER_HOUR: i64 = 60;
/// The model's number of requests that are no LLM requests.
const NO_MODEL: i64 = -1;

/// An event with what several rows contain of it.
#[derive(Debug)]
pub(crate) struct CountedEvent<'a> {
    pub(crate) event: &'a UsageEvent,
    /// Number of the route's name.
    pub(crate) route: i64,
    /// Number of the model's name.
    pub(crate) model: Option<i64>,
    /// Number of the subject, if it is recorded by name.
    pub(crate) subject: Option<i64>,
    /// Number of the set of labels.
    pub(crate) labels: i64,
    /// Numbers of the last attempt's names.
    pub(crate) last_attempt: AttemptNumbers,
    /// Usage of all attempts.
    pub(crate) usage: Option<Usage>,
    /// Cost of all attempts.
    pub(crate) cost: Option<NanoUsd>,
    /// Cost of the attempts with the user's own credential; `None` without such an attempt.
    pub(crate) own_cost: Option<NanoUsd>,
    /// Skipped targets as the store keeps them.
    pub(crate) skipped: Option<String>,
    /// The limit that refused the request as the store keeps it.
    pub(crate) refused_limit: Option<String>,
    /// The windows in which the request counts as the store keeps them.
    pub(crate) windows: Option<String>,
    /// Amounts of the request in totals, if it counts.
    totals: UsageTotals,
}

/// Numbers of an attempt's names.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttemptNumbers {
    pub(crate) provider: Option<i64>,
    pub(crate) model: Option<i64>,
    pub(crate) answered_model: Option<i64>,
    pub(crate) price: Option<i64>,
}

/// Key of a row in `daily_usage`, in the order of its unique index: all writers write rows in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CallerDay {
    pub(crate) day: i64,
    pub(crate) user: i64,
    pub(crate) key: i64,
}

/// Values of a row with the key [`CallerDay`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CallerTotals {
    pub(crate) totals: UsageTotals,
    /// Amounts that count for budgets.
    pub(crate) charge: Charge,
    /// Part of the cost that the user's own credentials paid.
    pub(crate) own_cost: NanoUsd,
}

/// Key of a row in `daily_plans`, in the order of its unique index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PlanDay {
    pub(crate) day: i64,
    pub(crate) plan: PlanId,
}

/// Key of a row in `daily_subjects`, in the order of its unique index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SubjectDay {
    pub(crate) subject: SubjectId,
    pub(crate) day: i64,
}

/// Key of a row in `daily_models`, in the order of its unique index; `model` is 0 if the model has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ModelDay {
    pub(crate) user: i64,
    pub(crate) day: i64,
    pub(crate) model: i64,
}

/// Values of a row with the key [`ModelDay`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ModelTotals {
    pub(crate) totals: UsageTotals,
    /// Number of all requests by result, including those that are in no total.
    pub(crate) results: ResultCounts,
    /// Total duration of the requests in the total, in microseconds.
    pub(crate) duration_us: u64,
    /// Part of the cost that the user's own credentials paid.
    pub(crate) own_cost: NanoUsd,
}

/// Key of a row in `hourly_usage`, in the order of its unique index; `user` and `key` are 0 without a key, `model` is 0 if the model has no name, and
/// [`NO_MODEL`] if the request is no LLM request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SeriesHour {
    pub(crate) user: i64,
    pub(crate) hour: i64,
    pub(crate) key: i64,
    pub(crate) model: i64,
    pub(crate) route: i64,
    pub(crate) day: i64,
    /// Number of the [`RequestResult`].
    pub(crate) result: i64,
}

/// Key of a row in `daily_routes`, in the order of its unique index; `user` is 0 without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct RouteDay {
    pub(crate) user: i64,
    pub(crate) day: i64,
    pub(crate) route: i64,
}

/// Key of a row in `daily_labels`, in the order of its unique index; `user` and `model` as in [`SeriesHour`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct LabelDay {
    pub(crate) day: i64,
    pub(crate) labels: i64,
    pub(crate) user: i64,
    pub(crate) model: i64,
}

/// The number of requests with each result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ResultCounts {
    pub(crate) succeeded: u64,
    pub(crate) refused: u64,
    pub(crate) errors: u64,
}

impl ResultCounts {
    fn from_result(result: RequestResult, requests: u64) -> Self {
        let of = |other| if result == other { requests } else { 0 };
        Self {
            succeeded: of(RequestResult::Succeeded),
            refused: of(RequestResult::Refused),
            errors: of(RequestResult::Failed),
        }
    }

    const fn add(&mut self, more: Self) {
        self.succeeded = self.succeeded.saturating_add(more.succeeded);
        self.refused = self.refused.saturating_add(more.refused);
        self.errors = self.errors.saturating_add(more.errors);
    }
}

/// Values of a row with the key [`SeriesHour`] or [`RouteDay`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SeriesTotals {
    pub(crate) totals: UsageTotals,
    /// Number of all requests by result, including those that are in no total.
    pub(crate) results: ResultCounts,
    /// Number of requests whose duration is added up: those with an attempt.
    pub(crate) timed: u64,
    /// Total duration of these requests in microseconds.
    pub(crate) duration_us: u64,
    /// Part of the cost that users' own credentials paid; only rows of labels store it.
    pub(crate) own_cost: NanoUsd,
}

/// Key of a row in `usage_counts`; `key` is 0 without a key, `subject` is 0 without a subject that is recorded by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Minute {
    pub(crate) key: i64,
    pub(crate) subject: i64,
    pub(crate) route: i64,
    pub(crate) status_class: i64,
    pub(crate) minute: i64,
    pub(crate) day: i64,
    pub(crate) labels: i64,
}

/// Values of a row with the key [`Minute`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MinuteCounts {
    pub(crate) user: i64,
    pub(crate) requests: u64,
    pub(crate) credits: Credits,
}

impl<'a> CountedEvent<'a> {
    /// Adds up the attempts of an event, and finds the numbers of its names.
    pub(crate) fn new(event: &'a UsageEvent, names: &mut BatchNames<'_, 'a>) -> Self {
        let usage = usage(&event.attempts);
        let cost = cost(&event.attempts);
        // Names of all attempts are looked up, so that unknown ones are found.
        let attempts = event.attempts.iter().map(|attempt| AttemptNumbers::new(attempt, names));
        let last_attempt = attempts.last().unwrap_or_default();
        Self {
            event,
            route: names.get(NameKind::Route, &event.route).unwrap_or(0),
            model: event.model.as_deref().and_then(|model| names.get(NameKind::Model, model)),
            subject: names.subject(&event.subject),
            labels: names.labels(&event.origin.labels),
            last_attempt,
            usage,
            cost,
            own_cost: own_cost(&event.attempts),
            skipped: skipped_targets::stored(&event.origin.skipped),
            refused_limit: event.origin.refused_limit.as_deref().map(refused_limits::stored),
            windows: windows::stored(&event.windows),
            totals: totals(event, usage, cost),
        }
    }

    /// Returns the number of the model's name, 0 without a name, and [`NO_MODEL`] if the request is no LLM request.
    fn model_or_none(&self) -> i64 {
        if self.event.format.is_some() { self.model.unwrap_or(0) } else { NO_MODEL }
    }
}

impl AttemptNumbers {
    pub(crate) fn new<'a>(attempt: &'a Attempt, names: &mut BatchNames<'_, 'a>) -> Self {
        let mut number = |kind, name: Option<&'a str>| name.and_then(|name| names.get(kind, name));
        Self {
            provider: number(NameKind::Provider, Some(&attempt.provider)),
            model: number(NameKind::Model, attempt.model.as_deref()),
            answered_model: number(NameKind::Model, attempt.answered_model.as_deref()),
            price: number(NameKind::Price, attempt.price_version.as_deref()),
        }
    }
}

/// Returns the rows in the order of their keys: all writers write rows in this order.
pub(super) fn sorted<K: Ord + Copy, V>(rows: FxHashMap<K, V>) -> Vec<(K, V)> {
    let mut rows: Vec<(K, V)> = rows.into_iter().collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    rows
}

/// Adds up the totals of requests with a key.
pub(crate) fn days(events: &[CountedEvent<'_>], counts: &[&Counts]) -> Vec<(CallerDay, CallerTotals)> {
    let mut days: FxHashMap<CallerDay, CallerTotals> = FxHashMap::default();
    for counted in events.iter().filter(|counted| counted.event.counts()) {
        let event = counted.event;
        if let Some(caller) = event.subject.caller() {
            let day = CallerDay { day: event.day.0.into(), user: caller.user.0, key: caller.key.0 };
            let of = days.entry(day).or_default();
            of.totals.add(&counted.totals);
            of.charge = of.charge.and(&event.charge);
            of.own_cost = of.own_cost.saturating_add(counted.own_cost.unwrap_or_default());
        }
    }
    for counts in counts.iter().filter(|counts| counts.sent_requests() > 0) {
        if let Some(caller) = counts.subject.caller() {
            let day = CallerDay { day: counts.day.0.into(), user: caller.user.0, key: caller.key.0 };
            let of = days.entry(day).or_default();
            let requests = counts.sent_requests();
            of.totals.add(&UsageTotals { requests, credits: counts.credits, ..UsageTotals::default() });
            of.charge = of.charge.and(&Charge::credits(counts.credits));
        }
    }
    sorted(days)
}

/// Adds up the charges for the budgets of plans and for global budgets.
pub(crate) fn plans(events: &[CountedEvent<'_>], counts: &[&Counts]) -> Vec<(PlanDay, Charge)> {
    let events = events.iter().map(|counted| counted.event).filter(|event| event.counts());
    let events = events.map(|event| (event.subject.caller(), event.day, event.charge));
    let counts = counts.iter().filter(|counts| counts.sent_requests() > 0);
    let counts = counts.map(|counts| (counts.subject.caller(), counts.day, Charge::credits(counts.credits)));
    let mut plans: FxHashMap<PlanDay, Charge> = FxHashMap::default();
    for (caller, day, charge) in events.chain(counts) {
        if let Some(caller) = caller {
            let of = plans.entry(PlanDay { day: day.0.into(), plan: caller.plan }).or_default();
            *of = of.and(&charge);
        }
    }
    sorted(plans)
}

/// Adds up the charges of subjects without a user. A subject without a quota is charged nothing, and has no row.
pub(crate) fn subjects(events: &[CountedEvent<'_>], counts: &[&Counts]) -> Vec<(SubjectDay, Charge)> {
    let events = events.iter().map(|counted| counted.event).filter(|event| event.counts());
    let events = events.map(|event| (&event.subject, event.day, event.charge));
    let counts = counts.iter().map(|counts| (&counts.subject, counts.day, Charge::credits(counts.credits)));
    let mut subjects: FxHashMap<SubjectDay, Charge> = FxHashMap::default();
    for (subject, day, charge) in events.chain(counts).filter(|(.., charge)| *charge != Charge::default()) {
        if let Some(subject) = SubjectId::from_subject(subject) {
            let of = subjects.entry(SubjectDay { subject, day: day.0.into() }).or_default();
            *of = of.and(&charge);
        }
    }
    sorted(subjects)
}

/// Adds up the totals of LLM requests with a key.
pub(crate) fn models(events: &[CountedEvent<'_>]) -> Vec<(ModelDay, ModelTotals)> {
    let mut models: FxHashMap<ModelDay, ModelTotals> = FxHashMap::default();
    for counted in events.iter().filter(|counted| counted.event.format.is_some()) {
        let event = counted.event;
        let Some(caller) = event.subject.caller() else { continue };
        let model = counted.model.unwrap_or(0);
        let of = models.entry(ModelDay { user: caller.user.0, day: event.day.0.into(), model }).or_default();
        of.results.add(ResultCounts::from_result(event.result(), 1));
        if event.counts() {
            of.totals.add(&counted.totals);
            of.duration_us = of.duration_us.saturating_add(event.duration_us);
            of.own_cost = of.own_cost.saturating_add(counted.own_cost.unwrap_or_default());
        }
    }
    sorted(models)
}

/// Adds up the totals that time series read; user and key are 0 for requests without them. `route_no` returns the number of
/// a route.
pub(crate) fn hours(
    events: &[CountedEvent<'_>],
    counts: &[&Counts],
    route_no: impl Fn(&str) -> Option<i64>,
) -> Vec<(SeriesHour, SeriesTotals)> {
    let mut hours: FxHashMap<SeriesHour, SeriesTotals> = FxHashMap::default();
    for counted in events {
        let event = counted.event;
        let (user, key) = user_and_key(&event.subject);
        let hour = SeriesHour {
            user,
            hour: micros(event.started_at) / MICROS_PER_HOUR,
            key,
            model: counted.model_or_none(),
            route: counted.route,
            day: event.day.0.into(),
            result: event.result().number(),
        };
        hours.entry(hour).or_default().add(&SeriesTotals::from_event(counted));
    }
    for counts in counts {
        let (user, key) = user_and_key(&counts.subject);
        let result = RequestResult::of_class(counts.status_class);
        let hour = SeriesHour {
            user,
            hour: i64::from(counts.minute) / MINUTES_PER_HOUR,
            key,
            model: NO_MODEL,
            route: route_no(&counts.route).unwrap_or(0),
            day: counts.day.0.into(),
            result: result.number(),
        };
        hours.entry(hour).or_default().add(&SeriesTotals::of_counts(counts));
    }
    sorted(hours)
}

/// Adds up the totals of routes from those of hours.
pub(crate) fn routes(hours: &[(SeriesHour, SeriesTotals)]) -> Vec<(RouteDay, SeriesTotals)> {
    let mut routes: FxHashMap<RouteDay, SeriesTotals> = FxHashMap::default();
    for (SeriesHour { user, day, route, .. }, of) in hours {
        routes.entry(RouteDay { user: *user, day: *day, route: *route }).or_default().add(of);
    }
    sorted(routes)
}

/// Adds up the totals of label sets; `labels_no` returns the number of a set.
pub(crate) fn labels(
    events: &[CountedEvent<'_>],
    counts: &[&Counts],
    labels_no: impl Fn(&LabelSet) -> i64,
) -> Vec<(LabelDay, SeriesTotals)> {
    let mut labels: FxHashMap<LabelDay, SeriesTotals> = FxHashMap::default();
    for counted in events {
        let (user, _) = user_and_key(&counted.event.subject);
        let day = counted.event.day.0.into();
        let of = LabelDay { day, labels: counted.labels, user, model: counted.model_or_none() };
        labels.entry(of).or_default().add(&SeriesTotals::from_event(counted));
    }
    for counts in counts {
        let (user, _) = user_and_key(&counts.subject);
        let of = LabelDay { day: counts.day.0.into(), labels: labels_no(&counts.labels), user, model: NO_MODEL };
        labels.entry(of).or_default().add(&SeriesTotals::of_counts(counts));
    }
    sorted(labels)
}

impl SeriesTotals {
    fn of_counts(counts: &Counts) -> Self {
        let results = ResultCounts::from_result(RequestResult::of_class(counts.status_class), counts.requests);
        let requests = counts.sent_requests();
        let totals = UsageTotals { requests, credits: counts.credits, ..UsageTotals::default() };
        Self { totals, results, ..Self::default() }
    }

    fn from_event(counted: &CountedEvent<'_>) -> Self {
        let event = counted.event;
        let counts = event.counts();
        let is_timed = !event.attempts.is_empty();
        Self {
            totals: if counts { counted.totals } else { UsageTotals::default() },
            results: ResultCounts::from_result(event.result(), 1),
            timed: is_timed.into(),
            duration_us: if is_timed { event.duration_us } else { 0 },
            own_cost: if counts { counted.own_cost.unwrap_or_default() } else { NanoUsd::default() },
        }
    }

    fn add(&mut self, more: &Self) {
        self.totals.add(&more.totals);
        self.results.add(more.results);
        self.timed = self.timed.saturating_add(more.timed);
        self.duration_us = self.duration_us.saturating_add(more.duration_us);
        self.own_cost = self.own_cost.saturating_add(more.own_cost);
    }
}

/// Adds up the counts per minute; the functions return the numbers of a route, a subject and a set of labels.
pub(crate) fn minutes(
    counts: &[&Counts],
    route_no: impl Fn(&str) -> Option<i64>,
    subject_no: impl Fn(&Subject) -> Option<i64>,
    labels_no: impl Fn(&LabelSet) -> i64,
) -> Vec<(Minute, MinuteCounts)> {
    let mut minutes: FxHashMap<Minute, MinuteCounts> = FxHashMap::default();
    for counts in counts {
        let (user, key) = user_and_key(&counts.subject);
        let minute = Minute {
            key,
            subject: subject_no(&counts.subject).unwrap_or(0),
            route: route_no(&counts.route).unwrap_or(0),
            status_class: counts.status_class.into(),
            minute: counts.minute.into(),
            day: counts.day.0.into(),
            labels: labels_no(&counts.labels),
        };
        let counted = minutes.entry(minute).or_default();
        counted.user = user;
        counted.requests = counted.requests.saturating_add(counts.requests);
        counted.credits = counted.credits.saturating_add(counts.credits);
    }
    sorted(minutes)
}

/// Returns the days before `today` with requests among the records, in their order.
pub(crate) fn days_before(events: &[CountedEvent<'_>], counts: &[&Counts], today: Day) -> Vec<i64> {
    let days = events.iter().map(|counted| counted.event.day).chain(counts.iter().map(|counts| counts.day));
    let mut days: Vec<i64> = days.filter(|day| *day < today).map(|day| day.0.into()).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// Returns the numbers of the user and the key; both are 0 without a key.
fn user_and_key(subject: &Subject) -> (i64, i64) {
    subject.caller().map_or((0, 0), |caller| (caller.user.0, caller.key.0))
}

/// Returns the last microsecond of a minute of [`Counts`].
pub(crate) fn end_of(minute: u32) -> Timestamp {
    Timestamp((u64::from(minute) + 1) * MICROS_PER_MINUTE - 1)
}

fn totals(event: &UsageEvent, usage: Option<Usage>, cost: Option<NanoUsd>) -> UsageTotals {
    let [input, cached_input, cache_write_short, cache_write_long, output, reasoning] =
        usage.map_or([None; 6], |usage| usage.summary_classes()).map(|class| class.unwrap_or_default().0);
    let unknown = event.attempts.is_empty() || event.attempts.iter().any(|attempt| attempt.cost.is_none());
    let unpriced = event.format.is_some() && unknown;
    UsageTotals {
        requests: 1,
        credits: event.charge.credits,
        input,
        cached_input,
        cache_write_short,
        cache_write_long,
        output,
        reasoning,
        cost: cost.unwrap_or_default(),
        // The charged amount has its own columns.
        charged: None,
        unpriced_requests: unpriced.into(),
    }
}

#[cfg(test)]
mod tests;
