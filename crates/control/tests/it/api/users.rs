use std::time::Duration;

use access::Role;
use serde_json::{Value, json};

use crate::client::{Answer, call, get, post};
use crate::person::{BrowserSession, PASSWORD};
use crate::world::World;

const PATH: &str = "/api/users";
const ABSENT: &str = "0199aa00-0000-7000-8000-000000000000";

/// Starts a world with an admin who signed in.
async fn administered() -> (World, BrowserSession) {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let session = world.sign_in(&root).await;
    (world, session)
}

async fn patch(world: &World, by: &BrowserSession, id: &str, body: &Value) -> Answer {
    let headers = [by.bearer(), "Content-Type: application/json".to_owned()];
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    call(world.address, &format!("PATCH {PATH}/{id}"), &headers, &body.to_string()).await
}

async fn create(world: &World, by: &BrowserSession, body: &Value) -> Answer {
    post(world.address, PATH, &[&by.bearer()], &body.to_string()).await
}

async fn list(world: &World, by: &BrowserSession, query: &str) -> Answer {
    get(world.address, &format!("{PATH}?{query}"), &[&by.bearer()]).await
}

fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// The token of a link: the part after `#`.
fn token(link: &Value) -> &str {
    let url = link["url"].as_str().unwrap();
    let (page, token) = url.split_once('#').unwrap();
    assert!(page.starts_with("http://127.0.0.1:") && page.ends_with("/link"), "{url}");
    token
}

#[tokio::test]
async fn an_admin_creates_a_user_and_the_user_sets_the_password() {
    let (world, root) = administered().await;
    let created = create(&world, &root, &json!({"email": "Bob@Example.com", "name": " Bob ", "plan": "starter"})).await;
    assert_eq!(created.status, 201, "{created:?}");
    let user = &created.json()["user"];
    let link = &created.json()["password_link"];
    let expected = json!({"id": user["id"], "name": "Bob", "kind": "person", "email": "bob@example.com", "plan": "starter", "role": "member",
        "status": "active", "created_at": "2026-11-20T12:00:00Z"});
    assert_eq!((user, &link["expires_at"]), (&expected, &json!("2026-11-21T12:00:00Z")));
    let use_it = json!({"token": token(link), "password": PASSWORD}).to_string();
    assert_eq!(post(world.address, "/api/auth/link", &[], &use_it).await.status, 200);
    let credentials = json!({"email": "bob@example.com", "password": PASSWORD}).to_string();
    assert_eq!(post(world.address, "/api/auth/login", &[], &credentials).await.status, 200);
    let shown = get(world.address, &format!("{PATH}/{}", user["id"].as_str().unwrap()), &[&root.bearer()]).await;
    let mut detail = expected;
    detail["grants"] = json!([]);
    detail["labels"] = json!({});
    assert_eq!((shown.status, shown.json()), (200, detail));
}

#[tokio::test]
async fn a_user_that_cannot_be_is_refused_and_leaves_nothing() {
    let (world, root) = administered().await;
    let fine = json!({"email": "bob@example.com", "name": "Bob", "plan": "starter"});
    let with = |name: &str, value: Value| {
        let mut body = fine.clone();
        body[name] = value;
        body
    };
    for (body, code, status) in [
        (with("email", json!("root@example.com")), "conflict", 409),
        (with("email", json!("nobody")), "unprocessable", 422),
        (with("name", json!("")), "unprocessable", 422),
        (with("name", json!("a\u{0}b")), "unprocessable", 422),
        (with("name", json!("x".repeat(201))), "unprocessable", 422),
        (with("plan", json!("gold")), "unprocessable", 422),
        (with("role", json!("owner")), "unprocessable", 422),
        (with("password", json!("x")), "bad_request", 400),
        (json!({"email": "bob@example.com", "name": "Bob"}), "bad_request", 400),
    ] {
        let message = create(&world, &root, &body).await.refuses(status, code);
        for word in ["gold", "owner", "nobody"] {
            assert!(!message.contains(word), "the caller's own words: {message}");
        }
    }
    assert_eq!(names(&list(&world, &root, "").await.json()), ["root"]);
}

#[tokio::test]
async fn users_are_listed_by_page_status_and_address() {
    let (world, root) = administered().await;
    for name in ["a", "b", "c", "d"] {
        world.person(name).await;
    }
    let b = list(&world, &root, "email=B@example.com").await.json();
    assert_eq!((names(&b), &b["next"]), (vec!["b"], &Value::Null));
    let id = b["items"][0]["id"].as_str().unwrap();
    assert_eq!(patch(&world, &root, id, &json!({"status": "suspended"})).await.status, 200);
    assert_eq!(names(&list(&world, &root, "status=suspended").await.json()), ["b"]);
    assert_eq!(names(&list(&world, &root, "status=active&limit=3").await.json()), ["root", "a", "c"]);
    assert_eq!(names(&list(&world, &root, "email=b@example.com&status=active").await.json()), [""; 0]);
    assert_eq!(names(&list(&world, &root, "email=none@example.com").await.json()), [""; 0]);
    let mut paged = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = list(&world, &root, &query).await.json();
        paged.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["next"].as_str() else { break };
        query = format!("limit=2&cursor={next}");
    }
    assert_eq!(paged, ["root", "a", "b", "c", "d"]);
    // The cursor belongs to no user.
    for query in ["status=gone", "email=nobody", "limit=0", "cursor=x", "cursor=AZmqAAAAcACAAAAAAAAAAA", "page=1"] {
        list(&world, &root, query).await.refuses(400, "bad_request");
    }
}

#[tokio::test]
async fn a_change_applies_at_once_and_returns_the_new_values() {
    let (world, root) = administered().await;
    let bob = world.holder("bob", "starter").await;
    let id = bob.user.to_string();
    let changed = patch(&world, &root, &id, &json!({"name": "Robert", "plan": "endless"})).await;
    assert_eq!(
        (changed.status, &changed.json()["name"], &changed.json()["plan"]),
        (200, &json!("Robert"), &json!("endless"))
    );
    world.refresh().await;
    let me = get(world.address, "/api/me", &[&bob.bearer()]).await.json();
    assert_eq!((&me["user"]["name"], &me["user"]["plan"]), (&json!("Robert"), &json!("endless")));

    assert_eq!(patch(&world, &root, &id, &json!({"status": "suspended"})).await.json()["status"], "suspended");
    world.refresh().await;
    get(world.address, "/api/me", &[&bob.bearer()]).await.refuses(403, "user_suspended");
    assert_eq!(patch(&world, &root, &id, &json!({"status": "active"})).await.status, 200);
    world.refresh().await;
    assert_eq!(get(world.address, "/api/me", &[&bob.bearer()]).await.status, 200);
    for (body, status, code) in [
        (json!({"plan": "gold"}), 422, "unprocessable"),
        (json!({"status": "gone"}), 422, "unprocessable"),
        (json!({"role": "owner"}), 422, "unprocessable"),
        (json!({"name": "\u{7}"}), 422, "unprocessable"),
        (json!({"email": "eve@example.com"}), 400, "bad_request"),
    ] {
        patch(&world, &root, &id, &body).await.refuses(status, code);
    }
}

#[tokio::test]
async fn a_role_holds_at_once_and_the_last_admin_stays() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    let id = ada.user.to_string();
    list(&world, &session, "").await.refuses(403, "forbidden");
    let own = world.me(&root.bearer()).await.json()["user"]["id"].as_str().unwrap().to_owned();
    for change in [json!({"role": "member"}), json!({"status": "suspended"})] {
        patch(&world, &root, &own, &change).await.refuses(409, "conflict");
    }
    assert_eq!(patch(&world, &root, &id, &json!({"role": "admin"})).await.status, 200);
    assert_eq!(list(&world, &session, "").await.status, 200, "without another sign-in");
    assert_eq!(patch(&world, &session, &own, &json!({"role": "member"})).await.status, 200);
    list(&world, &root, "").await.refuses(403, "forbidden");
    patch(&world, &session, &id, &json!({"status": "suspended"})).await.refuses(409, "conflict");
}

#[tokio::test]
async fn a_password_link_replaces_the_one_before() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    let path = format!("POST {PATH}/{}/password-link", ada.user);
    let make = async || call(world.address, &path, &[&root.bearer()], "").await;
    let first = make().await;
    let second = make().await;
    assert_eq!((first.status, second.status), (201, 201), "{first:?} {second:?}");
    let session = world.sign_in(&ada).await;
    let use_it = |link: &Value| json!({"token": token(link), "password": "another long password"}).to_string();
    post(world.address, "/api/auth/link", &[], &use_it(&first.json())).await.refuses(404, "not_found");
    assert_eq!(post(world.address, "/api/auth/link", &[], &use_it(&second.json())).await.status, 200);
    world.me(&session.bearer()).await.refuses(401, "token_expired");
    post(world.address, "/api/auth/link", &[], &use_it(&second.json())).await.refuses(404, "not_found");
}

#[tokio::test]
async fn an_admin_signs_a_user_out_everywhere() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    let sessions = [world.sign_in(&ada).await, world.sign_in(&ada).await];
    let answer = call(world.address, &format!("DELETE {PATH}/{}/sessions", ada.user), &[&root.bearer()], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    for session in &sessions {
        world.me(&session.bearer()).await.refuses(401, "token_expired");
        post(world.address, "/api/auth/refresh", &[], &session.renewal()).await.refuses(401, "token_expired");
    }
    assert_eq!(world.me(&root.bearer()).await.status, 200);
}

#[tokio::test]
async fn only_an_admin_session_with_a_password_manages_users() {
    let (world, _root) = administered().await;
    let ada = world.person("ada").await;
    let bob = world.holder("bob", "starter").await;
    let admin = world.person_with("second", Role::Admin).await;
    let key = world.key_of(admin.user, "an admin's", None).await;
    let by_key = post(world.address, "/api/auth/login", &[], &json!({"key": key}).to_string()).await.json();
    let by_key = format!("Authorization: Bearer {}", by_key["access_token"].as_str().unwrap());
    let key = format!("Authorization: Bearer {key}");
    let member = world.sign_in(&ada).await.bearer();
    for header in [&member, &bob.bearer(), &key, &by_key] {
        for line in [
            format!("GET {PATH}"),
            format!("POST {PATH}"),
            format!("GET {PATH}/{}", bob.user),
            format!("GET {PATH}/{ABSENT}"),
            format!("PATCH {PATH}/{}", bob.user),
            format!("POST {PATH}/{}/password-link", bob.user),
            format!("DELETE {PATH}/{}/sessions", bob.user),
            "GET /api/audit".to_owned(),
            "POST /api/plans".to_owned(),
            "PATCH /api/plans/starter".to_owned(),
            "GET /api/invites".to_owned(),
            "POST /api/invites".to_owned(),
            format!("DELETE /api/invites/{ABSENT}"),
        ] {
            call(world.address, &line, &[header], "").await.refuses(403, "forbidden");
        }
    }
    get(world.address, PATH, &[]).await.refuses(401, "unauthorized");
}

#[tokio::test]
async fn a_missing_user_is_not_found_whatever_its_id() {
    let (world, root) = administered().await;
    let key = world.holder("ada", "starter").await.key.to_string();
    let mut bodies = Vec::new();
    for id in [ABSENT, &key, "x", "%ff", "%F0%9F%94%91", "1'%20OR%20'1'='1"] {
        for (method, rest, body) in [
            ("GET", "", ""),
            ("PATCH", "", "{\"plan\":\"starter\"}"),
            ("POST", "/password-link", ""),
            ("DELETE", "/sessions", ""),
        ] {
            let headers = [root.bearer(), "Content-Type: application/json".to_owned()];
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            let answer = call(world.address, &format!("{method} {PATH}/{id}{rest}"), &headers, body).await;
            answer.refuses(404, "not_found");
            bodies.push(answer.body);
        }
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    get(world.address, &format!("{PATH}/%00"), &[&root.bearer()]).await.refuses(400, "bad_request");
}

#[tokio::test]
async fn another_node_sees_a_suspension_within_a_second() {
    let (world, root) = administered().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    // Suspends the user as an admin on another node would.
    let suspended = store::UserChange { status: Some(access::UserStatus::Suspended), ..store::UserChange::default() };
    world.store.change_user(&store::Actor::COMMAND, &store::UserRef::Id(ada.user), suspended).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    let refused = world.me(&session.bearer()).await;
    assert!(matches!(refused.status, 401 | 403), "{refused:?}");
    assert_eq!(world.me(&root.bearer()).await.status, 200);
}

#[tokio::test]
async fn an_admin_sees_the_keys_of_a_user() {
    let (world, root) = administered().await;
    let ada = world.holder("ada", "starter").await;
    let path = format!("{PATH}/{}/keys", ada.user);
    let others = get(world.address, &path, &[&root.bearer()]).await;
    let own = get(world.address, "/api/keys", &[&ada.bearer()]).await;
    assert_eq!((others.status, others.json()["items"][0]["id"].clone()), (200, json!(ada.key)));
    assert_eq!(others.json()["items"][0]["label"], own.json()["items"][0]["label"]);
    assert!(!others.body.contains(&ada.secret));
    get(world.address, &path, &[&ada.bearer()]).await.refuses(403, "forbidden");
    get(world.address, &format!("{PATH}/{ABSENT}/keys"), &[&root.bearer()]).await.refuses(404, "not_found");
    get(world.address, &format!("{path}?limit=0"), &[&root.bearer()]).await.refuses(400, "bad_request");
}
