use access::{Credits, LabelSet, Role, Timestamp};
use meter::{Counts, UsageEvent};
use serde_json::{Value, json};
use spool::Record;
use uuid::Uuid;

use super::{DAY_US, ask, assert_alike, event_of, refused, time_at};
use crate::client::get;
use crate::world::{Holder, NOON, World, tidy};

const PATH: &str = "/api/usage/series";

async fn found(world: &World, holder: &Holder, query: &str) -> Value {
    let answer = ask(world, holder, &format!("{PATH}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.json()
}

/// The requests of each step, by name of the series.
fn requests(series: &Value) -> Vec<(String, Vec<u64>)> {
    let of_group = |group: &Value| {
        let points = group["points"].as_array().unwrap();
        let name = group["name"].as_str().unwrap_or("-").to_owned();
        (name, points.iter().map(|point| point["requests"].as_u64().unwrap()).collect())
    };
    series["series"].as_array().unwrap().iter().map(of_group).collect()
}

/// Records requests of two keys in two hours of today and on the day before, and one of another user.
async fn recorded(world: &World) -> [Holder; 3] {
    let ada = world.holder("ada", "starter").await;
    let second = world.key(&ada, "=second, \"key\"").await;
    let bob = world.holder("bob", "starter").await;
    let smart =
        UsageEvent { model: Some("smart".into()), status: 500, duration_us: 5_500, ..event_of(&second, time_at(3)) };
    let events = vec![
        event_of(&ada, Timestamp(NOON.0 - DAY_US)),
        event_of(&ada, time_at(1)),
        event_of(&ada, Timestamp(time_at(0).0 - 3_600_000_000)),
        smart,
        refused(&ada, time_at(4), "quota_exceeded", 429),
        event_of(&bob, time_at(6)),
    ];
    world.record(events).await;
    [ada, second, bob]
}

#[tokio::test]
async fn a_series_has_every_step_and_every_group() {
    let world = World::start().await;
    let [ada, ..] = recorded(&world).await;
    let query = "by=model&step=hour&since=2026-11-20T11:30:00Z&until=2026-11-20T12:59:00Z";
    let answer = ask(&world, &ada, &format!("{PATH}?{query}")).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    insta::assert_snapshot!(tidy(&answer));
    let days = found(&world, &ada, "by=model&since=2026-11-19T00:00:00Z").await;
    assert_eq!(requests(&days), [("fast".to_owned(), vec![1, 2]), ("smart".to_owned(), vec![0, 1])]);
    let point = &days["series"][0]["points"][1];
    let results = [&point["succeeded"], &point["refused"], &point["errors"]];
    assert_eq!((results, &point["latency"]["mean_ms"]), ([&json!(2), &json!(1), &json!(0)], &json!(2.0)));
    assert_eq!((&point["latency"]["p95_ms"], &days["truncated"]), (&json!(null), &json!(false)));
    // Daily totals of keys have no results, those of all requests have.
    let days = found(&world, &ada, "").await;
    let points = days["series"][0]["points"].as_array().unwrap();
    assert_eq!((points.len(), &points[0]["errors"], &points[30]["requests"]), (31, &json!(0), &json!(3)));
    let of_key = found(&world, &ada, &format!("key_id={}", ada.key)).await;
    assert_eq!(of_key["series"][0]["points"][0]["errors"], json!(null));
}

#[tokio::test]
async fn series_are_grouped_and_selected() {
    let world = World::start().await;
    let [ada, second, _] = recorded(&world).await;
    let hour = "step=hour&since=2026-11-20T12:00:00Z&until=2026-11-20T13:00:00Z";
    let of_second = |query: &str| format!("{hour}&key_id={}{query}", second.key);
    for (query, expected) in [
        (hour.to_owned(), vec![("-", vec![2])]),
        (format!("{hour}&by=route"), vec![("ai", vec![2])]),
        (format!("{hour}&by=key"), vec![("ada", vec![1]), ("=second, \"key\"", vec![1])]),
        (format!("{hour}&by=key&model=fast"), vec![("ada", vec![1])]),
        (of_second(""), vec![("-", vec![1])]),
        (of_second("&by=model"), vec![("smart", vec![1])]),
        (format!("{hour}&model=nobody%27s"), vec![("-", vec![0])]),
        (format!("{hour}&by=model&model=nobody%27s"), vec![]),
        ("step=minute".to_owned(), vec![("-", [vec![1], vec![0; 59]].concat())]),
    ] {
        let found = found(&world, &ada, &query).await;
        let expected: Vec<_> = expected.into_iter().map(|(name, counts)| (name.to_owned(), counts)).collect();
        assert_eq!(requests(&found), expected, "{query}");
    }
    let by_key = found(&world, &ada, &format!("{hour}&by=key")).await;
    assert_eq!(by_key["series"][1]["key"]["id"], second.key.to_string());
}

#[tokio::test]
async fn a_table_has_the_same_rows() {
    let world = World::start().await;
    let [ada, second, _] = recorded(&world).await;
    let query = "by=key&step=hour&since=2026-11-20T12:00:00Z&until=2026-11-20T13:00:00Z&format=csv";
    let answer = ask(&world, &ada, &format!("{PATH}?{query}")).await;
    assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"usage.csv\"");
    let lines: Vec<&str> = answer.body.split("\r\n").collect();
    let [head, first, other, ""] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(head.starts_with("at,name,key_id,") && head.ends_with(",p99_ms"), "{head}");
    let expected =
        format!("2026-11-20T12:00:00Z,ada,{},,1,1,1,0,3,100,20,7,50,10,187,0.0000015,USD,0,2,2,2,2", ada.key);
    assert_eq!(*first, expected);
    assert_eq!(head.split(',').count(), first.split(',').count());
    let cells = format!("2026-11-20T12:00:00Z,\"'=second, \"\"key\"\"\",{},,1,0,0,1,3,", second.key);
    assert!(other.starts_with(&cells), "{other}");
    // Unknown figures are empty.
    let day = ask(&world, &ada, &format!("{PATH}?since=2026-11-20T00:00:00Z&format=csv")).await;
    let row = "\r\n2026-11-20T00:00:00Z,,,,3,2,1,1,9,300,60,21,150,30,561,0.0000045,USD,0,3.166,,,\r\n";
    assert!(day.body.ends_with(row), "{day:?}");
}

#[tokio::test]
async fn a_table_has_steps_with_requests_from_a_cache_only() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let counts = Counts {
        subject: Some(ada.caller).into(),
        route: "orders".into(),
        status_class: 12,
        minute: u32::try_from(NOON.unix_seconds() / 60).unwrap(),
        day: NOON.day(),
        requests: 500,
        credits: Credits::ZERO,
        labels: LabelSet::NONE,
    };
    world.record_all(vec![Record::Counts { id: Uuid::from_u128(7), counts: vec![counts] }]).await;
    let table = ask(&world, &ada, &format!("{PATH}?since=2026-11-19T00:00:00Z&format=csv")).await;
    let lines: Vec<&str> = table.body.split("\r\n").collect();
    let [_, row, ""] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(row.starts_with("2026-11-20T00:00:00Z,,,,0,500,0,0,0,"), "{row}");
}

#[tokio::test]
async fn a_query_that_cannot_be_is_refused_by_name() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    for (query, name) in [
        ("by=colour", "by"),
        ("by=", "by"),
        ("by=model&by=key", "by"),
        ("step=second", "step"),
        ("step=Day", "step"),
        ("format=xml", "format"),
        ("since=yesterday", "since"),
        ("until=2026-11-20", "until"),
        ("since=2026-11-20T12:00:02Z&until=2026-11-20T12:00:01Z", "`since` must not be later than `until`"),
        ("step=minute&since=2026-11-20T05:00:00Z", "`minute` covers at most 6 hours"),
        ("step=hour&since=2026-11-12T00:00:00Z", "`hour` 7 days"),
        ("since=2025-11-01T00:00:00Z", "`day` 366 days"),
        ("since=1970-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", "366 days"),
        ("key_id=1", "`key_id`"),
        ("key=1", "`key`"),
        ("status=429", "unknown field `status`"),
    ] {
        let message = ask(&world, &ada, &format!("{PATH}?{query}")).await.refuses(400, "bad_request");
        assert!(message.contains(name), "{query}: {message}");
    }
    let future = found(&world, &ada, "since=9999-12-01T00:00:00Z&until=9999-12-31T23:59:59Z").await;
    assert_eq!(future["series"][0]["points"].as_array().unwrap().len(), 31);
}

#[tokio::test]
async fn anothers_key_and_user_are_not_there() {
    let world = World::start().await;
    let [ada, _, bob] = recorded(&world).await;
    let absent = "01994d5c-0000-7000-8000-000000000000";
    for (name, foreign) in [("key", bob.key.to_string()), ("user_id", bob.user.to_string())] {
        let [foreign, absent] = [foreign.as_str(), absent].map(|id| format!("{PATH}?{name}={id}"));
        let foreign = ask(&world, &ada, &foreign).await;
        let absent = ask(&world, &ada, &absent).await;
        foreign.refuses(404, "not_found");
        assert_alike(&foreign, &absent);
    }
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let of_bob = format!("{PATH}?since=2026-11-20T00:00:00Z&user_id={}", bob.user);
    let answer = get(world.address, &of_bob, &[&session.bearer()]).await;
    assert_eq!(requests(&answer.json()), [("-".to_owned(), vec![1])]);
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
}
