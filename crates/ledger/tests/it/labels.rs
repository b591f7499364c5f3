//! Labels, programs and sessions of requests: totals by label, and the groups of a day.

use access::{ClientProgram, Day, LabelId, LabelSet, NanoUsd};
use ledger::reconcile::Days;
use ledger::{
    DayUsageOf, GroupBounds, GroupName, Ledger, RecordedLabels, RequestFilter, RequestKind, SeriesFilter, SeriesGroup,
    SeriesStep, UsageOf,
};
use meter::{Attempt, Caller, Counts, RequestOrigin, SessionHash, ToolUse, UsageEvent};
use spool::Record;
use store::Store;

use crate::usage_world::{attempt, caller};
use crate::world::{NOW, World};

const TODAY: Day = Day(20_833);

fn labelled(event: UsageEvent, labels: &str) -> UsageEvent {
    UsageEvent { origin: RequestOrigin { labels: LabelSet::of_text(labels), ..event.origin }, ..event }
}

/// Returns the cost and the number of all requests of a scope today.
async fn of_day(ledger: &Ledger, of: impl Into<DayUsageOf>) -> (i64, u64) {
    let totals = ledger.day_totals(of, [TODAY, TODAY]).await.unwrap();
    totals.first().map_or((0, 0), |of| (of.totals.cost.0, of.results.all()))
}

fn by_team() -> SeriesFilter {
    let since = TODAY.start();
    let until = TODAY.next().start();
    let by = Some(SeriesGroup::Label);
    let label = Some("team".to_owned());
    SeriesFilter { by, step: SeriesStep::Day, since, until, key: None, model: None, label, with_label: None }
}

/// Returns the cost and the number of all requests of time series.
async fn sum(ledger: &Ledger, of: UsageOf, filter: &SeriesFilter) -> (i64, u64) {
    let series = ledger.usage_series(of, filter).await.unwrap().series;
    let figures = series.iter().flat_map(|of| &of.points);
    figures.fold((0, 0), |(cost, all), (_, of)| (cost + of.totals.cost.0, all + of.results.unwrap().all()))
}

async fn audited(store: &Store) {
    let found = Ledger::new(store.clone()).reconcile(Days { first: TODAY, last: TODAY }).await.unwrap();
    assert!(found.agrees(), "{:?}", found.differences);
}

pub(crate) async fn labels_of_a_day_add_up_to_the_day(world: &World) {
    let store = world.store().await;
    let ledger = Ledger::new(store.clone());
    let ada = caller(&store, "ada@example.com").await;
    let bob = caller(&store, "bob@example.com").await;
    let dear = Attempt { cost: Some(NanoUsd(7_000_000_000)), ..attempt() };
    let refused = UsageEvent {
        status: 429,
        refusal: Some("quota_exceeded".into()),
        attempts: Vec::new(),
        ..world.event(Some(bob))
    };
    let Record::Counts { id, counts } = world.counts(Some(bob), 5) else { panic!("counts") };
    let counts = counts.into_iter().map(|of| Counts { labels: LabelSet::of_text("team=core"), ..of }).collect();
    let records = [
        Record::Event(labelled(world.event(Some(ada)), "team=payments")),
        Record::Event(labelled(
            UsageEvent { attempts: vec![dear], ..world.event(Some(ada)) },
            "team=payments,tier=gold",
        )),
        Record::Event(labelled(refused, "team=core")),
        Record::Event(world.event(Some(bob))),
        Record::Event(labelled(world.event(None), "tier=gold")),
        Record::Counts { id, counts },
    ];
    world.ingest(&store, &records).await;
    let (cost, requests) = of_day(&ledger, UsageOf::All).await;
    assert_eq!((cost, requests), (7_000_003_000, 15));
    let label = |label| DayUsageOf::Label(LabelId::from_label(label));
    assert_eq!(of_day(&ledger, label("team=payments")).await, (7_000_001_000, 2));
    assert_eq!(of_day(&ledger, label("team=core")).await, (0, 11));
    assert_eq!(of_day(&ledger, label("tier=gold")).await, (7_000_001_000, 2));
    assert_eq!(of_day(&ledger, label("team=pay")).await, (0, 0));
    assert!(ledger.has_label(LabelId::from_label("tier=gold")).await.unwrap());
    assert!(!ledger.has_label(LabelId::from_label("team=pay")).await.unwrap());
    let models = ledger.models_of_day(label("team=payments"), TODAY).await.unwrap();
    assert_eq!(
        models.iter().map(|of| (of.name.as_deref(), of.totals.requests)).collect::<Vec<_>>(),
        [(Some("mock"), 2)]
    );
    let counted = ledger.minute_groups(label("team=core"), TODAY).await.unwrap();
    assert_eq!(counted.iter().map(|of| of.requests).sum::<u64>(), 10);
    let events = ledger.day_events(label("team=payments"), TODAY, None).await.unwrap();
    let mut of_events: Vec<&str> = events.iter().map(|event| event.labels.as_str()).collect();
    // The ids of one millisecond have no order.
    of_events.sort_unstable();
    assert_eq!(of_events, ["team=payments", "team=payments,tier=gold"]);
    // Counted requests have labels too.
    let filter = RequestFilter { kind: Some(RequestKind::Route), ..RequestFilter::default() };
    let page = ledger.requests_page(bob.user, &filter, None, 10).await.unwrap();
    assert_eq!(page.lines.len(), 2);
    for line in page.lines {
        let found = ledger.find_request(bob.user, line.id).await.unwrap().unwrap();
        assert_eq!((found.labels.as_str(), found.line.program), ("team=core", None));
    }

    let series = ledger.usage_series(UsageOf::All, &by_team()).await.unwrap();
    let mut groups: Vec<(GroupName, i64, u64)> = Vec::new();
    for of in &series.series {
        let [(_, figures)] = of.points.as_slice() else { panic!("one step") };
        groups.push((of.name.clone(), figures.totals.cost.0, figures.results.unwrap().all()));
    }
    let named = |name: &str| GroupName::Label(Some(name.to_owned()));
    let expected = [(named("core"), 0, 11), (GroupName::Label(None), 2_000, 2), (named("payments"), 7_000_001_000, 2)];
    assert_eq!(groups, expected);
    assert_eq!(groups.iter().map(|(_, cost, _)| cost).sum::<i64>(), cost);
    let of_ada = ledger.usage_series(ada.user, &by_team()).await.unwrap();
    assert_eq!(of_ada.series.len(), 1);

    filters_agree(&ledger, ada, bob).await;
    audited(&store).await;
}

/// The filter agrees with the totals of a label, in steps of days and minutes, and in the list of requests.
async fn filters_agree(ledger: &Ledger, ada: Caller, bob: Caller) {
    let only =
        |by, step, label: &str| SeriesFilter { by, step, with_label: Some(LabelId::from_label(label)), ..by_team() };
    let minute = |label: &str| SeriesFilter {
        since: NOW,
        until: access::Timestamp(NOW.0 + 1),
        ..only(None, SeriesStep::Minute, label)
    };
    for (label, cost, requests, lines) in [
        ("team=payments", 7_000_001_000, 2, 2),
        ("team=core", 0, 11, 3),
        ("tier=gold", 7_000_001_000, 2, 2),
        ("team=pay", 0, 0, 0),
    ] {
        let model = SeriesGroup::Model;
        for filter in [
            only(None, SeriesStep::Day, label),
            only(Some(SeriesGroup::Label), SeriesStep::Day, label),
            only(Some(SeriesGroup::User), SeriesStep::Day, label),
            only(Some(SeriesGroup::Plan), SeriesStep::Day, label),
            minute(label),
        ] {
            assert_eq!(sum(ledger, UsageOf::All, &filter).await, (cost, requests), "{filter:?}");
        }
        let page = RequestFilter { label: Some(LabelId::from_label(label)), ..RequestFilter::default() };
        let page = ledger.requests_page(UsageOf::All, &page, None, 10).await.unwrap();
        assert_eq!(page.lines.len(), lines, "{label}");
        let of_models = sum(ledger, UsageOf::All, &only(Some(model), SeriesStep::Day, label)).await;
        assert_eq!(of_models.0, cost, "{label}: only LLM requests have a cost");
    }
    let mock = SeriesFilter { model: Some("mock".to_owned()), ..only(None, SeriesStep::Day, "team=payments") };
    assert_eq!(sum(ledger, UsageOf::All, &mock).await, (7_000_001_000, 2));
    let other = SeriesFilter { model: Some("fast".to_owned()), ..mock.clone() };
    assert_eq!(sum(ledger, UsageOf::All, &other).await, (0, 0));
    assert_eq!(sum(ledger, UsageOf::from(bob.user), &mock).await, (0, 0));
    assert_eq!(
        sum(ledger, UsageOf::from(ada.user), &only(None, SeriesStep::Day, "tier=gold")).await,
        (7_000_000_000, 1)
    );
}

pub(crate) async fn label_sets_beyond_the_maximum_are_other(world: &World) {
    let store = world.store().await;
    let ledger = Ledger::new(store.clone());
    let ada = caller(&store, "ada@example.com").await;
    let events = (0..1_003).map(|nth| Record::Event(labelled(world.event(Some(ada)), &format!("team=t{nth:04}"))));
    world.ingest(&store, &events.collect::<Vec<_>>()).await;
    let event = world.event(Some(ada));
    let unknown = labelled(event.clone(), "team=unknown");
    world.ingest(&store, &[Record::Event(unknown)]).await;
    let found = ledger.find_request(ada.user, event.id).await.unwrap().unwrap();
    assert_eq!(found.labels, RecordedLabels::Other);
    // A set that is known keeps its number, and a new one has none.
    let later = ["team=t0000", "team=late"].map(|labels| Record::Event(labelled(world.event(Some(ada)), labels)));
    world.ingest(&store, &later).await;
    assert_eq!(of_day(&ledger, DayUsageOf::Label(LabelId::from_label("team=t0000"))).await.1, 2);
    assert!(!ledger.has_label(LabelId::from_label("team=late")).await.unwrap());
    let series = ledger.usage_series(UsageOf::All, &by_team()).await.unwrap();
    let of =
        |name: &GroupName| series.series.iter().find(|of| of.name == *name).map(|of| of.points[0].1.totals.requests);
    assert_eq!(of(&GroupName::Label(Some("other".to_owned()))), Some(5));
    assert_eq!(of_day(&ledger, UsageOf::All).await.1, 1_006);
    audited(&store).await;
}

pub(crate) async fn requests_are_grouped_by_program_tools_and_session(world: &World) {
    let store = world.store().await;
    let ledger = Ledger::new(store.clone());
    let ada = caller(&store, "ada@example.com").await;
    let of = |seconds: u64, client, tools, session: Option<u8>| {
        let event = world.event(Some(ada));
        let session = session.map(|session| SessionHash([session; 16]));
        let origin = RequestOrigin { client, tools, session, ..RequestOrigin::default() };
        Record::Event(UsageEvent { started_at: access::Timestamp(NOW.0 + seconds * 1_000_000), origin, ..event })
    };
    let codex = ClientProgram::Codex;
    let records = [
        of(0, codex, ToolUse::Called, Some(1)),
        of(10, codex, ToolUse::Called, Some(1)),
        of(200, codex, ToolUse::Called, Some(1)),
        of(0, codex, ToolUse::Offered, Some(2)),
        of(5, ClientProgram::Unknown, ToolUse::None, None),
    ];
    world.ingest(&store, &records).await;
    let bounds = GroupBounds { requests_per_session: &[2, 3], interval_s: &[60], ..GroupBounds::default() };
    let groups = ledger.event_groups(UsageOf::All, TODAY, bounds).await.unwrap();
    let mut found: Vec<_> = groups
        .iter()
        .map(|of| (of.client.as_str(), of.tools, of.session_bounds, of.interval_bounds, of.requests))
        .collect();
    found.sort_unstable();
    let called = Some(ToolUse::Called);
    assert_eq!(
        found,
        [
            ("codex", Some(ToolUse::Offered), Some(0), None, 1),
            ("codex", called, Some(2), None, 1),
            ("codex", called, Some(2), Some(0), 1),
            ("codex", called, Some(2), Some(1), 1),
            ("unknown", Some(ToolUse::None), None, None, 1),
        ]
    );
    let plain = ledger.event_groups(UsageOf::All, TODAY, GroupBounds::default()).await.unwrap();
    assert!(plain.iter().all(|of| of.session_bounds.is_none() && of.interval_bounds.is_none()));
}

/// Requests without a session have the number of LLM requests of their key: those in sessions count, refused ones do not.
pub(crate) async fn requests_are_grouped_by_the_requests_of_their_key(world: &World) {
    let store = world.store().await;
    let ledger = Ledger::new(store.clone());
    let ada = caller(&store, "ada@example.com").await;
    let bob = caller(&store, "bob@example.com").await;
    let origin = RequestOrigin { session: Some(SessionHash([1; 16])), ..RequestOrigin::default() };
    let in_session = UsageEvent { origin, ..world.event(Some(ada)) };
    let refused = UsageEvent {
        status: 429,
        refusal: Some("quota_exceeded".into()),
        attempts: Vec::new(),
        ..world.event(Some(ada))
    };
    let plain = UsageEvent { format: None, model: None, ..world.event(Some(bob)) };
    let events =
        [world.event(Some(ada)), world.event(Some(ada)), in_session, refused, world.event(Some(bob)), plain.clone()];
    let others = [UsageEvent { id: world.id(), ..plain }, world.event(None)];
    let records: Vec<Record> = events.into_iter().chain(others).map(Record::Event).collect();
    world.ingest(&store, &records).await;
    let groups = async |of: DayUsageOf, bounds: &[u64]| {
        let bounds = GroupBounds { requests_per_key: bounds, ..GroupBounds::default() };
        let groups = ledger.event_groups(of, TODAY, bounds).await.unwrap();
        let mut found: Vec<_> =
            groups.into_iter().map(|of| (of.status, of.format.is_some(), of.key_bounds, of.requests)).collect();
        found.sort_unstable();
        found
    };
    let all = DayUsageOf::from(UsageOf::All);
    // Three requests of the key of ada, one of them in a session, and a refused one. One LLM request of the key of bob, and
    // two others.
    let divided = [(200, false, 0, 2), (200, true, 0, 3), (200, true, 1, 2), (429, true, 1, 1)];
    assert_eq!(groups(all, &[3, 4, 5]).await, divided);
    assert_eq!(groups(all, &[5]).await, [(200, false, 0, 2), (200, true, 0, 5), (429, true, 0, 1)]);
    let of_bob = DayUsageOf::from(UsageOf::from(bob.user));
    assert_eq!(groups(of_bob, &[1]).await, [(200, false, 1, 2), (200, true, 1, 1)]);
}
