//! Keys of other users: admins reach them, members do not.

use access::Role;
use serde_json::{Value, json};

use super::{PATH, create, delete, patch, rotate, show, text, validate};
use crate::client::{Answer, get, post};
use crate::world::World;

/// The lines of the audit log about a user, newest first: action and actor.
async fn lines(world: &World, admin: &str, user: &str) -> Vec<(String, String)> {
    let log = get(world.address, &format!("/api/audit?user_id={user}"), &[admin]).await.json();
    let line = |line: &Value| {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (word(&line["action"]), word(&line["actor"]["user_id"]))
    };
    log["items"].as_array().unwrap_or_else(|| panic!("{log}")).iter().map(line).collect()
}

async fn lookup(world: &World, header: &str, body: &Value) -> Answer {
    post(world.address, "/api/keys/lookup", &[header], &body.to_string()).await
}

#[tokio::test]
async fn an_admin_manages_the_keys_of_any_user_and_the_audit_log_names_both() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let admin = world.sign_in(&root).await.bearer();
    let ada = world.holder("ada", "starter").await;
    let user = ada.user.to_string();
    let created = create(&world, &admin, &json!({"label": "given", "user_id": user})).await;
    assert_eq!((created.status, text(&created, "user_id")), (201, user.clone()), "{created:?}");
    let id = text(&created, "id");
    let secret = text(&created, "key");
    assert_eq!(validate(&world, &secret).await.json()["user"]["id"], json!(user));
    let listed = get(world.address, &format!("{PATH}?user_id={user}"), &[&admin]).await.json();
    let mut labels: Vec<_> =
        listed["items"].as_array().unwrap().iter().filter_map(|key| key["label"].as_str()).collect();
    // Test and server make ids apart, so the two labels have no order within a millisecond.
    labels.sort_unstable();
    assert_eq!(labels, ["ada", "given"]);
    let ids: Vec<_> = listed["items"].as_array().unwrap().iter().filter_map(|key| key["id"].as_str()).collect();
    assert!(ids.is_sorted_by(|newer, older| newer > older), "newest first: {ids:?}");
    assert_eq!(get(world.address, PATH, &[&admin]).await.json()["items"], json!([]), "the admin's own keys");
    let limited = patch(&world, &admin, &id, &json!({"limits": {"credits_per_day": 5}})).await;
    assert_eq!(limited.json()["limits"]["credits_per_day"], 5, "{limited:?}");
    let rotated = rotate(&world, &admin, &id, "{\"grace\":\"1h\"}").await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    assert_eq!(delete(&world, &admin, &id).await.status, 204);
    validate(&world, &text(&rotated, "key")).await.refuses(401, "key_revoked");
    let by_root = |action: &str| (action.to_owned(), root.user.to_string());
    let mut found = lines(&world, &admin, &user).await;
    found.retain(|(_, actor)| *actor == root.user.to_string());
    found.sort();
    assert_eq!(found, ["key.change", "key.create", "key.revoke", "key.rotate"].map(by_root));
    let absent = "0199aa00-0000-7000-8000-00000000dead";
    create(&world, &admin, &json!({"label": "x", "user_id": absent})).await.refuses(404, "not_found");
    get(world.address, &format!("{PATH}?user_id={absent}"), &[&admin]).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_repeat_of_an_admin_gives_the_key_of_the_user_another_secret() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let admin = world.sign_in(&root).await.bearer();
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let send = async |user: &str| {
        let body = json!({"label": "given", "user_id": user}).to_string();
        post(world.address, PATH, &[&admin, "Idempotency-Key: once"], &body).await
    };
    let first = send(&ada.user.to_string()).await;
    let second = send(&ada.user.to_string()).await;
    assert_eq!((text(&first, "id"), text(&second, "user_id")), (text(&second, "id"), ada.user.to_string()));
    let rotations = lines(&world, &admin, &ada.user.to_string()).await;
    assert!(rotations.contains(&("key.rotate".to_owned(), root.user.to_string())), "{rotations:?}");
    send(&bob.user.to_string()).await.refuses(409, "conflict");
}

#[tokio::test]
async fn a_member_sees_keys_of_others_as_missing() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let carol = world.person("carol").await;
    let user = ada.user.to_string();
    let id = ada.key.to_string();
    for header in [bob.bearer(), world.sign_in(&carol).await.bearer()] {
        create(&world, &header, &json!({"label": "x", "user_id": user})).await.refuses(404, "not_found");
        get(world.address, &format!("{PATH}?user_id={user}"), &[&header]).await.refuses(404, "not_found");
        show(&world, &header, &id).await.refuses(404, "not_found");
        patch(&world, &header, &id, &json!({"label": "mine"})).await.refuses(404, "not_found");
        rotate(&world, &header, &id, "").await.refuses(404, "not_found");
        delete(&world, &header, &id).await.refuses(404, "not_found");
        lookup(&world, &header, &json!({"key": ada.secret})).await.refuses(403, "forbidden");
    }
    // An ordinary key of an admin has the rights of a member.
    let root = world.person_with("root", Role::Admin).await;
    let key = format!("Authorization: Bearer {}", world.key_of(root.user, "laptop", None).await);
    show(&world, &key, &id).await.refuses(404, "not_found");
    lookup(&world, &key, &json!({"last4": "0000"})).await.refuses(403, "forbidden");
}

#[tokio::test]
async fn a_leaked_key_is_found_by_its_end_or_as_a_whole_also_after_a_rotation() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let admin = world.sign_in(&root).await.bearer();
    let ada = world.holder("ada", "starter").await;
    world.holder("bob", "starter").await;
    let last4 = &ada.secret[ada.secret.len() - 4..];
    let check = async |body: Value| {
        let found = lookup(&world, &admin, &body).await;
        assert_eq!(found.status, 200, "{found:?}");
        assert!(!found.body.contains(&ada.secret), "{found:?}");
        let items = found.json()["items"].clone();
        assert!(items.as_array().unwrap().iter().any(|key| key["id"] == json!(ada.key.to_string())), "{body}");
        assert_eq!(items[0]["user"]["email"], "ada@example.com");
    };
    check(json!({"key": ada.secret})).await;
    check(json!({"last4": last4})).await;
    check(json!({"last4": format!(" …{} ", last4.to_uppercase())})).await;
    rotate(&world, &admin, &ada.key.to_string(), "{\"grace\":\"1h\"}").await;
    check(json!({"key": ada.secret})).await;
    check(json!({"last4": last4})).await;
    let unknown = json!({"key": format!("tollgate_{}", "0".repeat(32))});
    assert_eq!(lookup(&world, &admin, &unknown).await.json(), json!({"items": []}));
    for (body, status, code) in [
        (json!({}), 400, "bad_request"),
        (json!({"last4": "9f3c", "key": ada.secret}), 400, "bad_request"),
        (json!({"last4": "9f3"}), 422, "unprocessable"),
        (json!({"last4": "'--x"}), 422, "unprocessable"),
        (json!({"key": "sk-0123456789abcdef"}), 422, "unprocessable"),
    ] {
        let message = lookup(&world, &admin, &body).await.refuses(status, code);
        assert!(!message.contains("0123456789"), "{message}");
    }
}

#[tokio::test]
async fn a_key_is_shown_with_its_client_its_calls_and_its_old_secret() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let admin = world.sign_in(&root).await.bearer();
    let ada = world.holder("ada", "starter").await;
    world.record(vec![crate::world::event(ada.caller, crate::world::NOON, None)]).await;
    get(world.address, "/api/me", &[&ada.bearer(), "User-Agent: openai-python/1.40.0 (Linux)"]).await;
    let shown = show(&world, &admin, &ada.key.to_string()).await.json();
    assert_eq!(shown["user"]["email"], "ada@example.com");
    assert_eq!(
        (&shown["use"]["address"], &shown["use"]["client"]),
        (&json!("127.0.0.1"), &json!("openai-python/1.40.0"))
    );
    let days = shown["use"]["days"].as_array().unwrap();
    assert_eq!((days.len(), &days[29]["date"], &days[29]["requests"]), (30, &json!("2026-11-20"), &json!(1)));
    assert_eq!(shown["old_secret"], Value::Null);
    // The client is in the store afterwards.
    world.store.write_last_use(true).await.unwrap();
    let stored = show(&world, &ada.bearer(), &ada.key.to_string()).await.json();
    assert_eq!(
        (&stored["use"]["address"], &stored["use"]["at"]),
        (&json!("127.0.0.1"), &json!("2026-11-20T12:00:00Z"))
    );
    rotate(&world, &admin, &ada.key.to_string(), "{\"grace\":\"1h\"}").await;
    world.refresh().await;
    get(world.address, "/api/me", &[&ada.bearer()]).await;
    world.store.write_last_use(true).await.unwrap();
    let old = show(&world, &admin, &ada.key.to_string()).await.json()["old_secret"].clone();
    assert_eq!(
        (&old["ends_at"], &old["last_used_at"]),
        (&json!("2026-11-20T13:00:00Z"), &json!("2026-11-20T12:00:00Z"))
    );
}

#[tokio::test]
async fn a_service_user_has_keys_only() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let admin = world.sign_in(&root).await.bearer();
    let users = async |body: Value| post(world.address, "/api/users", &[&admin], &body.to_string()).await;
    let created = users(json!({"kind": "service", "name": "Shop", "plan": "starter"})).await;
    assert_eq!((created.status, &created.json()["password_link"]), (201, &Value::Null), "{created:?}");
    let user = created.json()["user"].clone();
    assert_eq!((&user["kind"], &user["email"], &user["role"]), (&json!("service"), &Value::Null, &json!("member")));
    let id = user["id"].as_str().unwrap();
    let key = create(&world, &admin, &json!({"label": "shop", "user_id": id})).await;
    let me = get(world.address, "/api/me", &[&format!("Authorization: Bearer {}", text(&key, "key"))]).await.json();
    assert_eq!(me["user"], user);
    assert_eq!(validate(&world, &text(&key, "key")).await.json()["user"]["email"], Value::Null);
    assert_eq!(
        users(json!({"kind": "service", "name": "Shop", "plan": "starter"})).await.status,
        201,
        "names may repeat"
    );
    for (body, status, code) in [
        (json!({"kind": "service", "name": "Shop", "plan": "starter", "email": "a@b.example"}), 400, "bad_request"),
        (json!({"kind": "service", "name": "Shop", "plan": "starter", "role": "admin"}), 422, "unprocessable"),
        (json!({"kind": "robot", "name": "Shop", "plan": "starter"}), 422, "unprocessable"),
        (json!({"kind": "service", "name": "Shop", "plan": "gold"}), 422, "unprocessable"),
    ] {
        users(body).await.refuses(status, code);
    }
    let path = format!("/api/users/{id}");
    crate::client::call(world.address, &format!("POST {path}/password-link"), &[&admin], "")
        .await
        .refuses(409, "conflict");
    let role = json!({"role": "admin"}).to_string();
    let headers = [admin.as_str(), "Content-Type: application/json"];
    crate::client::call(world.address, &format!("PATCH {path}"), &headers, &role).await.refuses(422, "unprocessable");
}
