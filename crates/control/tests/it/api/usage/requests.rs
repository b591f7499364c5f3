use access::Role;
use meter::UsageEvent;
use serde_json::{Value, json};

use super::{ask, assert_alike, event_of, refused, time_at};
use crate::client::get;
use crate::world::{Holder, World, tidy};

const PATH: &str = "/api/usage/requests";

async fn page(world: &World, holder: &Holder, query: &str) -> Value {
    let answer = ask(world, holder, &format!("{PATH}?{query}")).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.json()
}

/// The start times of a page's requests, in seconds after noon.
fn begun(page: &Value) -> Vec<&str> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| &item["started_at"].as_str().unwrap()["2026-11-20T12:00:".len()..]).collect()
}

/// Records five requests of two keys, a second apart, and one of another user.
async fn recorded(world: &World) -> [Holder; 3] {
    let ada = world.holder("ada", "starter").await;
    let second = world.key(&ada, "second").await;
    let bob = world.holder("bob", "starter").await;
    let smart = UsageEvent { model: Some("smart".into()), status: 500, ..event_of(&second, time_at(3)) };
    let events = vec![
        event_of(&ada, time_at(1)),
        event_of(&ada, time_at(2)),
        smart,
        refused(&ada, time_at(4), "quota_exceeded", 429),
        UsageEvent { model: None, ..refused(&second, time_at(5), "model_not_found", 404) },
        event_of(&bob, time_at(6)),
    ];
    world.record(events).await;
    [ada, second, bob]
}

#[tokio::test]
async fn requests_are_listed_newest_first() {
    let world = World::start().await;
    let [ada, ..] = recorded(&world).await;
    let answer = ask(&world, &ada, PATH).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    insta::assert_snapshot!(tidy(&answer));
}

#[tokio::test]
async fn pages_follow_each_other_and_hold_each_request_once() {
    let world = World::start().await;
    let [ada, ..] = recorded(&world).await;
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = page(&world, &ada, &query).await;
        seen.extend(begun(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => query = format!("limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["05Z", "04Z", "03Z", "02Z", "01Z"]);
}

#[tokio::test]
async fn requests_are_chosen_by_key_model_status_and_time() {
    let world = World::start().await;
    let [ada, second, _] = recorded(&world).await;
    let [key, earlier_name] = ["key_id", "key"].map(|name| format!("{name}={}", second.key));
    for (query, expected) in [
        (key.as_str(), &["05Z", "03Z"][..]),
        (&earlier_name, &["05Z", "03Z"]),
        ("model=smart", &["03Z"]),
        ("model=nobody%27s", &[]),
        ("status=429", &["04Z"]),
        ("status=4xx", &["05Z", "04Z"]),
        ("status=refused", &["05Z", "04Z"]),
        ("status=failed", &["03Z"]),
        ("status=succeeded", &["02Z", "01Z"]),
        ("status=2xx&model=fast", &["02Z", "01Z"]),
        ("since=2026-11-20T12:00:02Z&until=2026-11-20T12:00:04Z", &["03Z", "02Z"]),
        ("since=2026-11-20T19:00:04%2B07:00", &["05Z", "04Z"]),
        ("since=2026-11-20T12:00:02Z&until=2026-11-20T12:00:02Z", &[]),
        ("until=2026-11-20T12:00:02Z", &["01Z"]),
        ("since=2999-01-01T00:00:00Z", &[]),
    ] {
        let page = page(&world, &ada, query).await;
        assert_eq!((begun(&page), &page["next"]), (expected.to_vec(), &json!(null)), "{query}");
    }
}

#[tokio::test]
async fn a_query_that_cannot_be_is_refused_by_name() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let cut = "A".repeat(31);
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("status=6xx", "status"),
        ("status=44", "status"),
        ("status=", "status"),
        ("since=yesterday", "since"),
        ("until=2026-11-20", "until"),
        ("since=2026-11-20T12:00:02Z&until=2026-11-20T12:00:01Z", "`since` must not be later than `until`"),
        ("cursor=garbage", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=%F0%9F%94%91", "cursor"),
        (&format!("cursor={cut}"), "cursor"),
        ("key_id=1", "`key_id`"),
        ("key=1", "`key`"),
        (&format!("key={0}&key_id={0}", ada.key), "key"),
        ("page=2", "page"),
        ("format=xml", "format"),
        ("format=csv&limit=10001", "limit"),
        ("limit=1&limit=2", "limit"),
    ] {
        let message = ask(&world, &ada, &format!("{PATH}?{query}")).await.refuses(400, "bad_request");
        assert!(message.contains(name), "{query}: {message}");
    }
}

#[tokio::test]
async fn a_table_has_a_row_per_request_and_the_address_of_the_next() {
    let world = World::start().await;
    let [ada, second, _] = recorded(&world).await;
    let mut path = format!("{PATH}?limit=2&format=csv");
    let mut rows = Vec::new();
    loop {
        let answer = ask(&world, &ada, &path).await;
        assert_eq!(answer.headers["content-disposition"], "attachment; filename=\"requests.csv\"");
        let lines: Vec<&str> = answer.body.trim_end().split("\r\n").collect();
        assert!(lines[0].starts_with("id,started_at,user_id,user,key_id,key,"), "{answer:?}");
        assert!(lines.iter().all(|line| line.split(',').count() == lines[0].split(',').count()), "{answer:?}");
        rows.extend(lines[1..].iter().map(|line| (*line).to_owned()));
        let Some(link) = answer.headers.get("link") else { break };
        path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
    }
    assert_eq!(rows.len(), 5);
    assert!(rows[1].contains(",429,refused,completed,quota_exceeded,0,"), "{}", rows[1]);
    let failed = format!(",,{},second,ai,chat,smart,openai,500,failed,completed,,3,100,20,7,50,10,187,", second.key);
    assert!(rows[2].contains(&failed) && rows[2].contains(",0.0000015,USD,false,"), "{}", rows[2]);
}

#[tokio::test]
async fn a_refused_request_has_the_name_that_its_client_wrote() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let made_up =
        UsageEvent { model: Some("made-up\\u{1b}".into()), ..refused(&ada, time_at(1), "model_not_found", 404) };
    let id = made_up.id;
    world.record(vec![made_up, refused(&ada, time_at(2), "quota_exceeded", 429)]).await;
    let name = json!("made-up\\u{1b}");
    let listed = page(&world, &ada, "model=made-up%5Cu%7B1b%7D").await;
    assert_eq!((begun(&listed), &listed["items"][0]["model"]), (vec!["01Z"], &name));
    let detail = ask(&world, &ada, &format!("{PATH}/{id}")).await.json();
    assert_eq!((&detail["model"], &detail["refusal"]["code"]), (&name, &json!("model_not_found")));
    let table = ask(&world, &ada, &format!("{PATH}?format=csv")).await.body;
    assert!(table.contains(",made-up\\u{1b},") && table.contains(",404,refused,"), "{table}");
}

#[tokio::test]
async fn a_cursor_of_another_users_list_reveals_nothing() {
    let world = World::start().await;
    let [ada, _, bob] = recorded(&world).await;
    let first = page(&world, &ada, "limit=1").await;
    let next = first["next"].as_str().unwrap();
    assert_eq!(begun(&page(&world, &bob, &format!("cursor={next}")).await), Vec::<&str>::new());
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
    let answer = get(world.address, &format!("{PATH}?user_id={}", bob.user), &[&session.bearer()]).await;
    assert_eq!(begun(&answer.json()), ["06Z"]);
}

#[tokio::test]
async fn without_a_credential_or_a_store_nothing_is_listed() {
    let world = World::start().await;
    let [ada, ..] = recorded(&world).await;
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
    assert_eq!(ask(&world, &ada, PATH).await.status, 200);
    world.store.close().await;
    ask(&world, &ada, PATH).await.refuses(503, "unavailable");
}
