use std::time::Duration;

use access::{ControlScope, KeyBounds, KeyId, NanoUsd, Timestamp};
use serde_json::{Value, json};
use store::{ActorKind, AuditFilter, KeyChange, NewKey};

use crate::api::usage;
use crate::client::{Answer, call, get, post};
use crate::world::{Holder, NOON, World, event, tidy};

mod admin_scope;
mod bad_input;
mod of_all;
mod of_others;
mod repeats;
mod rotate;

const PATH: &str = "/api/keys";

pub(crate) async fn create(world: &World, header: &str, body: &Value) -> Answer {
    post(world.address, PATH, &[header], &body.to_string()).await
}

pub(crate) async fn patch(world: &World, header: &str, id: &str, body: &Value) -> Answer {
    let headers = [header, "Content-Type: application/json"];
    call(world.address, &format!("PATCH {PATH}/{id}"), &headers, &body.to_string()).await
}

pub(crate) async fn delete(world: &World, header: &str, id: &str) -> Answer {
    call(world.address, &format!("DELETE {PATH}/{id}"), &[header], "").await
}

pub(crate) async fn rotate(world: &World, header: &str, id: &str, body: &str) -> Answer {
    post(world.address, &format!("{PATH}/{id}/rotate"), &[header], body).await
}

pub(crate) async fn show(world: &World, header: &str, id: &str) -> Answer {
    get(world.address, &format!("{PATH}/{id}"), &[header]).await
}

/// A key without the fields that only the response for one key has.
fn view(answer: &Answer) -> Value {
    let mut view = answer.json();
    for field in ["key", "user", "use", "old_secret"] {
        view.as_object_mut().unwrap().remove(field);
    }
    view
}

async fn page(world: &World, header: &str, query: &str) -> (Vec<String>, Option<String>) {
    let answer = get(world.address, &format!("{PATH}{query}"), &[header]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let labels = body["items"].as_array().unwrap().iter().map(|key| key["label"].as_str().unwrap().to_owned());
    (labels.collect(), body["next"].as_str().map(str::to_owned))
}

pub(crate) async fn validate(world: &World, secret: &str) -> Answer {
    world.refresh().await;
    post(world.address, "/api/auth/validate", &[], &json!({"token": secret}).to_string()).await
}

pub(crate) fn text(answer: &Answer, field: &str) -> String {
    assert!([200, 201].contains(&answer.status), "{answer:?}");
    answer.json()[field].as_str().unwrap().to_owned()
}

/// A key with every restriction.
fn bound() -> Value {
    json!({"label": "build server", "expires_at": "2026-12-24T18:00:00+01:00",
        "scopes": {"routes": ["users"], "models": ["openai/*", "fast"]},
        "limits": {"credits_per_day": 7, "requests_per_minute": 3}, "addresses": ["127.0.0.1/8", "2001:DB8::1"]})
}

async fn bounded(world: &World, owner: &Holder, bounds: KeyBounds) -> Holder {
    let key = world.key(owner, "bounded").await;
    let KeyBounds { models, addresses, control, .. } = bounds;
    let models = models.map(Some);
    let addresses = addresses.map(Some);
    let control = control.map(Some);
    let change = KeyChange { models, addresses, control, ..KeyChange::default() };
    world.store.change_key(&store::Actor::COMMAND, key.key, change).await.unwrap();
    world.refresh().await;
    key
}

#[tokio::test]
async fn a_key_is_shown_with_its_secret_once() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let created = create(&world, &ada.bearer(), &bound()).await;
    assert_eq!(created.status, 201, "{created:?}");
    let secret = text(&created, "key");
    assert!(secret.starts_with("tollgate_") && secret.len() == 41 && secret.ends_with(&text(&created, "last4")));
    let shown = show(&world, &ada.bearer(), &text(&created, "id")).await;
    assert_eq!(view(&shown), view(&created));
    let mut body = view(&shown);
    assert_eq!(body.as_object_mut().unwrap().remove("user_id"), Some(json!(ada.user)));
    insta::assert_snapshot!(tidy(&Answer { body: body.to_string(), ..shown }));
    let shown = show(&world, &ada.bearer(), &text(&created, "id")).await;
    let list = get(world.address, PATH, &[&ada.bearer()]).await;
    assert_eq!(list.json()["items"].as_array().unwrap().len(), 2);
    for answer in [shown, list] {
        assert!(!answer.body.contains(&secret[9..40]), "{answer:?}");
    }
    insta::assert_snapshot!(tidy(&validate(&world, &secret).await));
}

#[tokio::test]
async fn a_key_without_bounds_needs_a_label_alone() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    for label in ["laptop", "ключ 🔑", "می\u{200c}خواهم", "'; DROP TABLE api_keys; --", "<script>", &"é".repeat(200)]
    {
        let created = create(
            &world,
            &ada.bearer(),
            &json!({"label": label, "expires_at": null, "scopes": null,
            "limits": {"credits_per_day": null}, "addresses": null}),
        )
        .await;
        assert_eq!((created.status, created.json()["label"].as_str().unwrap()), (201, label), "{created:?}");
        assert_eq!(created.json()["scopes"], json!({"routes": null, "models": null}));
        assert_eq!(validate(&world, &text(&created, "key")).await.status, 200);
    }
}

#[tokio::test]
async fn keys_are_listed_newest_first_in_pages_without_revoked_ones() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let mut created = vec!["ada".to_owned()];
    for n in 1..=4 {
        world.clock.advance(Duration::from_millis(1));
        world.key(&ada, &format!("k{n}")).await;
        world.key(&bob, "of bob").await;
        created.insert(0, format!("k{n}"));
    }
    let all = |revoked: &'static str| {
        let world = &world;
        let ada = &ada;
        async move {
            let mut seen = Vec::new();
            let mut cursor = String::new();
            loop {
                let (labels, next) = page(world, &ada.bearer(), &format!("?limit=2&revoked={revoked}{cursor}")).await;
                assert!((1..=2).contains(&labels.len()));
                seen.extend(labels);
                let Some(next) = next else { return seen };
                cursor = format!("&cursor={next}");
            }
        }
    };
    assert_eq!(all("false").await, created);
    let last = get(world.address, PATH, &[&ada.bearer()]).await.json()["items"][1]["id"].as_str().unwrap().to_owned();
    assert_eq!(delete(&world, &ada.bearer(), &last).await.status, 204);
    assert_eq!(all("true").await, created);
    created.remove(1);
    assert_eq!(all("false").await, created);
    assert_eq!(page(&world, &ada.bearer(), "").await, (created, None));
    assert_eq!(show(&world, &ada.bearer(), &last).await.json()["revoked_at"], "2026-11-20T12:00:00.004Z");
}

#[tokio::test]
async fn missing_fields_stay_unchanged_and_null_removes_a_value() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let created = create(&world, &ada.bearer(), &bound()).await;
    let id = text(&created, "id");
    let mut expected = created.json();
    expected.as_object_mut().unwrap().remove("key");
    let none = json!({"routes": null, "models": null});
    for (change, path, value) in [
        (json!({}), "/label", json!("build server")),
        (json!({"label": "other"}), "/label", json!("other")),
        (json!({"label": null}), "/label", json!("other")),
        (json!({"limits": {"credits_per_day": 9}}), "/limits/credits_per_day", json!(9)),
        (json!({"limits": {"requests_per_minute": null}}), "/limits/requests_per_minute", Value::Null),
        (json!({"limits": {}}), "/limits/credits_per_day", json!(9)),
        (json!({"scopes": {"models": []}}), "/scopes/models", json!([])),
        (json!({"scopes": null}), "/scopes", none),
        (json!({"limits": null}), "/limits/credits_per_day", Value::Null),
        (json!({"addresses": null}), "/addresses", Value::Null),
        (json!({"expires_at": null}), "/expires_at", Value::Null),
        (json!({"expires_at": "2027-01-01T00:00:00Z"}), "/expires_at", json!("2027-01-01T00:00:00Z")),
        (json!({"addresses": ["::ffff:10.1.2.3/120"]}), "/addresses", json!(["10.1.2.0/24"])),
    ] {
        *expected.pointer_mut(path).unwrap() = value;
        let changed = patch(&world, &ada.bearer(), &id, &change).await;
        assert_eq!((changed.status, changed.json()), (200, expected.clone()), "{change}");
        assert_eq!(view(&show(&world, &ada.bearer(), &id).await), expected);
    }
}

#[tokio::test]
async fn a_revoked_key_opens_nothing_and_stays_revoked() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let other = world.key(&ada, "other").await;
    let id = other.key.to_string();
    for _ in 0..2 {
        let gone = delete(&world, &ada.bearer(), &id).await;
        assert_eq!((gone.status, gone.body.as_str()), (204, ""));
        world.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(show(&world, &ada.bearer(), &id).await.json()["revoked_at"], "2026-11-20T12:00:00Z");
    validate(&world, &other.secret).await.refuses(401, "key_revoked");
    patch(&world, &ada.bearer(), &id, &json!({"label": "again"})).await.refuses(409, "conflict");
    rotate(&world, &ada.bearer(), &id, "").await.refuses(409, "conflict");
    // A key may revoke itself.
    assert_eq!(delete(&world, &ada.bearer(), &ada.key.to_string()).await.status, 204);
    world.refresh().await;
    get(world.address, PATH, &[&ada.bearer()]).await.refuses(401, "key_revoked");
}

#[tokio::test]
async fn keys_of_other_users_are_not_found_like_missing_keys() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let before = show(&world, &bob.bearer(), &bob.key.to_string()).await.json();
    let absent = "01994d5c-0000-7000-8000-000000000000";
    let ids = [bob.key.to_string(), absent.to_owned()];
    let ids = ids.into_iter().chain(["1", "null", "%ff", &"x".repeat(4_000)].map(str::to_owned));
    let mut bodies = Vec::new();
    for id in ids {
        for answer in [
            show(&world, &ada.bearer(), &id).await,
            patch(&world, &ada.bearer(), &id, &json!({"label": "mine", "expires_at": null})).await,
            delete(&world, &ada.bearer(), &id).await,
            rotate(&world, &ada.bearer(), &id, "{\"grace\":\"1h\"}").await,
        ] {
            answer.refuses(404, "not_found");
            bodies.push(answer.body);
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    for id in ["%00", "..%2f"] {
        delete(&world, &ada.bearer(), id).await.refuses(400, "bad_request");
    }
    assert_eq!(show(&world, &bob.bearer(), &bob.key.to_string()).await.json(), before);
}

#[tokio::test]
async fn a_restricted_key_sees_itself_or_reads_and_changes_nothing() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let models = Some(vec!["fast".to_owned()]);
    for (control, seen) in [(None, 1), (Some(ControlScope::Own), 1), (Some(ControlScope::Read), 4)] {
        let key = bounded(&world, &ada, KeyBounds { models: models.clone(), control, ..KeyBounds::default() }).await;
        let id = key.key.to_string();
        let other = ada.key.to_string();
        assert_eq!(show(&world, &key.bearer(), &id).await.status, 200);
        assert_eq!(page(&world, &key.bearer(), "").await.0.len(), seen, "{control:?}");
        let of_other = show(&world, &key.bearer(), &other).await;
        assert_eq!(of_other.status, if seen == 1 { 404 } else { 200 }, "{control:?}");
        for answer in [
            create(&world, &key.bearer(), &json!({"label": "free"})).await,
            patch(&world, &key.bearer(), &id, &json!({"scopes": null})).await,
            delete(&world, &key.bearer(), &other).await,
            rotate(&world, &key.bearer(), &other, "").await,
        ] {
            answer.refuses(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn a_restricted_key_learns_nothing_of_its_account() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let models = Some(vec!["fast".to_owned()]);
    let key = bounded(&world, &ada, KeyBounds { models: models.clone(), ..KeyBounds::default() }).await;
    let event = usage::event_of(&ada, usage::time_at(1));
    world.record(vec![event, usage::event_of(&key, usage::time_at(2))]).await;
    let id = key.key.to_string();
    let own = [
        "/api/keys".to_owned(),
        format!("/api/keys/{id}"),
        "/api/usage/today".to_owned(),
        "/api/usage/history?days=1".to_owned(),
        "/api/usage/series?by=key".to_owned(),
        "/api/usage/requests".to_owned(),
        "/api/models".to_owned(),
    ];
    for path in &own {
        let answer = get(world.address, path, &[&key.bearer()]).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        for secret in ["ada@example.com", &ada.key.to_string()] {
            assert!(!answer.body.contains(secret), "{path} shows {secret}: {}", answer.body);
        }
    }
    let today = get(world.address, "/api/usage/today", &[&key.bearer()]).await.json();
    let of_user = get(world.address, "/api/usage/today", &[&ada.bearer()]).await.json();
    assert_eq!([&today["requests"], &of_user["requests"]], [1, 2], "{today}");
    for query in [format!("key_id={}", ada.key), format!("scope=key:{}", ada.key), "scope=all".to_owned()] {
        for path in ["today", "history", "series", "requests"] {
            let path = format!("/api/usage/{path}?{query}");
            get(world.address, &path, &[&key.bearer()]).await.refuses(404, "not_found");
        }
    }
    let listed = get(world.address, "/api/usage/requests", &[&ada.bearer()]).await.json();
    for item in listed["items"].as_array().unwrap() {
        let path = format!("/api/usage/requests/{}", item["id"].as_str().unwrap());
        let status = if item["key"]["id"] == json!(key.key) { 200 } else { 404 };
        assert_eq!(get(world.address, &path, &[&key.bearer()]).await.status, status, "{item}");
    }
    let valid = post(world.address, "/api/auth/validate", &[&key.bearer()], "").await;
    assert!(valid.status == 200 && !valid.body.contains("ada@example.com"), "{valid:?}");
    let sign_in = json!({"key": key.secret}).to_string();
    post(world.address, "/api/auth/login", &[], &sign_in).await.refuses(403, "forbidden");
    // A key without the right to use the admin API is valid for the proxy only.
    let none = KeyBounds { control: Some(ControlScope::None), ..KeyBounds::default() };
    let none = bounded(&world, &ada, none).await;
    for path in &own {
        get(world.address, path, &[&none.bearer()]).await.refuses(403, "forbidden");
    }
    post(world.address, "/api/auth/validate", &[&none.bearer()], "").await.refuses(403, "forbidden");
}

#[tokio::test]
async fn the_control_scope_of_a_key_is_set_and_removed() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let body = json!({"label": "page", "scopes": {"models": ["fast"], "control": "read"}});
    let made = create(&world, &ada.bearer(), &body).await;
    assert_eq!((made.status, &made.json()["scopes"]["control"]), (201, &json!("read")), "{made:?}");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    for (change, expected) in [
        (json!({"scopes": {"control": "self"}}), json!("self")),
        (json!({"scopes": {"models": null}}), json!("self")),
        (json!({"scopes": {"control": "none"}}), json!("none")),
        (json!({"scopes": null}), Value::Null),
    ] {
        let changed = patch(&world, &ada.bearer(), &id, &change).await;
        assert_eq!((changed.status, &changed.json()["scopes"]["control"]), (200, &expected), "{change}");
    }
    for control in ["", "all", "admin", "SELF"] {
        patch(&world, &ada.bearer(), &id, &json!({"scopes": {"control": control}})).await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn a_key_is_used_from_its_networks_here_too() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let network = |text: &str| Some(vec![text.parse().unwrap()]);
    let here = KeyBounds { addresses: network("127.0.0.0/8"), ..KeyBounds::default() };
    let elsewhere = KeyBounds { addresses: network("203.0.113.0/24"), ..KeyBounds::default() };
    let here = bounded(&world, &ada, here).await;
    let elsewhere = bounded(&world, &ada, elsewhere).await;
    assert_eq!(get(world.address, PATH, &[&here.bearer()]).await.status, 200);
    let reported = get(world.address, PATH, &[&elsewhere.bearer()]).await.refuses(403, "forbidden");
    assert!(!reported.contains("203.0.113"), "{reported}");
    let token = json!({"token": elsewhere.secret}).to_string();
    post(world.address, "/api/auth/validate", &[], &token).await.refuses(403, "forbidden");
}

#[tokio::test]
async fn a_key_with_an_expiry_creates_no_key_that_expires_later() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let end = Timestamp(NOON.0 + 3_600_000_000);
    let brief = world.expiring_key(&ada, "brief", end).await;
    let own = brief.key.to_string();
    let endless = ada.key.to_string();
    let in_time = "2026-11-20T13:00:00Z";
    let too_late = "2026-11-20T13:00:00.000001Z";
    for answer in [
        create(&world, &brief.bearer(), &json!({"label": "x"})).await,
        create(&world, &brief.bearer(), &json!({"label": "x", "expires_at": too_late})).await,
        patch(&world, &brief.bearer(), &own, &json!({"expires_at": null})).await,
        patch(&world, &brief.bearer(), &own, &json!({"expires_at": too_late})).await,
        rotate(&world, &brief.bearer(), &endless, "").await,
    ] {
        assert!(answer.refuses(403, "forbidden").contains(in_time));
    }
    assert_eq!(create(&world, &brief.bearer(), &json!({"label": "x", "expires_at": in_time})).await.status, 201);
    assert_eq!(patch(&world, &brief.bearer(), &own, &json!({"label": "y", "expires_at": in_time})).await.status, 200);
    assert_eq!(patch(&world, &brief.bearer(), &endless, &json!({"label": "z"})).await.status, 200);
    assert_eq!(rotate(&world, &brief.bearer(), &own, "").await.status, 200);
}

#[tokio::test]
async fn when_a_key_was_used_is_shown() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let used = Timestamp(NOON.0 + 5_000_000);
    assert_eq!(show(&world, &ada.bearer(), &ada.key.to_string()).await.json()["last_used_at"], Value::Null);
    world.record(vec![event(ada.caller, used, Some(NanoUsd(1)))]).await;
    assert_eq!(show(&world, &ada.bearer(), &ada.key.to_string()).await.json()["last_used_at"], "2026-11-20T12:00:05Z");
}

#[tokio::test]
async fn a_user_has_a_thousand_keys_and_no_more() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    for _ in 1..store::KEYS_MAX {
        let key = access::ApiKey::generate("tollgate").unwrap();
        world.store.create_key(&store::Actor::COMMAND, NewKey::unbounded(ada.user, "x", &key)).await.unwrap();
    }
    let reported = create(&world, &ada.bearer(), &json!({"label": "one more"})).await.refuses(409, "conflict");
    assert!(reported.contains("1000 keys"), "{reported}");
    let (labels, next) = page(&world, &ada.bearer(), "?limit=200").await;
    assert!(labels.len() == 200 && next.is_some());
    let first = get(world.address, PATH, &[&ada.bearer()]).await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    delete(&world, &ada.bearer(), &first).await;
    assert_eq!(create(&world, &ada.bearer(), &json!({"label": "one more"})).await.status, 201);
}

#[tokio::test]
async fn the_audit_log_has_the_actor_and_no_secret() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let person = world.person("grace").await;
    let signed_in = world.sign_in(&person).await;
    let created = create(&world, &ada.bearer(), &bound()).await;
    let secrets = [text(&created, "key"), text(&rotate(&world, &ada.bearer(), &text(&created, "id"), "").await, "key")];
    let other = create(&world, &signed_in.bearer(), &json!({"label": "grace@example.com"})).await;
    patch(&world, &signed_in.bearer(), &text(&other, "id"), &json!({"label": "eve@example.com"})).await;
    let page = world.store.audit_page(&AuditFilter::default(), None, 100).await.unwrap();
    let of = |id: &str| -> Vec<_> {
        let id: uuid::Uuid = id.parse().unwrap();
        page.lines.iter().filter(|line| line.target == id).collect()
    };
    let by_key = of(&text(&created, "id"));
    assert!(
        by_key.len() == 2 && by_key.iter().all(|line| line.actor.by == ActorKind::Key { user: ada.user, key: ada.key })
    );
    assert!(by_key.iter().all(|line| line.actor.address.is_some() && line.owner == Some(ada.user)));
    let by_person = of(&text(&other, "id"));
    assert_eq!(by_person.len(), 2);
    assert!(
        by_person
            .iter()
            .all(|line| matches!(line.actor.by, ActorKind::User { user, session: Some(_) } if user == person.user))
    );
    let written = format!("{:?}", page.lines);
    assert!(
        secrets.iter().all(|secret| !written.contains(&secret[9..])) && !written.contains("@example.com"),
        "{written}"
    );
}

#[tokio::test]
async fn a_caller_must_authenticate_and_a_cookie_needs_an_allowed_origin() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let id = KeyId(ada.key.0).to_string();
    for line in ["GET /api/keys", "POST /api/keys", "GET /api/keys/x", "PATCH /api/keys/x", "DELETE /api/keys/x"] {
        call(world.address, line, &[], "").await.refuses(401, "unauthorized");
    }
    let person = world.person("grace").await;
    let signed_in = world.sign_in(&person).await;
    let foreign = [signed_in.cookie(), "Sec-Fetch-Site: cross-site".to_owned()];
    let foreign: Vec<&str> = foreign.iter().map(String::as_str).collect();
    post(world.address, PATH, &foreign, "{\"label\":\"x\"}").await.refuses(403, "forbidden");
    let own = [&*signed_in.cookie(), "Sec-Fetch-Site: same-origin"];
    assert_eq!(post(world.address, PATH, &own, "{\"label\":\"x\"}").await.status, 201);
    world.suspend(&ada).await;
    delete(&world, &ada.bearer(), &id).await.refuses(403, "user_suspended");
}

#[tokio::test]
async fn without_the_store_nothing_is_promised() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    assert_eq!(get(world.address, PATH, &[&ada.bearer()]).await.status, 200);
    world.store.close().await;
    for answer in [
        get(world.address, PATH, &[&ada.bearer()]).await,
        create(&world, &ada.bearer(), &json!({"label": "x"})).await,
        patch(&world, &ada.bearer(), &ada.key.to_string(), &json!({"label": "x"})).await,
        delete(&world, &ada.bearer(), &ada.key.to_string()).await,
        rotate(&world, &ada.bearer(), &ada.key.to_string(), "").await,
    ] {
        answer.refuses(503, "unavailable");
    }
}
