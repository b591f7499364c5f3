use access::{Credits, NanoUsd, PlanId, Timestamp};
use ledger::{
    GroupName, GroupSeries, Ledger, SERIES_ROWS_MAX, SeriesFigures, SeriesFilter, SeriesGroup, SeriesStep, UsageSeries,
    UsageTotals,
};
use meter::{Attempt, Caller, Charge, Counts, Outcome, UsageEvent};
use spool::Record;
use store::Store;

use crate::usage_world::{attempt, caller};
use crate::world::{NOW, World, key, user};

const MINUTE: u64 = 60_000_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Returns the time this many microseconds after the start of today.
fn time_at(micros: u64) -> Timestamp {
    Timestamp(NOW.day().start().0 + micros)
}

fn begun(world: &World, caller: Caller, at: Timestamp) -> UsageEvent {
    UsageEvent { started_at: at, day: at.day(), ..world.event(Some(caller)) }
}

fn refused(world: &World, caller: Caller, at: Timestamp) -> UsageEvent {
    let code = Some("quota_exceeded".into());
    let event = begun(world, caller, at);
    UsageEvent { charge: Charge::default(), status: 429, attempts: Vec::new(), refusal: code, ..event }
}

fn filter(by: Option<SeriesGroup>, step: SeriesStep) -> SeriesFilter {
    SeriesFilter {
        by,
        step,
        since: time_at(0),
        until: time_at(DAY),
        key: None,
        model: None,
        label: None,
        with_label: None,
    }
}

async fn series(store: &Store, caller: Caller, filter: &SeriesFilter) -> UsageSeries {
    Ledger::new(store.clone()).usage_series(caller.user, filter).await.unwrap()
}

/// The number of each step with its requests, refused and failed requests.
fn points(series: &GroupSeries) -> Vec<(u64, u64, Option<u64>, Option<u64>)> {
    let of = |(nth, of): &(u64, SeriesFigures)| {
        let results = of.results;
        (*nth, of.totals.requests, results.map(|results| results.refused), results.map(|results| results.errors))
    };
    series.points.iter().map(of).collect()
}

fn sum_of_requests(series: &UsageSeries) -> u64 {
    series.series.iter().flat_map(|of| &of.points).map(|(_, figures)| figures.totals.requests).sum()
}

fn names(series: &UsageSeries) -> Vec<String> {
    let name = |series: &GroupSeries| match &series.name {
        GroupName::All => "all".to_owned(),
        GroupName::Model(name) | GroupName::Route(name) | GroupName::Label(name) => {
            name.clone().unwrap_or_else(|| "-".to_owned())
        }
        GroupName::User(user) => user.as_ref().map_or_else(|| "-".to_owned(), |user| user.name.clone()),
        GroupName::Plan(name) => name.clone().unwrap_or_else(|| "-".to_owned()),
        GroupName::Status(result) => result.as_str().to_owned(),
        GroupName::Key(key) => key.as_ref().map_or_else(|| "-".to_owned(), |key| key.id.to_string()),
        GroupName::Rest(count) => format!("{count} more"),
    };
    series.series.iter().map(name).collect()
}

pub(crate) async fn steps_of_a_day_are_the_daily_totals(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let [(_, first), (_, second)] = [key(&store, user.id).await, key(&store, user.id).await];
    let [one, two] = [first.no, second.no].map(|key| Caller { user: user.no, key, plan: PlanId::NIL });
    let other = caller(&store, "bob@example.com").await;
    let yesterday = Timestamp(time_at(0).0 - 1);
    let slow = UsageEvent { model: Some("slow".into()), duration_us: 9_000, ..begun(world, two, yesterday) };
    let held = UsageEvent { charge: Charge::money(NanoUsd(500)), ..begun(world, one, yesterday) };
    let events = [
        held,
        begun(world, one, time_at(0)),
        begun(world, one, time_at(1)),
        refused(world, one, time_at(2)),
        slow,
        begun(world, two, Timestamp(time_at(0).0 - 3 * DAY)),
        begun(world, other, time_at(0)),
    ];
    world.ingest(&store, &events.map(Record::Event)).await;
    world.ingest(&store, &[world.counts(Some(two), 2)]).await;

    let week = |by| SeriesFilter {
        since: Timestamp(time_at(0).0 - 2 * DAY + 5),
        until: time_at(1),
        ..filter(by, SeriesStep::Day)
    };
    let of_all = series(&store, one, &week(None)).await;
    assert_eq!(
        (of_all.since, of_all.until, of_all.truncated),
        (Timestamp(time_at(0).0 - 2 * DAY), time_at(DAY), false)
    );
    assert_eq!(points(&of_all.series[0]), [(1, 2, Some(0), Some(0)), (2, 2 + 4, Some(1), Some(2))]);
    assert_eq!(of_all.series[0].points[0].1.quantiles_us, None);
    let charged = |series: &UsageSeries| {
        series.series[0].points.iter().map(|(_, figures)| figures.totals.charged).collect::<Vec<_>>()
    };
    assert_eq!(charged(&of_all), [Some(NanoUsd(500)), Some(NanoUsd(0))], "budgets count the reservation of `held`");
    assert_eq!(of_all.unused.totals.charged, Some(NanoUsd(0)));
    // Totals of keys count no results.
    let by_key = series(&store, one, &week(Some(SeriesGroup::Key))).await;
    assert_eq!(names(&by_key), [second.id.to_string(), first.id.to_string()]);
    assert_eq!(points(&by_key.series[0]), [(1, 1, None, None), (2, 4, None, None)]);
    let of_key = SeriesFilter { key: Some(first.no), ..week(None) };
    assert_eq!(points(&series(&store, one, &of_key).await.series[0]), [(1, 1, None, None), (2, 2, None, None)]);

    let by_model = series(&store, one, &week(Some(SeriesGroup::Model))).await;
    assert_eq!(names(&by_model), ["mock", "slow"]);
    assert_eq!(points(&by_model.series[0]), [(1, 1, Some(0), Some(0)), (2, 2, Some(1), Some(0))]);
    let slow = by_model.series[1].points[0].1;
    assert_eq!((slow.mean_us, slow.totals.cost, slow.totals.reasoning), (Some(9_000), NanoUsd(1_000), 6));
    let of_model = SeriesFilter { model: Some("slow".into()), ..week(None) };
    let of_model = series(&store, one, &of_model).await;
    assert_eq!((names(&of_model), points(&of_model.series[0])), (vec!["all".into()], vec![(1, 1, Some(0), Some(0))]));
    let unknown = SeriesFilter { model: Some("nobody's".into()), ..week(None) };
    assert_eq!(series(&store, one, &unknown).await.series[0].points, []);
    assert_eq!(series(&store, other, &week(Some(SeriesGroup::Key))).await.series.len(), 1);
}

pub(crate) async fn finer_steps_are_sums_of_requests_and_counts(world: &World) {
    let store = world.store().await;
    let user = user(&store, "ada@example.com").await;
    let [(_, first), (_, second)] = [key(&store, user.id).await, key(&store, user.id).await];
    let [one, two] = [first.no, second.no].map(|key| Caller { user: user.no, key, plan: PlanId::NIL });
    let unpriced = Attempt { cost: None, ..attempt() };
    let interrupted =
        UsageEvent { outcome: Outcome::Interrupted, attempts: Vec::new(), ..begun(world, one, time_at(HOUR)) };
    let plain = UsageEvent { format: None, model: None, route: "files".into(), ..begun(world, two, time_at(2 * HOUR)) };
    let events = [
        begun(world, one, time_at(0)),
        begun(world, one, time_at(HOUR - 1)),
        UsageEvent { attempts: vec![unpriced, attempt()], ..begun(world, two, time_at(HOUR)) },
        refused(world, two, time_at(HOUR + 1)),
        interrupted,
        plain,
        begun(world, one, time_at(DAY)),
    ];
    world.ingest(&store, &events.map(Record::Event)).await;
    let minute = |of: u64| u32::try_from(time_at(of).0 / MINUTE).unwrap();
    let counts = |status_class, at, requests| Counts {
        subject: Some(two).into(),
        route: "users".into(),
        status_class,
        minute: minute(at),
        day: NOW.day(),
        requests,
        credits: Credits::whole(requests),
        labels: access::LabelSet::NONE,
    };
    let counts = vec![counts(2, HOUR, 5), counts(4, 2 * HOUR - 1, 2), counts(2, DAY, 9)];
    world.ingest(&store, &[Record::Counts { id: world.id().0, counts }]).await;

    let hours = |by| filter(by, SeriesStep::Hour);
    let of_all = series(&store, one, &hours(None)).await;
    let expected = [(0, 2, Some(0), Some(0)), (1, 9, Some(1), Some(3)), (2, 1, Some(0), Some(0))];
    assert_eq!(points(&of_all.series[0]), expected);
    let of_hour = of_all.series[0].points[1].1;
    let sums = (of_hour.totals.cost, of_hour.totals.credits, of_hour.totals.input, of_hour.totals.unpriced_requests);
    assert_eq!(sums, (NanoUsd(1_000), Credits::whole(9), 2, 2));
    assert_eq!((of_hour.mean_us, of_hour.quantiles_us), (Some(1_000), Some([1_000; 3])));

    let by_model = series(&store, one, &hours(Some(SeriesGroup::Model))).await;
    assert_eq!(names(&by_model), ["mock"], "only LLM requests");
    assert_eq!(points(&by_model.series[0]), [(0, 2, Some(0), Some(0)), (1, 2, Some(1), Some(1))]);
    let by_route = series(&store, one, &hours(Some(SeriesGroup::Route))).await;
    assert_eq!(names(&by_route), ["users", "ai", "files"]);
    assert_eq!(points(&by_route.series[0]), [(1, 7, Some(0), Some(2))]);
    assert_eq!(by_route.series[0].points[0].1.quantiles_us, None, "counts have no durations");
    let by_key = series(&store, one, &hours(Some(SeriesGroup::Key))).await;
    assert_eq!(names(&by_key), [second.id.to_string(), first.id.to_string()]);

    let minutes = SeriesFilter { until: time_at(2 * HOUR), key: Some(second.no), ..filter(None, SeriesStep::Minute) };
    let minutes = series(&store, one, &minutes).await;
    assert_eq!(points(&minutes.series[0]), [(60, 6, Some(1), Some(0)), (119, 2, Some(0), Some(2))]);
    let of_model = SeriesFilter { model: Some("mock".into()), ..hours(Some(SeriesGroup::Key)) };
    let of_model = series(&store, one, &of_model).await;
    assert_eq!(names(&of_model), [first.id.to_string(), second.id.to_string()], "counts have no model");
    // Routes have no daily totals, and days of keys have none of models.
    let days = series(&store, one, &filter(Some(SeriesGroup::Route), SeriesStep::Day)).await;
    assert_eq!((names(&days), points(&days.series[1])), (names(&by_route), vec![(0, 4, Some(1), Some(1))]));
    let days = SeriesFilter { key: Some(second.no), ..filter(Some(SeriesGroup::Model), SeriesStep::Day) };
    assert_eq!(points(&series(&store, one, &days).await.series[0]), [(0, 1, Some(1), Some(0))]);
}

pub(crate) async fn percentiles_are_exact(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    // 1 to 200 ms in an order that is not sorted; a refused request has no duration of a provider.
    let events = (0..200_u64).map(|nth| {
        let duration_us = (nth * 37 % 200 + 1) * 1_000;
        let model = Some(if nth % 2 == 0 { "even" } else { "odd" }.into());
        UsageEvent { duration_us, model, ..begun(world, ada, time_at(nth)) }
    });
    let slow = UsageEvent { duration_us: 1 << 40, ..refused(world, ada, time_at(0)) };
    world.ingest(&store, &events.chain([slow]).map(Record::Event).collect::<Vec<_>>()).await;
    let of_all = series(&store, ada, &filter(None, SeriesStep::Minute)).await;
    let figures = of_all.series[0].points[0].1;
    assert_eq!(figures.quantiles_us, Some([100_000, 190_000, 198_000]));
    assert_eq!(figures.mean_us, Some(100_500));
    let by_model = series(&store, ada, &filter(Some(SeriesGroup::Model), SeriesStep::Hour)).await;
    let quantiles: Vec<_> = by_model.series.iter().map(|of| of.points[0].1.quantiles_us).collect();
    assert_eq!(quantiles, [Some([99_000, 189_000, 197_000]), Some([100_000, 190_000, 198_000]), None]);
}

pub(crate) async fn groups_past_the_tenth_are_one_series(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    // The model m-0 has 13 requests, m-1 has 12, and so on.
    let events = (0..13_u64).flat_map(|model| {
        (model..13).map(move |nth| UsageEvent {
            model: Some(format!("m-{model}").into()),
            duration_us: 1_000 * model,
            ..begun(world, ada, time_at(nth))
        })
    });
    world.ingest(&store, &events.map(Record::Event).collect::<Vec<_>>()).await;
    for step in [SeriesStep::Day, SeriesStep::Hour] {
        let by_model = series(&store, ada, &filter(Some(SeriesGroup::Model), step)).await;
        let expected: Vec<String> = (0..10).map(|nth| format!("m-{nth}")).chain(["3 more".to_owned()]).collect();
        assert_eq!(names(&by_model), expected);
        assert_eq!(points(&by_model.series[10]), [(0, 3 + 2 + 1, Some(0), Some(0))]);
        let rest = by_model.series[10].points[0].1;
        assert_eq!(rest.totals, UsageTotals { charged: None, ..rest.totals });
        let quantiles = (step == SeriesStep::Hour).then_some([10_000, 12_000, 12_000]);
        assert_eq!(rest.quantiles_us, quantiles, "percentiles of the requests, not of the groups");
    }
}

pub(crate) async fn a_range_with_too_many_requests_begins_later(world: &World) {
    let store = world.store().await;
    let ada = caller(&store, "ada@example.com").await;
    let max = u64::from(SERIES_ROWS_MAX);
    // One request in the first hour, and as many as an answer reads in the third and fourth.
    let first = begun(world, ada, time_at(HOUR - 1));
    let events = (0..max).map(|nth| begun(world, ada, time_at(2 * HOUR + nth * 2 * HOUR / max)));
    world.ingest(&store, &events.map(Record::Event).collect::<Vec<_>>()).await;
    let minutes = |by| SeriesFilter { until: time_at(6 * HOUR), ..filter(by, SeriesStep::Minute) };
    let whole = series(&store, ada, &minutes(None)).await;
    assert_eq!((whole.since, whole.truncated), (time_at(0), false));
    world.ingest(&store, &[Record::Event(first)]).await;
    let cut = series(&store, ada, &minutes(None)).await;
    assert_eq!((cut.since, cut.until, cut.truncated), (time_at(HOUR), time_at(6 * HOUR), true));
    assert_eq!(sum_of_requests(&cut), max);
    // If not even the last step can be read, the series is empty and says so.
    let late = Timestamp(time_at(0).0 + 5 * HOUR);
    let events = (0..=max).map(|_| begun(world, ada, late));
    world.ingest(&store, &events.map(Record::Event).collect::<Vec<_>>()).await;
    let last = SeriesFilter { since: late, until: Timestamp(late.0 + 1), ..minutes(Some(SeriesGroup::Route)) };
    let last = series(&store, ada, &last).await;
    assert_eq!((last.since, last.truncated, last.series.len()), (Timestamp(late.0 + MINUTE), true, 0));
    // Totals do not depend on the number of requests, but their percentiles do.
    let hours = series(&store, ada, &filter(None, SeriesStep::Hour)).await;
    let half = max / 2;
    let of_hours =
        |of: [u64; 4]| [(0, of[0]), (2, of[1]), (3, of[2]), (5, of[3])].map(|(nth, of)| (nth, of, Some(0), Some(0)));
    assert_eq!((hours.since, hours.truncated), (time_at(0), false));
    assert_eq!(points(&hours.series[0]), of_hours([1, half, half, max + 1]));
    assert_eq!(hours.series[0].points[3].1.quantiles_us, None);
    let earlier = SeriesFilter { until: time_at(4 * HOUR), ..filter(None, SeriesStep::Hour) };
    let earlier = series(&store, ada, &earlier).await;
    let quantiles: Vec<_> = earlier.series[0].points.iter().map(|(_, of)| of.quantiles_us).collect();
    assert_eq!(quantiles, [None, Some([1_000; 3]), Some([1_000; 3])], "of the newest events");
    for by in [None, Some(SeriesGroup::Route)] {
        let days = series(&store, ada, &filter(by, SeriesStep::Day)).await;
        assert_eq!((sum_of_requests(&days), days.truncated), (2 * max + 2, false));
    }
}

pub(crate) async fn a_range_with_too_many_totals_begins_later(world: &World) {
    let store = world.store().await;
    let bob = caller(&store, "bob@example.com").await;
    let max = u64::from(SERIES_ROWS_MAX);
    let counts = |routes: u64, step: u64| {
        let counts = (0..=max).map(move |nth| Counts {
            subject: Some(bob).into(),
            route: format!("r-{}", nth % routes).into(),
            status_class: 2,
            minute: u32::try_from((time_at(0).0 + nth / routes * step) / MINUTE).unwrap(),
            day: NOW.day(),
            requests: 1,
            credits: Credits::whole(1),
            labels: access::LabelSet::NONE,
        });
        counts.collect::<Vec<_>>()
    };
    let ingest = async |counts: Vec<Counts>| {
        let record = |part: &[Counts]| Record::Counts { id: world.id().0, counts: part.to_vec() };
        world.ingest(&store, &counts.chunks(100).map(record).collect::<Vec<_>>()).await;
    };
    ingest(counts(20, MINUTE)).await;
    let cut = series(&store, bob, &filter(Some(SeriesGroup::Route), SeriesStep::Minute)).await;
    assert_eq!((cut.since, cut.truncated, cut.series.len()), (time_at(MINUTE), true, 11));
    assert_eq!(sum_of_requests(&cut), max + 1 - 20);
    let hours = series(&store, bob, &filter(Some(SeriesGroup::Route), SeriesStep::Hour)).await;
    assert_eq!((sum_of_requests(&hours), hours.truncated), (max + 1, false));
    // Each of the first twenty hours has 400 totals, and the next hour one.
    ingest(counts(400, HOUR)).await;
    let cut = series(&store, bob, &filter(None, SeriesStep::Hour)).await;
    assert_eq!((cut.since, cut.truncated), (time_at(HOUR), true));
    let key = SeriesFilter { key: Some(bob.key), ..filter(Some(SeriesGroup::Route), SeriesStep::Day) };
    let days = series(&store, bob, &key).await;
    assert_eq!((days.since, days.truncated, days.series.len()), (time_at(DAY), true, 0));
    let days = series(&store, bob, &filter(Some(SeriesGroup::Route), SeriesStep::Day)).await;
    assert_eq!((sum_of_requests(&days), days.truncated), (2 * (max + 1), false));
}
