//! `?scope=` of the usage endpoints: the usage of all users, of one, of a plan or of a key.

use access::Role;
use meter::{Outcome, UsageEvent};
use serde_json::{Value, json};

use super::{ask, assert_alike, event_of, refused, time_at};
use crate::client::{Answer, get};
use crate::person::BrowserSession;
use crate::world::{Holder, World};

const PATHS: [&str; 5] = [
    "/api/usage/today?",
    "/api/usage/history?days=1&",
    "/api/usage/series?since=2026-11-20T00:00:00Z&",
    "/api/usage/requests?",
    "/api/dashboard/overview?",
];

/// Three requests of ada, one of them refused and one cut by the provider, a failed one of bob with another plan, and
/// an admin without requests.
async fn recorded(world: &World) -> (Holder, Holder, BrowserSession) {
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "endless").await;
    let events = vec![
        event_of(&ada, time_at(1)),
        UsageEvent { outcome: Outcome::UpstreamCut, ..event_of(&ada, time_at(2)) },
        refused(&ada, time_at(3), "quota_exceeded", 429),
        UsageEvent { status: 500, ..event_of(&bob, time_at(4)) },
    ];
    world.record(events).await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    (ada, bob, session)
}

async fn of_scope(world: &World, root: &BrowserSession, path: &str, scope: &str) -> Answer {
    get(world.address, &format!("{path}scope={scope}"), &[&root.bearer()]).await
}

/// The requests of a scope in the responses of all endpoints; the list also has refused ones.
async fn counts(world: &World, root: &BrowserSession, scope: &str) -> [u64; 5] {
    let mut counts = [0; 5];
    for (count, path) in counts.iter_mut().zip(PATHS) {
        let answer = of_scope(world, root, path, scope).await;
        assert_eq!(answer.status, 200, "{path}{scope}: {answer:?}");
        let body = answer.json();
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{path}{scope}: {body}"));
        *count = match path.split('?').next().unwrap() {
            "/api/usage/today" => number(&body["requests"]),
            "/api/usage/history" => number(&body["days"][0]["requests"]),
            "/api/usage/series" => number(&body["series"][0]["points"][0]["requests"]),
            "/api/usage/requests" => body["items"].as_array().unwrap().len() as u64,
            _ => number(&body["today"]["requests"]),
        };
    }
    counts
}

#[tokio::test]
async fn each_endpoint_adds_up_the_usage_of_the_scope() {
    let world = World::start().await;
    let (ada, bob, root) = recorded(&world).await;
    for (scope, expected) in [
        ("me".to_owned(), [0, 0, 0, 0, 0]),
        ("all".to_owned(), [3, 3, 3, 4, 3]),
        ("plan:starter".to_owned(), [2, 2, 2, 3, 2]),
        ("plan:endless".to_owned(), [1, 1, 1, 1, 1]),
        (format!("user:{}", bob.user), [1, 1, 1, 1, 1]),
        (format!("key:{}", ada.key), [2, 2, 2, 3, 2]),
    ] {
        assert_eq!(counts(&world, &root, &scope).await, expected, "{scope}");
    }
}

#[tokio::test]
async fn members_see_no_scope_but_their_own() {
    let world = World::start().await;
    let (ada, bob, root) = recorded(&world).await;
    for path in PATHS {
        let absent = ask(&world, &ada, &format!("{path}scope=plan:nobodys")).await;
        absent.refuses(404, "not_found");
        for scope in ["all", "plan:starter", &format!("user:{}", bob.user), &format!("key:{}", ada.key)] {
            assert_alike(&ask(&world, &ada, &format!("{path}scope={scope}")).await, &absent);
        }
        assert_eq!(ask(&world, &ada, &format!("{path}scope=me")).await.status, 200, "{path}");
        for scope in ["plan:nobodys", "user:1", "key:01994d5c-0000-7000-8000-000000000000"] {
            of_scope(&world, &root, path, scope).await.refuses(404, "not_found");
        }
        let both = format!("{path}user_id={}&", bob.user);
        of_scope(&world, &root, &both, "all").await.refuses(400, "bad_request");
        of_scope(&world, &root, path, "everybody").await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn the_overview_of_all_users_names_users_and_routes_and_what_failed() {
    let world = World::start().await;
    let (ada, bob, root) = recorded(&world).await;
    let overview = of_scope(&world, &root, "/api/dashboard/overview?", "all").await.json();
    assert_eq!((&overview["quota"], &overview["user"]), (&json!(null), &json!(null)));
    let ids = |list: &str| {
        let users = overview["users"][list].as_array().unwrap();
        users.iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let [ada, bob] = [ada.user, bob.user].map(|user| user.to_string());
    assert_eq!((ids("most_spent"), ids("most_requests")), (vec![ada.clone(), bob.clone()], vec![ada.clone(), bob]));
    let first = &overview["users"]["most_requests"][0];
    assert_eq!([&first["succeeded"], &first["refused"], &first["errors"]], [&json!(1), &json!(1), &json!(1)]);
    assert_eq!(overview["routes"]["most_requests"][0]["name"], "ai");
    // A refused request is in neither part of the rate; the response that the provider cut is failed.
    let expected = json!({"today": 2, "refused": 1, "requests": 3, "rate": 2.0 / 3.0});
    assert_eq!(overview["errors"], expected);
    let results: Vec<_> = overview["recent"].as_array().unwrap().iter().map(|item| &item["result"]).collect();
    assert_eq!(results, ["failed", "refused", "failed", "succeeded"]);
    assert_eq!(overview["recent"][1]["user"], json!({"id": ada, "name": "ada"}));
}

#[tokio::test]
async fn series_of_all_users_are_grouped_by_user_plan_and_result() {
    let world = World::start().await;
    let (.., root) = recorded(&world).await;
    let day = "/api/usage/series?since=2026-11-20T00:00:00Z&";
    for (by, expected) in [
        ("user", vec![("ada", 2), ("bob", 1)]),
        ("plan", vec![("starter", 2), ("endless", 1)]),
        ("status", vec![("failed", 2), ("succeeded", 1), ("refused", 0)]),
    ] {
        let found = of_scope(&world, &root, &format!("{day}by={by}&"), "all").await.json();
        let groups = found["series"].as_array().unwrap().iter();
        let groups: Vec<_> = groups
            .map(|group| (group["name"].as_str().unwrap(), group["points"][0]["requests"].as_u64().unwrap()))
            .collect();
        let mut sorted = (groups, expected);
        sorted.0.sort_unstable();
        sorted.1.sort_unstable();
        assert_eq!(sorted.0, sorted.1, "{by}");
    }
}
