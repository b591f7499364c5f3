//! Keys with the scope `admin`.

use access::Role;
use serde_json::{Value, json};

use super::{create, delete, patch, rotate, show, text, validate};
use crate::api::explain::limited;
use crate::client::{Answer, call, get, post};
use crate::world::World;

const END: &str = "2027-02-18T00:00:00Z";

fn scope(addresses: &Value) -> Value {
    json!({"label": "provisioning", "scopes": ["admin"], "expires_at": END, "addresses": addresses})
}

/// Starts a world with the session of an admin and a key of this admin with the scope `admin`.
async fn world() -> (World, String, String, Answer) {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let admin = world.sign_in(&root).await.bearer();
    let created = create(&world, &admin, &scope(&json!(["127.0.0.0/8"]))).await;
    assert_eq!(created.status, 201, "{created:?}");
    world.refresh().await;
    let key = format!("Authorization: Bearer {}", text(&created, "key"));
    (world, admin, key, created)
}

#[tokio::test]
async fn it_makes_users_plans_and_keys_and_reads_usage() {
    let (world, admin, key, created) = world().await;
    assert_eq!((&created.json()["admin"], &created.json()["expires_at"]), (&json!(true), &json!(END)));
    assert_eq!(get(world.address, "/api/me", &[&key]).await.json()["acts_as"], "admin");
    let send = async |path: &str, body: Value| post(world.address, path, &[&key], &body.to_string()).await;
    assert_eq!(send("/api/plans", json!({"name": "shop", "credits_per_day": 100})).await.status, 201);
    let user = send("/api/users", json!({"kind": "service", "name": "Shop", "plan": "shop"})).await;
    assert_eq!(user.status, 201, "{user:?}");
    let id = user.json()["user"]["id"].as_str().unwrap().to_owned();
    let made = create(&world, &key, &json!({"label": "shop", "user_id": id})).await;
    assert_eq!((made.status, text(&made, "user_id")), (201, id.clone()), "{made:?}");
    assert_eq!(patch(&world, &key, &text(&made, "id"), &json!({"label": "web shop"})).await.status, 200);
    assert_eq!(rotate(&world, &key, &text(&made, "id"), "").await.status, 200);
    let usage = get(world.address, &format!("/api/usage/history?days=31&user_id={id}"), &[&key]).await;
    assert_eq!(usage.json()["days"].as_array().unwrap().len(), 31);
    assert_eq!(delete(&world, &key, &text(&made, "id")).await.status, 204);
    // Each use is a line of the audit log, without ids and query.
    let log = get(world.address, "/api/audit?action=key.use&limit=200", &[&admin]).await.json();
    let uses = log["items"].as_array().unwrap();
    let mut paths: Vec<_> = uses.iter().map(|line| line["detail"]["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    let one = "/api/keys/{id}";
    let rotation = "/api/keys/{id}/rotate";
    let expected = ["/api/keys", one, one, rotation, "/api/me", "/api/plans", "/api/usage/history", "/api/users"];
    assert_eq!(paths, expected);
    assert!(uses.iter().all(|line| line["actor"]["key_id"] == created.json()["id"]), "{log}");
    // So is one whose key is in the body.
    assert_eq!(validate(&world, &text(&created, "key")).await.status, 200);
    let log = get(world.address, "/api/audit?action=key.use&limit=1", &[&admin]).await.json();
    let newest = &log["items"][0];
    assert_eq!(
        (&newest["actor"]["key_id"], &newest["detail"]["path"]),
        (&created.json()["id"], &json!("/api/auth/validate"))
    );
}

#[tokio::test]
async fn its_replaced_secret_reads_and_changes_nothing() {
    let (world, admin, key, created) = world().await;
    let rotated = rotate(&world, &admin, &text(&created, "id"), "{\"grace\":\"1h\"}").await;
    let new = format!("Authorization: Bearer {}", text(&rotated, "key"));
    world.refresh().await;
    assert_eq!(get(world.address, "/api/users", &[&key]).await.status, 200);
    let user = json!({"kind": "service", "name": "Shop", "plan": "starter"}).to_string();
    for answer in [
        create(&world, &key, &json!({"label": "x"})).await,
        post(world.address, "/api/users", &[&key], &user).await,
        post(world.address, "/api/plans", &[&key], "{\"name\": \"shop\"}").await,
    ] {
        assert!(answer.refuses(403, "forbidden").contains("replaced"));
    }
    assert_eq!(post(world.address, "/api/users", &[&new], &user).await.status, 201);
}

#[tokio::test]
async fn it_reaches_no_admins_sessions_passwords_and_keys_of_its_kind() {
    let (world, admin, key, created) = world().await;
    let providers = "providers: [{name: openai, kind: openai, credential: vault}]\n";
    world.configure(|running| running.traffic = limited(providers).traffic);
    let other = world.person_with("other", Role::Admin).await;
    let member = world.person("member").await;
    let headers = [key.as_str(), "Content-Type: application/json"];
    let refused = async |line: &str, body: &str| {
        let headers = if body.is_empty() { &headers[..1] } else { &headers[..] };
        call(world.address, line, headers, body).await.refuses(403, "forbidden");
    };
    create(&world, &key, &scope(&Value::Null)).await.refuses(403, "forbidden");
    create(&world, &key, &json!({"label": "own"})).await.refuses(403, "forbidden");
    create(&world, &key, &json!({"label": "x", "user_id": other.user.to_string()})).await.refuses(403, "forbidden");
    let own = text(&created, "id");
    for id in [own.as_str()] {
        patch(&world, &key, id, &json!({"label": "x"})).await.refuses(403, "forbidden");
        rotate(&world, &key, id, "").await.refuses(403, "forbidden");
        delete(&world, &key, id).await.refuses(403, "forbidden");
    }
    let other = other.user;
    let member = member.user;
    refused(&format!("PATCH /api/users/{other}"), "{\"status\":\"suspended\"}").await;
    refused(&format!("PATCH /api/users/{member}"), "{\"role\":\"admin\"}").await;
    for grants in [json!([{"role": "finance"}]), json!([{"role": "team_lead", "label": "team=payments"}]), json!([])] {
        refused(&format!("PATCH /api/users/{member}"), &json!({"grants": grants}).to_string()).await;
    }
    refused("POST /api/users", "{\"email\":\"x@y.example\",\"name\":\"X\",\"plan\":\"starter\",\"role\":\"admin\"}")
        .await;
    refused(&format!("POST /api/users/{member}/password-link"), "").await;
    refused(&format!("DELETE /api/users/{member}/sessions"), "").await;
    refused("GET /api/sessions", "").await;
    refused("DELETE /api/sessions/0199aa00-0000-7000-8000-00000000dead", "").await;
    refused("POST /api/auth/password", "{\"current\":\"x\",\"new\":\"y\"}").await;
    for holder in [format!("user/{other}"), format!("key/{own}")] {
        refused(&format!("PUT /api/budgets/{holder}/tokens/day"), "{\"tokens\":1}").await;
        refused(&format!("DELETE /api/budgets/{holder}/tokens/day"), "").await;
    }
    let of_member = format!("PUT /api/budgets/user/{member}/tokens/day");
    assert_eq!(call(world.address, &of_member, &headers, "{\"tokens\":1}").await.status, 200);
    let credential = |label: &str, shared: bool| {
        json!({"provider": "openai", "label": label, "secret": "sk-live-of-root-1234", "shared": shared}).to_string()
    };
    refused("POST /api/provider-keys", &credential("own", false)).await;
    let id = text(&post(world.address, "/api/provider-keys", &[&admin], &credential("own", false)).await, "id");
    refused(&format!("PATCH /api/provider-keys/{id}"), "{\"label\":\"x\"}").await;
    refused(&format!("POST /api/provider-keys/{id}/test"), "").await;
    refused(&format!("DELETE /api/provider-keys/{id}"), "").await;
    let shared = post(world.address, "/api/provider-keys", &[&key], &credential("team", true)).await;
    assert_eq!(shared.status, 201, "{shared:?}");
    let sign_in = json!({"key": text(&created, "key")}).to_string();
    post(world.address, "/api/auth/login", &[], &sign_in).await.refuses(403, "forbidden");
    // The admin may change all of them.
    assert_eq!(patch(&world, &admin, &own, &json!({"label": "renamed"})).await.status, 200);
    assert_eq!(delete(&world, &admin, &own).await.status, 204);
    world.refresh().await;
    get(world.address, "/api/users", &[&key]).await.refuses(401, "key_revoked");
}

/// A configuration names the servers that receive the credentials of the vault.
#[tokio::test]
async fn it_sends_stored_credentials_to_no_other_server() {
    let (world, admin, key, _) = world().await;
    let post_config = async |path: &str, credential: &str, yaml: &str| {
        let headers = [credential, "Content-Type: application/json", "If-Match: *"];
        call(world.address, &format!("POST {path}"), &headers, &json!({"yaml": yaml}).to_string()).await
    };
    let config = |port: u16| {
        format!(
            "upstreams: [{{name: orders, backends: [{{url: \"http://127.0.0.1:{port}\"}}]}}]\n\
             routes: [{{name: a, path: /a, upstreams: orders}}]\n\
             providers: [{{name: own, kind: openai, base_url: \"http://127.0.0.1:{port}/v1\", credential: vault}}]\n"
        )
    };
    // Nothing is stored yet.
    for port in [1, 2] {
        assert_eq!(post_config("/api/config", &key, &config(port)).await.status, 200);
    }
    for name in ["own", "orders"] {
        let new =
            json!({"provider": name, "label": name, "secret": "sk-live-of-root-1234", "shared": name == "orders"});
        assert_eq!(post(world.address, "/api/provider-keys", &[&admin], &new.to_string()).await.status, 201);
    }
    let upstream_only = config(2).replace("http://127.0.0.1:2\"", "http://127.0.0.1:3\"");
    let provider_only = config(2).replace(":2/v1", ":3/v1");
    // What the key cannot add again it does not remove.
    let without_provider = config(2).split("providers:").next().unwrap().to_owned() + "providers: []\n";
    let without_upstream = config(2).replace("upstreams: [{name: orders", "upstreams: [{name: others");
    let without_upstream = without_upstream.replace("upstreams: orders", "upstreams: others");
    for yaml in [config(3), upstream_only, provider_only, without_provider, without_upstream] {
        for path in ["/api/config", "/api/config/validate"] {
            let refused = post_config(path, &key, &yaml).await.refuses(403, "forbidden");
            assert!(refused.contains("has stored credentials"), "{refused}");
        }
    }
    let history = get(world.address, "/api/config/history", &[&key]).await.json();
    let first = json!({"id": history["items"][1]["id"]}).to_string();
    let headers = [key.as_str(), "Content-Type: application/json", "If-Match: *"];
    call(world.address, "POST /api/config/rollback", &headers, &first).await.refuses(403, "forbidden");
    let without_route = config(2).replace("path: /a", "path: /b");
    assert_eq!(post_config("/api/config", &key, &without_route).await.status, 200);
    assert_eq!(post_config("/api/config", &admin, &config(3)).await.status, 200);
}

#[tokio::test]
async fn only_an_admin_with_a_password_makes_one_with_an_expiry_and_without_limits() {
    let (world, admin, _, created) = world().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.person("bob").await;
    for header in [ada.bearer(), world.sign_in(&bob).await.bearer()] {
        create(&world, &header, &scope(&Value::Null)).await.refuses(403, "forbidden");
    }
    let with = |name: &str, value: Value| {
        let mut body = scope(&Value::Null);
        body[name] = value;
        body
    };
    for body in [
        with("expires_at", Value::Null),
        with("expires_at", json!("2029-01-01T00:00:00Z")),
        with("scopes", json!([])),
        with("scopes", json!(["root"])),
        with("scopes", json!(["admin", "admin"])),
        with("limits", json!({"credits_per_day": 1})),
        with("user_id", json!(ada.user.to_string())),
        with("addresses", json!(["everywhere"])),
    ] {
        create(&world, &admin, &body).await.refuses(422, "unprocessable");
    }
    let id = text(&created, "id");
    for change in [json!({"expires_at": null}), json!({"scopes": null}), json!({"limits": {"credits_per_day": 1}})] {
        patch(&world, &admin, &id, &change).await.refuses(422, "unprocessable");
    }
    assert_eq!(show(&world, &admin, &id).await.json()["admin"], true);
}

#[tokio::test]
async fn it_works_from_its_addresses_and_while_its_user_is_an_admin() {
    let (world, admin, _, _) = world().await;
    let elsewhere = create(&world, &admin, &scope(&json!(["203.0.113.0/24"]))).await;
    world.refresh().await;
    let far = format!("Authorization: Bearer {}", text(&elsewhere, "key"));
    get(world.address, "/api/users", &[&far]).await.refuses(403, "forbidden");
    let second = world.person_with("second", Role::Admin).await;
    let session = world.sign_in(&second).await.bearer();
    let made = create(&world, &session, &scope(&Value::Null)).await;
    world.refresh().await;
    let key = format!("X-API-Key: {}", text(&made, "key"));
    assert_eq!(get(world.address, "/api/users", &[&key]).await.status, 200);
    let headers = [admin.as_str(), "Content-Type: application/json"];
    let demoted =
        call(world.address, &format!("PATCH /api/users/{}", second.user), &headers, "{\"role\":\"member\"}").await;
    assert_eq!(demoted.status, 200, "{demoted:?}");
    world.refresh().await;
    get(world.address, "/api/users", &[&key]).await.refuses(403, "forbidden");
    // It has no routes and no models, so it sees only itself.
    get(world.address, "/api/me", &[&key]).await.refuses(403, "forbidden");
}

#[tokio::test]
async fn without_its_line_in_the_audit_log_a_use_is_refused() {
    let (world, _, key, _) = world().await;
    // The directory knows the key; the store fails afterwards.
    assert_eq!(get(world.address, "/api/me", &[&key]).await.status, 200);
    world.store.close().await;
    get(world.address, "/api/limits", &[&key]).await.refuses(503, "unavailable");
}
