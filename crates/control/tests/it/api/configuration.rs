use std::sync::Arc;

use access::Role;
use config::Live;
use control::configuration::{ApplyError, Configurator};
use serde_json::{Value, json};
use store::{Actor, ConfigurationSource, NewConfiguration};
use telemetry::Metrics;

use crate::client::{Answer, call, get, post};
use crate::person::{BrowserSession, PASSWORD};
use crate::world::World;

const PATH: &str = "/api/config";
pub(super) const ROUTED: &str = "upstreams: [{name: u, backends: [{url: \"http://127.0.0.1:1\"}]}]\n\
    routes: [{name: a, path: /a, upstreams: u}]\n";

async fn administered() -> (World, BrowserSession) {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    (world, session)
}

async fn send(world: &World, by: &BrowserSession, path: &str, over: &str, body: &Value) -> Answer {
    let headers = [by.bearer(), "Content-Type: application/json".to_owned(), format!("If-Match: {over}")];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    call(world.address, &format!("POST {path}"), &headers, &body.to_string()).await
}

async fn apply(world: &World, by: &BrowserSession, over: &str, yaml: &str) -> Answer {
    send(world, by, PATH, over, &json!({"yaml": yaml})).await
}

async fn history(world: &World, by: &BrowserSession) -> Vec<Value> {
    let answer = get(world.address, "/api/config/history", &[&by.bearer()]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_configuration_is_validated_applied_and_rolled_back() {
    let (world, root) = administered().await;
    let shown = get(world.address, PATH, &[&root.bearer()]).await.json();
    assert_eq!((&shown["source"], &shown["yaml"], &shown["id"]), (&json!("file"), &json!(""), &Value::Null));
    let validated = send(&world, &root, "/api/config/validate", "*", &json!({"yaml": ROUTED})).await;
    assert_eq!(validated.status, 200, "{validated:?}");
    let keys: Vec<Value> =
        validated.json()["changes"].as_array().unwrap().iter().map(|change| change["key"].clone()).collect();
    assert!(keys.contains(&json!("routes[a].path")), "{keys:?}");
    assert!(world.live.load().traffic.router.routes().is_empty() && history(&world, &root).await.is_empty());

    let first = format!("\"{}\"", shown["digest"].as_str().unwrap());
    let applied = apply(&world, &root, &first, ROUTED).await;
    assert_eq!(applied.status, 200, "{applied:?}");
    assert_eq!(world.live.load().traffic.router.routes().len(), 1);
    apply(&world, &root, &first, ROUTED).await.refuses(409, "conflict");
    let shown = get(world.address, PATH, &[&root.bearer()]).await.json();
    assert_eq!(
        (&shown["source"], &shown["yaml"], &shown["id"]),
        (&json!("api"), &json!(ROUTED), &applied.json()["id"])
    );

    assert_eq!(apply(&world, &root, "*", "").await.status, 200);
    assert!(world.live.load().traffic.router.routes().is_empty());
    let entries = history(&world, &root).await;
    let of = |key: &str| entries.iter().map(|entry| entry[key].clone()).collect::<Vec<_>>();
    assert_eq!((of("number"), of("is_running")), (vec![json!(2), json!(1)], vec![json!(true), json!(false)]));
    assert!(entries.iter().all(|entry| entry["actor"] == "user" && entry["user_id"].is_string()), "{entries:?}");

    let back = json!({"id": applied.json()["id"]});
    let rolled_back = send(&world, &root, "/api/config/rollback", "*", &back).await;
    assert_eq!(rolled_back.status, 200, "{rolled_back:?}");
    assert_eq!((world.live.load().traffic.router.routes().len(), history(&world, &root).await.len()), (1, 3));
    let audit = get(world.address, "/api/audit?action=configuration.apply", &[&root.bearer()]).await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_configuration_that_this_node_has_not_read_yet_is_not_replaced() {
    let world = World::start().await;
    let configurator = || {
        let live = Arc::new(Live::new(world.live.load_full()));
        Configurator::of_defaults(live, world.store.clone(), Metrics::new()).unwrap()
    };
    let first = configurator();
    let second = configurator();
    let of_file = second.running().digest.clone();
    first.apply(&Actor::COMMAND, ROUTED, Some(&of_file)).await.unwrap();
    let late = second.apply(&Actor::COMMAND, "", Some(&of_file)).await;
    assert!(matches!(late, Err(ApplyError::Changed)), "{late:?}");
    let numbers = async || {
        let all = world.store.configurations().await.unwrap();
        all.into_iter().map(|stored| stored.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers().await, [1]);
    second.follow().await.unwrap();
    let followed = second.running().digest.clone();
    assert_eq!(followed, first.running().digest);
    second.apply(&Actor::COMMAND, "", Some(&followed)).await.unwrap();
    // Without a condition, what the first process has not read is replaced.
    first.apply(&Actor::COMMAND, ROUTED, None).await.unwrap();
    assert_eq!(numbers().await, [3, 2, 1]);
}

#[tokio::test]
async fn an_entry_of_the_history_has_its_text_if_it_is_stored() {
    let (world, root) = administered().await;
    let applied = apply(&world, &root, "*", ROUTED).await.json();
    let path = |id: &str| format!("/api/config/history/{id}");
    let entry = get(world.address, &path(applied["id"].as_str().unwrap()), &[&root.bearer()]).await.json();
    assert_eq!((&entry["yaml"], &entry["is_running"]), (&json!(ROUTED), &json!(true)));
    for id in ["0199aa00-0000-7000-8000-00000000dead", "nonsense"] {
        get(world.address, &path(id), &[&root.bearer()]).await.refuses(404, "not_found");
    }
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let id = applied["id"].as_str().unwrap();
    get(world.address, &path(id), &[&session.bearer()]).await.refuses(403, "forbidden");
}

#[tokio::test]
async fn an_invalid_configuration_is_refused_with_its_place_and_changes_nothing() {
    let (world, root) = administered().await;
    for (yaml, code, line, column) in [
        ("rutes: []", "unknown_key", 1, 1),
        ("log: {level: info}\nlisten: 127.0.0.1:9", "needs_restart", 2, 9),
        ("metrics: {token: S3CRET}", "literal_secret", 1, 18),
        ("brand: {name: \"${JWT_SECRET}\"}", "forbidden_reference", 1, 15),
        ("a: [", "yaml", 1, 4),
    ] {
        for path in [PATH, "/api/config/validate"] {
            let answer = send(&world, &root, path, "*", &json!({"yaml": yaml})).await;
            let body = answer.json();
            assert_eq!((answer.status, &body["error"]["code"]), (422, &json!("unprocessable")), "{body}");
            let problems = body["error"]["problems"].as_array().unwrap().clone();
            let found = problems.iter().find(|problem| problem["code"] == code);
            let Some(found) = found else { panic!("{yaml}: {problems:?}") };
            assert_eq!(found["line"], line, "{yaml}: {found}");
            assert!(code == "yaml" || found["column"] == column, "{yaml}: {found}");
            assert!(!body.to_string().contains("S3CRET"), "{body}");
        }
    }
    assert!(history(&world, &root).await.is_empty());
}

/// The request of the audit, in which the excerpt of an error showed the master key.
#[tokio::test]
async fn a_validation_shows_no_line_of_a_file_and_is_in_the_audit_log() {
    let (world, root) = administered().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("master_key");
    std::fs::write(&secret, "S3CRETS3CRETS3CRETS3CRETS3CRET=\n").unwrap();
    let yaml = format!("prices_file: {}\n", secret.display());
    for path in ["/api/config/validate", PATH] {
        let answer = send(&world, &root, path, "*", &json!({"yaml": yaml})).await;
        let body = answer.json();
        assert_eq!(
            (answer.status, &body["error"]["problems"][0]["code"]),
            (422, &json!("forbidden_reference")),
            "{body}"
        );
        assert!(!body.to_string().contains("S3CRET"), "{body}");
    }
    assert_eq!(send(&world, &root, "/api/config/validate", "*", &json!({"yaml": ROUTED})).await.status, 200);
    let audit = get(world.address, "/api/audit?action=configuration.validate", &[&root.bearer()]).await.json();
    let lines = audit["items"].as_array().unwrap();
    // Lines of the same millisecond have no order.
    let mut valid: Vec<Option<bool>> = lines.iter().map(|line| line["detail"]["valid"].as_bool()).collect();
    valid.sort_unstable();
    assert_eq!(valid, [Some(false), Some(false), Some(true)], "{audit}");
    assert!(
        lines.iter().all(|line| line["actor"]["kind"] == "user" && line["detail"]["digest"].is_string()),
        "{audit}"
    );
}

#[tokio::test]
async fn a_request_that_cannot_be_is_refused() {
    let (world, root) = administered().await;
    post(world.address, PATH, &[&root.bearer()], "{\"yaml\": \"\"}").await.refuses(400, "bad_request");
    apply(&world, &root, "no quotes", "").await.refuses(400, "bad_request");
    apply(&world, &root, "\"other\"", "").await.refuses(409, "conflict");
    let unknown = json!({"id": uuid::Uuid::from_u128(7)});
    let rollback = "/api/config/rollback";
    send(&world, &root, rollback, "*", &unknown).await.refuses(404, "not_found");
    assert_eq!(apply(&world, &root, "*", ROUTED).await.status, 200);
    let entry = json!({"id": history(&world, &root).await[0]["id"]});
    send(&world, &root, rollback, "\"other\"", &entry).await.refuses(409, "conflict");
    let secret = NewConfiguration {
        source: ConfigurationSource::File,
        node: uuid::Uuid::from_u128(1),
        file_digest: "f",
        digest: "d",
        text: None,
        is_change: false,
    };
    let entry = json!({"id": world.store.add_configuration(&Actor::SYSTEM, secret).await.unwrap().id});
    send(&world, &root, rollback, "*", &entry).await.refuses(422, "unprocessable");
    let ada = world.person("ada").await;
    let ada = world.sign_in(&ada).await;
    get(world.address, PATH, &[&ada.bearer()]).await.refuses(403, "forbidden");
    get(world.address, "/api/config/history", &[&ada.bearer()]).await.refuses(403, "forbidden");
    for path in [PATH, "/api/config/validate", rollback] {
        send(&world, &ada, path, "*", &json!({"yaml": ""})).await.refuses(403, "forbidden");
    }
}

#[tokio::test]
async fn registration_changes_at_once_and_needs_a_plan() {
    let (world, root) = administered().await;
    let invite = async || post(world.address, "/api/invites", &[&root.bearer()], "{}").await;
    invite().await.refuses(409, "conflict");
    let message = apply(&world, &root, "*", "signup: invite\nsignup_plan: gone\n").await.refuses(422, "unprocessable");
    assert!(message.contains("signup_plan") && message.contains("gone"), "{message}");
    assert_eq!(apply(&world, &root, "*", "signup: invite\n").await.status, 200);
    assert_eq!(get(world.address, "/api/site", &[]).await.json()["signup"], "invite");
    assert_eq!(invite().await.status, 201);
    // A plan that only the store has, such as `endless`, is sufficient.
    assert_eq!(apply(&world, &root, "*", "signup: open\nsignup_plan: endless\n").await.status, 200);
    let body = json!({"email": "ada@example.com", "name": "Ada", "password": PASSWORD}).to_string();
    let registered = post(world.address, "/api/auth/register", &[], &body).await;
    assert_eq!((registered.status, &registered.json()["user"]["plan"]), (201, &json!("endless")), "{registered:?}");
    assert_eq!(apply(&world, &root, "*", "").await.status, 200);
    invite().await.refuses(409, "conflict");
}

#[tokio::test]
async fn plans_of_the_configuration_apply_on_request_with_a_line_each() {
    const PLANS: &str = "/api/config/plans";
    let (world, root) = administered().await;
    let differences = async || {
        let answer = get(world.address, PLANS, &[&root.bearer()]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["items"].clone()
    };
    let stored = async |name: &str| {
        let plans = get(world.address, "/api/plans", &[&root.bearer()]).await.json();
        plans["items"].as_array().unwrap().iter().find(|plan| plan["name"] == name).unwrap()["credits_per_day"].clone()
    };
    assert_eq!(differences().await, json!([]), "built-in plans are only initial values");
    let yaml =
        "plans:\n  - {name: starter, credits_per_day: 5}\n  - {name: endless}\n  - {name: team, credits_per_day: 7}\n";
    assert_eq!(apply(&world, &root, "*", yaml).await.status, 200);
    let limits = |credits: Option<u64>| json!({"credits_per_day": credits, "requests_per_minute": null, "budgets": [], "shared_keys": true});
    let starter = json!([{"name": "starter", "configured": limits(Some(5)), "stored": limits(Some(1_000))}]);
    // A new plan is in the store at once; one that exists keeps its limits.
    assert_eq!(
        (differences().await, stored("team").await, stored("starter").await),
        (starter.clone(), json!(7), json!(1_000))
    );
    let unknown = json!({"names": ["starter", "gone"]});
    send(&world, &root, PLANS, "*", &unknown).await.refuses(404, "not_found");
    send(&world, &root, PLANS, "*", &json!({"names": 5})).await.refuses(400, "bad_request");
    let applied = send(&world, &root, PLANS, "*", &json!({"names": ["endless"]})).await;
    assert_eq!(applied.json()["items"], json!([]));
    let applied = send(&world, &root, PLANS, "*", &json!({"names": ["starter"]})).await;
    assert_eq!((applied.status, &applied.json()["items"]), (200, &starter), "{applied:?}");
    assert_eq!((differences().await, stored("starter").await), (json!([]), json!(5)));
    let audit = get(world.address, "/api/audit?action=plan.change", &[&root.bearer()]).await.json();
    let lines = audit["items"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[0]["actor"]["kind"]), (1, &json!("user")), "{audit}");
    // Without a body, all plans that differ.
    let bearer = root.bearer();
    let json_body = "Content-Type: application/json";
    let change = call(world.address, "PATCH /api/plans/team", &[&bearer, json_body], "{\"credits_per_day\":8}").await;
    assert_eq!(change.status, 200);
    assert_eq!(call(world.address, &format!("POST {PLANS}"), &[&root.bearer()], "").await.status, 200);
    assert_eq!(stored("team").await, 7);
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    get(world.address, PLANS, &[&session.bearer()]).await.refuses(403, "forbidden");
}
