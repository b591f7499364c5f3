use access::{Credits, Role, Subject};
use meter::{Caller, Counts, UsageEvent};
use serde_json::{Value, json};
use spool::Record;
use uuid::Uuid;

use super::usage::{event_of, refused, time_at};
use crate::api::explain::limited;
use crate::client::get;
use crate::person::BrowserSession;
use crate::world::{Holder, NOON, World};

const ROUTES: &str = "routes: [{name: orders, path: /orders, methods: [GET], auth: {type: key}, respond: {}}, \
    {name: open, path: {prefix: /open}, auth: {type: none}, respond: {}}]\n";

fn counted(caller: Option<Caller>, route: &str, status_class: u8, requests: u64) -> Counts {
    let minute = u32::try_from(NOON.unix_seconds() / 60).unwrap();
    let credits = Credits::whole(if status_class < 10 { requests } else { 0 });
    let subject = Subject::from(caller);
    Counts {
        subject,
        route: route.into(),
        status_class,
        minute,
        day: NOON.day(),
        requests,
        credits,
        labels: access::LabelSet::NONE,
    }
}

/// An LLM request and a refused one of ada; counted requests of two configured routes and of one that was removed.
async fn recorded(world: &World) -> (Holder, BrowserSession) {
    let ada = world.holder("ada", "starter").await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let snapshot = limited(ROUTES);
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let of_ada = Some(ada.caller);
    let counts = vec![
        counted(of_ada, "orders", 2, 5),
        counted(of_ada, "orders", 5, 2),
        counted(of_ada, "orders", 24, 4),
        counted(None, "orders", 24, 1),
        counted(None, "open", 2, 9),
        counted(None, "open", 15, 3),
        counted(of_ada, "earlier", 2, 1),
    ];
    let plain = UsageEvent { route: "orders".into(), format: None, model: None, ..event_of(&ada, time_at(3)) };
    let llm = |event| UsageEvent { route: "/v1/chat/completions".into(), ..event };
    let events = [llm(event_of(&ada, time_at(1))), llm(refused(&ada, time_at(2), "quota_exceeded", 429)), plain];
    let records = events.map(Record::Event).into_iter().chain([Record::Counts { id: Uuid::from_u128(7), counts }]);
    world.record_all(records.collect()).await;
    (ada, session)
}

async fn ask(world: &World, session: &BrowserSession, path: &str) -> Value {
    let answer = get(world.address, path, &[&session.bearer()]).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn results(of: &Value) -> [u64; 3] {
    ["succeeded", "refused", "errors"].map(|name| of[name].as_u64().unwrap_or_else(|| panic!("{name}: {of}")))
}

#[tokio::test]
async fn routes_are_listed_in_their_order_and_add_up_to_the_overview() {
    let world = World::start().await;
    let (_, root) = recorded(&world).await;
    let listed = ask(&world, &root, "/api/routes").await;
    let items = listed["items"].as_array().unwrap();
    let named: Vec<_> =
        items.iter().map(|item| (item["name"].as_str().unwrap(), item["kind"].as_str().unwrap())).collect();
    let expected = [("orders", "route"), ("open", "route"), ("/v1/chat/completions", "llm"), ("earlier", "removed")];
    assert_eq!(named, expected, "{listed}");
    let all: Vec<[u64; 3]> = items.iter().map(results).collect();
    assert_eq!(all, [[6, 5, 2], [9, 0, 3], [1, 1, 0], [1, 0, 0]], "{listed}");
    let orders = &items[0];
    assert_eq!((&orders["requests"], &orders["configuration"]["action"]), (&json!(8), &json!("respond")), "{listed}");
    let matches = json!(["the path is /orders", "the method is one of GET, HEAD"]);
    assert_eq!((&orders["configuration"]["matches"], &orders["configuration"]["auth"]), (&matches, &json!("key")));
    assert_eq!(items[3]["configuration"], Value::Null);
    assert_eq!(orders["live"], Value::Null, "another process serves the proxy: {listed}");

    let sum = |at: usize| all.iter().map(|results| results[at]).sum::<u64>();
    let overview = ask(&world, &root, "/api/dashboard/overview?scope=all").await;
    let errors = &overview["errors"];
    assert_eq!((&errors["today"], &errors["refused"]), (&json!(sum(2)), &json!(sum(1))), "{overview}");
    assert_eq!(errors["requests"], sum(0) + sum(2), "{overview}");
    let requests: u64 = items.iter().map(|item| item["requests"].as_u64().unwrap()).sum();
    for (path, figure) in [
        ("/api/dashboard/overview?scope=all", "/today/requests"),
        ("/api/usage/today?scope=all", "/requests"),
        ("/api/usage/history?days=1&scope=all", "/days/0/requests"),
        ("/api/usage/series?scope=all&since=2026-11-20T00:00:00Z", "/series/0/points/0/requests"),
    ] {
        let body = ask(&world, &root, path).await;
        assert_eq!(body.pointer(figure), Some(&json!(requests)), "{path}: {body}");
    }
    for by in ["key", "user", "plan", "route", "status"] {
        for step in ["day", "hour", "minute"] {
            let path = format!(
                "/api/usage/series?scope=all&since=2026-11-20T11:00:00Z&until=2026-11-20T13:00:00Z&by={by}&step={step}"
            );
            let body = ask(&world, &root, &path).await;
            let points =
                body["series"].as_array().unwrap().iter().flat_map(|group| group["points"].as_array().unwrap());
            let sum: u64 = points.map(|point| point["requests"].as_u64().unwrap()).sum();
            assert_eq!(sum, requests, "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn requests_of_ordinary_routes_are_listed_with_their_counts() {
    let world = World::start().await;
    let (ada, root) = recorded(&world).await;
    let list = async |query: &str| {
        let page = ask(&world, &root, &format!("/api/usage/requests?{query}")).await;
        let items = page["items"].as_array().unwrap().clone();
        let counts: Vec<u64> = items.iter().map(|item| item["count"].as_u64().unwrap_or(1)).collect();
        (items, counts.iter().sum::<u64>())
    };
    for (query, requests) in [
        ("scope=all", 28),
        ("scope=all&kind=llm", 2),
        ("scope=all&kind=route", 26),
        ("scope=all&route=orders", 13),
        ("scope=all&route=orders&status=refused", 5),
        ("scope=all&route=/v1/chat/completions", 2),
        ("scope=all&path=/open/x", 12),
        ("scope=all&path=/open/x&route=orders", 0),
        ("scope=all&path=/nowhere", 0),
        ("scope=all&status=5xx", 5),
        ("scope=all&status=failed", 5),
        ("scope=all&status=503", 0),
        ("scope=all&text=ORD", 13),
        ("scope=all&text=100%25", 0),
        ("scope=all&model=fast&kind=route", 0),
        (&format!("scope=key:{}", ada.key), 15),
        (&format!("scope=user:{}&kind=route", ada.user), 13),
    ] {
        assert_eq!(list(query).await.1, requests, "{query}: {:?}", list(query).await.0);
    }
    let (items, _) = list("scope=all&route=orders&status=refused").await;
    let mine = items.iter().find(|item| item["count"] == 4).unwrap();
    assert_eq!(
        (&mine["status"], &mine["result"], &mine["outcome"]),
        (&json!(400), &json!("refused"), &json!("counted"))
    );
    assert_eq!((&mine["phases"], &mine["bytes"], &mine["attempt_count"]), (&json!(null), &json!(null), &json!(0)));
    assert_eq!(mine["key"]["id"], json!(ada.key), "{mine}");
    let id = mine["id"].as_str().unwrap();
    let detail = ask(&world, &root, &format!("/api/usage/requests/{id}")).await;
    assert_eq!((&detail["count"], &detail["attempts"]), (&json!(4), &json!([])), "{detail}");
    let anonymous = items.iter().find(|item| item["count"] == 1).unwrap();
    assert_eq!(anonymous["subject"]["kind"], "anonymous", "{anonymous}");
    // Pages contain each item once, of one user and of all.
    for scope in ["all".to_owned(), format!("user:{}", ada.user)] {
        let all = list(&format!("scope={scope}&limit=200")).await.0;
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = ask(&world, &root, &format!("/api/usage/requests?scope={scope}&limit=2{cursor}")).await;
            seen.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, all, "{scope}");
    }
    let table = get(world.address, "/api/usage/requests?scope=all&format=csv", &[&root.bearer()]).await;
    let head = table.body.lines().next().unwrap();
    let column = head.split(',').position(|name| name == "count").unwrap();
    let counts: u64 =
        table.body.lines().skip(1).map(|line| line.split(',').nth(column).unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(counts, 28);
    for query in ["kind=plain", "text=a%00b", &format!("text={}", "x".repeat(101))] {
        get(world.address, &format!("/api/usage/requests?{query}"), &[&root.bearer()])
            .await
            .refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn only_admins_list_routes() {
    let world = World::start().await;
    let (ada, root) = recorded(&world).await;
    get(world.address, "/api/routes", &[&ada.bearer()]).await.refuses(403, "forbidden");
    get(world.address, "/api/routes?days=367", &[&root.bearer()]).await.refuses(400, "bad_request");
}
