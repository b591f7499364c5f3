use std::sync::Arc;
use std::time::Duration;

use access::Role;
use config::snapshot::{Backend, Upstream};
use serde_json::{Value, json};
use telemetry::metrics::Histogram;
use telemetry::{BackendBoard, BackendCondition, BackendStatus};

use crate::api::explain::limited;
use crate::client::{get, post};
use crate::world::World;

const CONFIGURED: &str = "upstreams: [{name: pair, strategy: ewma, backends: [{url: http://a, weight: 3}, {url: http://b}]}]\n\
    providers: [{name: lab, kind: openai, base_url: 'http://127.0.0.1:9/v1', credential: sk-of-a-test}]\n";

pub(super) fn status(url: &str, condition: BackendCondition) -> BackendStatus {
    let durations = Histogram::default();
    [1_500, 2_000, 2_500, 2_500, 4_000].into_iter().for_each(|micros| durations.observe_us(micros));
    BackendStatus {
        upstream: "pair".into(),
        url: url.into(),
        name: None,
        condition,
        cause: None,
        ends_in: None,
        in_flight: 2,
        requests: 9,
        failures: [1, 0, 1, 2],
        server_errors: 5,
        durations: durations.counts(),
        is_unhealthy: condition == BackendCondition::Unhealthy,
        is_ejected: condition == BackendCondition::Ejected,
        is_broken: matches!(condition, BackendCondition::Open | BackendCondition::HalfOpen),
        ejections: 1,
        openings: 3,
        checks_succeeded: 7,
        checks_failed: 6,
    }
}

/// Returns the upstreams that an admin sees, beside a proxy with these backends.
async fn listed(backends: Option<Vec<BackendStatus>>) -> Value {
    let board = BackendBoard::default();
    if let Some(backends) = backends {
        board.set(move || backends.clone());
    }
    let world = World::start_with_board(Arc::new(board)).await;
    let snapshot = limited(CONFIGURED);
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    let answer = get(world.address, "/api/upstreams", &[&session.bearer()]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn backends_are_listed_with_their_states_and_counts() {
    let b = BackendStatus { durations: Histogram::default().counts(), ..status("http://b", BackendCondition::Ejected) };
    let a = status("http://a", BackendCondition::HalfOpen);
    let list = listed(Some(vec![b, a])).await;
    assert_eq!(list["is_live"], json!(true), "{list}");
    let pair = &list["items"][0];
    assert_eq!([&pair["name"], &pair["kind"], &pair["strategy"]], [&json!("pair"), &json!("upstream"), &json!("ewma")]);
    let backends = pair["backends"].as_array().unwrap();
    let shown =
        |backend: &Value| ["weight", "state", "in_flight", "mean_ms", "p95_ms"].map(|field| backend[field].clone());
    assert_eq!(shown(&backends[0]), [json!(3), json!("half_open"), json!(2), json!(2.5), json!(4.375)], "{list}");
    assert_eq!(shown(&backends[1]), [json!(1), json!("ejected"), json!(2), Value::Null, Value::Null], "{list}");
    let counts = ["requests", "failures", "ejections", "breaker_openings", "checks_succeeded", "checks_failed"];
    assert_eq!(counts.map(|count| backends[0][count].as_u64().unwrap()), [9, 4, 1, 3, 7, 6]);
    assert_eq!(["failed", "server_errors"].map(|count| backends[0][count].as_u64().unwrap()), [7, 5]);
    let lab = &list["items"][1];
    assert_eq!([&lab["name"], &lab["kind"], &lab["strategy"]], [&json!("lab"), &json!("provider"), &Value::Null]);
    assert_eq!(lab["backends"][0]["state"], Value::Null, "no request has used it");
}

#[tokio::test]
async fn members_with_one_address_have_each_their_own_state() {
    let twin =
        |name: &str, condition| BackendStatus { name: Some(name.into()), ..status("http://10.0.0.7", condition) };
    let board = BackendBoard::default();
    board.set(move || vec![twin("one", BackendCondition::Unhealthy), twin("two", BackendCondition::Available)]);
    let world = World::start_with_board(Arc::new(board)).await;
    let routed = format!("{CONFIGURED}routes: [{{path: /x, upstreams: pair, auth: {{type: none}}}}]\n")
        .replace("http://a", "http://one")
        .replace("http://b", "http://two");
    let mut snapshot = limited(&routed);
    let upstream = &snapshot.traffic.upstreams[0];
    let at_address = |backend: &Backend| Backend {
        origin: backend.origin.with_address("10.0.0.7".to_owned(), 80),
        ..backend.clone()
    };
    let resolved = Arc::new(Upstream::plain("pair", upstream.backends().iter().map(at_address).collect()));
    snapshot.traffic.upstreams = [resolved].into();
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await.bearer();
    let listed = get(world.address, "/api/upstreams", &[&session]).await.json();
    let request = json!({"method": "GET", "url": "/x"}).to_string();
    let explained = post(world.address, "/api/explain", &[&session], &request).await.json();
    for backends in [&listed["items"][0]["backends"], &explained["backends"]] {
        let shown =
            backends.as_array().unwrap().iter().map(|of| ["url", "name", "state"].map(|field| of[field].clone()));
        let expected = [
            [json!("http://10.0.0.7"), json!("one"), json!("unhealthy")],
            [json!("http://10.0.0.7"), json!("two"), json!("available")],
        ];
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{backends}");
    }
}

#[tokio::test]
async fn without_a_proxy_in_this_process_states_are_unknown() {
    let list = listed(None).await;
    assert_eq!(list["is_live"], json!(false), "{list}");
    for field in ["state", "in_flight", "requests", "mean_ms"] {
        assert_eq!(list["items"][0]["backends"][0][field], Value::Null, "{list}");
    }
}

#[tokio::test]
async fn members_may_not_list_upstreams() {
    let world = World::start().await;
    let ada = world.person_with("ada", Role::Member).await;
    let session = world.sign_in(&ada).await;
    let answer = get(world.address, "/api/upstreams", &[&session.bearer()]).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (403, &json!("forbidden")));
}

#[tokio::test]
async fn an_explanation_has_the_state_of_each_backend_that_may_get_the_request() {
    let board = BackendBoard::default();
    board.set(|| {
        let ends_in = Some(Duration::from_secs(30));
        vec![
            BackendStatus {
                cause: Some("the status is 500".into()),
                ..status("http://b", BackendCondition::Unhealthy)
            },
            BackendStatus { cause: Some("reset".into()), ends_in, ..status("http://a", BackendCondition::Ejected) },
            status("http://d", BackendCondition::Available),
            BackendStatus { upstream: "other".into(), ..status("http://c", BackendCondition::Open) },
        ]
    });
    let world = World::start_with_board(Arc::new(board)).await;
    let with_drained = CONFIGURED.replace("{url: http://b}", "{url: http://b}, {url: http://d, weight: 0}");
    let snapshot = limited(&format!(
        "{with_drained}routes: [{{path: /x, upstreams: pair, auth: {{type: none}}}}, {{path: /y, respond: {{}}}}]\n"
    ));
    world.configure(|running| running.traffic = snapshot.traffic.clone());
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    for (url, expected) in [
        (
            "/x",
            json!([
                {"upstream": "pair", "url": "http://a", "state": "ejected", "cause": "reset", "ends_at": "2026-11-20T12:00:30Z"},
                {"upstream": "pair", "url": "http://b", "state": "unhealthy", "cause": "the status is 500", "ends_at": null},
                {"upstream": "pair", "url": "http://d", "state": "drained", "cause": null, "ends_at": null},
            ]),
        ),
        ("/y", json!([])),
    ] {
        let answer = post(
            world.address,
            "/api/explain",
            &[&session.bearer()],
            &json!({"method": "GET", "url": url}).to_string(),
        )
        .await;
        assert_eq!((answer.status, &answer.json()["backends"]), (200, &expected), "{answer:?}");
    }
}
