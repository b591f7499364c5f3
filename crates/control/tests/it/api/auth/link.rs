use std::time::Duration;

use access::Role;
use config::snapshot::SignupMode;
use serde_json::{Value, json};
use store::Purpose;

use crate::client::{Answer, get, post};
use crate::person::{BrowserSession, ORIGIN, PASSWORD, cookies_of};
use crate::world::World;

const PATH: &str = "/api/auth/link";
const NEW: &str = "another horse, same battery";

async fn world() -> World {
    let world = World::start().await;
    world.configure(|snapshot| snapshot.traffic.signup.mode = SignupMode::Invite);
    world
}

async fn check(world: &World, token: &str) -> Answer {
    post(world.address, "/api/auth/link/check", &[], &json!({"token": token}).to_string()).await
}

async fn redeem(world: &World, body: &Value) -> Answer {
    post(world.address, PATH, &[], &body.to_string()).await
}

async fn needs_setup(world: &World) -> Value {
    get(world.address, "/api/site", &[]).await.json()["needs_setup"].clone()
}

async fn signs_in(world: &World, email: &str, password: &str) -> bool {
    let body = json!({"email": email, "password": password}).to_string();
    post(world.address, "/api/auth/login", &[], &body).await.status == 200
}

#[tokio::test]
async fn a_password_link_sets_a_password_and_ends_all_sessions() {
    let world = world().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    assert_eq!(world.me(&session.bearer()).await.status, 200);
    let token = world.link(Purpose::Password { user: ada.user }).await;
    let reported = check(&world, &token).await.json();
    assert_eq!(reported, json!({"kind": "password", "email": "ada@example.com", "expires_at": "2026-11-21T12:00:00Z"}));
    let answer = redeem(&world, &json!({"token": token, "password": NEW})).await;
    // The browser is known from now on; no session begins.
    let cookies: Vec<_> = answer.cookies.iter().map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!((answer.status, cookies), (200, vec!["tollgate_known"]), "{answer:?}");
    assert_eq!(
        (&answer.json()["kind"], &answer.json()["user"]["email"]),
        (&json!("password"), &json!("ada@example.com"))
    );
    world.me(&session.bearer()).await.refuses(401, "token_expired");
    assert!(signs_in(&world, &ada.email, NEW).await && !signs_in(&world, &ada.email, PASSWORD).await);
    redeem(&world, &json!({"token": token, "password": NEW})).await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_password_link_lifts_the_lock_and_the_same_password_ends_no_session() {
    let world = world().await;
    let ada = world.person("ada").await;
    let session = world.sign_in(&ada).await;
    for _ in 0..9 {
        assert!(!signs_in(&world, &ada.email, "wrong").await);
    }
    assert!(!signs_in(&world, &ada.email, PASSWORD).await, "locked");
    for n in 0..20 {
        signs_in(&world, &format!("{n}@example.com"), "wrong").await;
    }
    let token = world.link(Purpose::Password { user: ada.user }).await;
    assert_eq!(world.me(&session.bearer()).await.status, 200, "the link alone ends nothing");
    let answer = redeem(&world, &json!({"token": token, "password": PASSWORD})).await;
    assert_eq!(answer.status, 200, "the lock of the address does not concern the link: {answer:?}");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.me(&session.bearer()).await.status, 200);
    let headers = [&format!("Cookie: {}", cookies_of(&answer)), ORIGIN];
    assert_eq!(post(world.address, "/api/auth/login", &headers, &ada.credentials()).await.status, 200);
    world.forget_attempts();
    let token = world.link(Purpose::Password { user: ada.user }).await;
    redeem(&world, &json!({"token": token, "password": NEW})).await;
    world.me(&session.bearer()).await.refuses(401, "token_expired");
}

#[tokio::test]
async fn an_invitation_makes_an_account() {
    let world = world().await;
    let token = world.invite(None, None).await;
    assert_eq!(check(&world, &token).await.json()["email"], json!(null));
    let requested = json!({"token": token, "password": PASSWORD, "name": "Ada", "email": "ada@example.com"});
    assert_eq!(redeem(&world, &requested).await.json()["user"]["role"], "member");
    assert!(signs_in(&world, "ada@example.com", PASSWORD).await);

    let bound = world.invite(Some("bob@example.com"), Some("endless")).await;
    assert_eq!(check(&world, &bound).await.json()["email"], "bob@example.com");
    let other = json!({"token": bound, "password": PASSWORD, "name": "Bob", "email": "eve@example.com"});
    redeem(&world, &other).await.refuses(403, "signup_closed");
    let user =
        redeem(&world, &json!({"token": bound, "password": PASSWORD, "name": "Bob"})).await.json()["user"].clone();
    assert_eq!((&user["email"], &user["plan"]), (&json!("bob@example.com"), &json!("endless")));
}

#[tokio::test]
async fn an_invitation_opens_nothing_where_sign_up_is_closed() {
    let world = world().await;
    let token = world.invite(None, None).await;
    world.configure(|snapshot| snapshot.traffic.signup.mode = SignupMode::Closed);
    let requested = json!({"token": token, "password": PASSWORD, "name": "Ada", "email": "ada@example.com"});
    redeem(&world, &requested).await.refuses(403, "signup_closed");
}

#[tokio::test]
async fn a_taken_address_is_not_revealed_by_an_invitation() {
    let world = world().await;
    let ada = world.person("ada").await;
    let token = world.invite(None, None).await;
    let requested = json!({"token": token, "password": NEW, "name": "Ada", "email": "ada@example.com"});
    let answer = redeem(&world, &requested).await;
    assert_eq!((answer.status, &answer.json()["user"]["email"]), (200, &json!("ada@example.com")));
    assert_ne!(answer.json()["user"]["id"], json!(ada.user));
    assert!(signs_in(&world, &ada.email, PASSWORD).await && !signs_in(&world, &ada.email, NEW).await);
}

#[tokio::test]
async fn the_first_admin_is_made_once() {
    let world = world().await;
    let token = world.link(Purpose::FirstAdmin).await;
    assert_eq!(check(&world, &token).await.json()["kind"], "first_admin");
    assert_eq!(needs_setup(&world).await, true);
    let requested = json!({"token": token, "password": PASSWORD, "name": "Root", "email": "root@example.com"});
    assert_eq!(redeem(&world, &requested).await.json()["user"]["role"], "admin");
    assert_eq!(needs_setup(&world).await, false);
    let login = json!({"email": "root@example.com", "password": PASSWORD, "refresh": true}).to_string();
    let session = BrowserSession::read(&post(world.address, "/api/auth/login", &[], &login).await);
    assert_eq!(world.me(&session.bearer()).await.json()["acts_as"], "admin");
    redeem(&world, &requested).await.refuses(404, "not_found");
}

#[tokio::test]
async fn the_link_for_the_first_admin_is_invalid_once_an_admin_exists() {
    let world = world().await;
    let token = world.link(Purpose::FirstAdmin).await;
    world.person_with("root", Role::Admin).await;
    let requested = json!({"token": token, "password": PASSWORD, "name": "Eve", "email": "eve@example.com"});
    redeem(&world, &requested).await.refuses(409, "conflict");
}

#[tokio::test]
async fn a_site_reports_an_admin_of_another_process_within_a_second_and_no_setup_without_the_store() {
    let world = world().await;
    world.person("ada").await;
    assert_eq!(needs_setup(&world).await, true);
    world.person_with("root", Role::Admin).await;
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(needs_setup(&world).await, false);

    let world = self::world().await;
    world.store.close().await;
    assert_eq!(needs_setup(&world).await, false);
}

#[tokio::test]
async fn a_link_that_opens_nothing_has_one_answer() {
    let world = world().await;
    let ada = world.person("ada").await;
    let old = world.link(Purpose::Password { user: ada.user }).await;
    world.clock.advance(Duration::from_secs(86_400));
    let replaced = world.link(Purpose::Password { user: ada.user }).await;
    let used = world.invite(None, None).await;
    world.link(Purpose::Password { user: ada.user }).await;
    redeem(&world, &json!({"token": used, "password": PASSWORD, "name": "Bob", "email": "bob@example.com"})).await;
    let session = world.sign_in(&ada).await;
    let mut bodies = Vec::new();
    for token in ["", "x", &format!("tgl_{}", "A".repeat(43)), &old, &replaced, &used, &session.refresh] {
        let shown = check(&world, token).await;
        let answer = redeem(&world, &json!({"token": token, "password": NEW})).await;
        shown.refuses(404, "not_found");
        answer.refuses(404, "not_found");
        bodies.extend([shown.body, answer.body]);
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
}

#[tokio::test]
async fn a_link_accepts_only_the_fields_that_it_needs() {
    let world = world().await;
    let ada = world.person("ada").await;
    let invite = world.invite(None, None).await;
    let reset = world.link(Purpose::Password { user: ada.user }).await;
    let check = async |body: Value, status: u16, code: &str, printed: &str| {
        let message = redeem(&world, &body).await.refuses(status, code);
        assert!(message.contains(printed), "{body}: {message}");
    };
    check(json!({"token": invite, "password": NEW, "email": "b@c"}), 400, "bad_request", "`name`").await;
    check(json!({"token": invite, "password": NEW, "name": "B"}), 400, "bad_request", "`email`").await;
    check(json!({"token": invite, "password": NEW, "name": "B", "email": "b"}), 422, "unprocessable", "`email`").await;
    check(
        json!({"token": invite, "password": "short", "name": "B", "email": "b@c"}),
        422,
        "unprocessable",
        "`password`",
    )
    .await;
    check(json!({"token": reset, "password": "short"}), 422, "unprocessable", "`password`").await;
    check(json!({"token": reset, "password": NEW, "name": "B"}), 400, "bad_request", "takes only").await;
    check(json!({"token": reset, "password": NEW, "role": "admin"}), 400, "bad_request", "unknown field `role`").await;
    check(json!({"token": reset}), 400, "bad_request", "missing field `password`").await;
    assert_eq!(
        redeem(&world, &json!({"token": reset, "password": NEW})).await.status,
        200,
        "an invalid request does not use the link up"
    );
}

#[tokio::test]
async fn the_page_runs_its_own_script_and_connects_to_no_other_host() {
    let world = world().await;
    world.configure(|snapshot| snapshot.process.brand.name = "Codexible <&>".to_owned());
    let answer = get(world.address, "/link", &[]).await;
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    let policy = &answer.headers["content-security-policy"];
    for rule in [
        "default-src 'none'",
        "script-src 'sha256-",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(answer.headers[name], value);
    }
    assert!(answer.body.contains("<title>Codexible &lt;&amp;&gt;</title>"));
    let beside = World::start_beside_proxy().await;
    get(beside.address, "/link", &[]).await.refuses(404, "not_found");
}
