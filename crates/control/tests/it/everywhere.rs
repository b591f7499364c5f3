//! Behaviour that all operations share: authentication errors, limits on bodies and requests, and an unavailable
//! store.

use config::snapshot::{LimitSubject, WindowLimit};
use serde_json::Value;

use crate::client::{Answer, call};
use crate::document::{DOCUMENT, calls};
use crate::world::{Holder, World, defaults};

/// Asserts that every operation that lists `status` responds with it to `ask`, except these operations.
async fn check(status: u16, but: &[&str], ask: impl AsyncFn(&str, &str) -> Answer) {
    let mut otherwise = Vec::new();
    for line in calls() {
        let (method, path) = line.split_once(' ').unwrap();
        let operation = &DOCUMENT["paths"][path][method.to_lowercase()];
        if operation["responses"][status.to_string()].is_null() {
            continue;
        }
        let path = path.replace("{id}", "0199aa00-0000-7000-8000-00000000dead").replace("{name}", "starter");
        let path = path.replace("{dimension}", "user").replace("{measure}", "credits").replace("{per}", "day");
        let path = path.replace("{delivery_id}", "0199aa00-0000-7000-8000-00000000dead");
        let body = example(operation).map(|body| body.to_string()).unwrap_or_default();
        let answer = ask(&format!("{method} {path}"), &body).await;
        if answer.status != status {
            otherwise.push(line);
        }
    }
    assert_eq!(otherwise, but, "not answered with {status}");
}

/// Returns a valid body from the document.
fn example(operation: &'static Value) -> Option<&'static Value> {
    let resolved = |schema: &'static Value| match schema["$ref"].as_str() {
        Some(at) => DOCUMENT.pointer(at.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let schema = resolved(operation.pointer("/requestBody/content/application~1json/schema")?);
    let either = schema["oneOf"].as_array().map_or(std::slice::from_ref(schema), Vec::as_slice);
    either.iter().find_map(|one| resolved(one).get("example"))
}

async fn world() -> (World, Holder) {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    (world, ada)
}

const JSON: &str = "Content-Type: application/json";

#[tokio::test]
async fn two_credentials_are_refused_everywhere() {
    let world = World::start().await;
    let root = world.person_with("root", access::Role::Admin).await;
    let key = world.key_of(root.user, "laptop", None).await;
    let one = world.sign_in(&root).await.bearer();
    let other = format!("X-API-Key: {key}");
    // These operations require no credential of a user and ignore it.
    let but = [
        "POST /api/auth/link",
        "POST /api/auth/link/check",
        "POST /api/auth/login",
        "POST /api/auth/refresh",
        "POST /api/auth/register",
        "GET /api/site",
        "GET /health",
        "GET /install.sh",
        "GET /livez",
        "GET /metrics",
        "POST /midtrans/notification",
        "GET /openapi.json",
        "GET /readyz",
    ];
    check(400, &but, async |line, body| call(world.address, line, &[JSON, &one, &other], body).await).await;
}

#[tokio::test]
async fn an_invalid_head_is_refused_everywhere() {
    let world = World::start().await;
    check(400, &[], async |line, _| call(world.address, line, &["Host: another"], "").await).await;
}

#[tokio::test]
async fn an_unknown_key_is_refused_everywhere() {
    let (world, _) = world().await;
    let unknown = format!("Authorization: Bearer tollgate_{}", "0".repeat(32));
    // These operations require no key, or read it from the body; metrics have a separate token.
    let but = [
        "POST /api/auth/link",
        "POST /api/auth/link/check",
        "POST /api/auth/logout",
        "POST /api/auth/register",
        "POST /api/auth/validate",
        "GET /metrics",
    ];
    check(401, &but, async |line, body| call(world.address, line, &[JSON, &unknown], body).await).await;
}

#[tokio::test]
async fn a_suspended_user_is_refused_everywhere() {
    let (world, ada) = world().await;
    world.suspend(&ada).await;
    // These operations evaluate only their bodies.
    let but = [
        "POST /api/auth/link",
        "POST /api/auth/link/check",
        "POST /api/auth/login",
        "POST /api/auth/refresh",
        "POST /api/auth/validate",
    ];
    check(403, &but, async |line, body| call(world.address, line, &[JSON, &ada.bearer()], body).await).await;
}

#[tokio::test]
async fn a_restricted_key_is_refused_everywhere_but_for_itself() {
    let (world, ada) = world().await;
    let key = world.key(&ada, "page").await;
    let change = store::KeyChange { models: Some(Some(vec!["fast".to_owned()])), ..store::KeyChange::default() };
    let id = store::KeyRef::owned_by(ada.user, key.key);
    world.store.change_key(&store::Actor::COMMAND, id, change).await.unwrap();
    world.refresh().await;
    // These operations show only the key itself, or require no key, or read it from the body.
    let but = [
        "POST /api/auth/link",
        "POST /api/auth/link/check",
        "POST /api/auth/login",
        "POST /api/auth/refresh",
        "POST /api/auth/validate",
        "GET /api/keys",
        "GET /api/keys/{id}",
        "GET /api/models",
        "GET /api/usage/history",
        "GET /api/usage/requests",
        "GET /api/usage/requests/{id}",
        "GET /api/usage/series",
        "GET /api/usage/today",
    ];
    check(403, &but, async |line, body| call(world.address, line, &[JSON, &key.bearer()], body).await).await;
}

#[tokio::test]
async fn a_key_of_a_user_with_unpaid_invoices_pays_and_is_refused_everywhere_else() {
    let (world, ada) = world().await;
    world.hold(&ada, "starter").await;
    // These operations require no key, or read it from the body, or are about invoices and their payment.
    let but = [
        "POST /api/auth/link",
        "POST /api/auth/link/check",
        "POST /api/auth/login",
        "POST /api/auth/logout",
        "POST /api/auth/refresh",
        "POST /api/auth/register",
        "POST /api/auth/validate",
        "GET /api/billing/methods",
        "GET /api/invoices",
        "GET /api/invoices/{id}",
        "GET /api/invoices/{id}/html",
        "POST /api/invoices/{id}/pay",
        "GET /api/invoices/{id}/pdf",
        "GET /api/invoices/{id}/receipt",
        "GET /api/payments/{id}",
        "POST /api/payments/{id}/stub",
        "GET /api/subscription",
        "GET /api/wallet",
        "POST /api/wallet/topups",
    ];
    check(402, &but, async |line, body| call(world.address, line, &[JSON, &ada.bearer()], body).await).await;
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused_everywhere() {
    let world = World::start().await;
    let root = world.person_with("root", access::Role::Admin).await;
    let root = world.sign_in(&root).await;
    let large = format!("{{\"label\":\"{}\"}}", "x".repeat(1 << 20));
    check(413, &[], async |line, _| call(world.address, line, &[JSON, &root.bearer()], &large).await).await;
    check(415, &[], async |line, _| {
        call(world.address, line, &["Content-Type: text/plain", &root.bearer()], "{}").await
    })
    .await;
}

#[tokio::test]
async fn clients_over_the_rate_limit_are_refused_everywhere() {
    let (world, ada) = world().await;
    let every_minute = defaults().process.control.rate_limits[1];
    world.configure(|snapshot| {
        let once = WindowLimit { whose: LimitSubject::Everybodys, limit: 1.try_into().unwrap(), ..every_minute };
        snapshot.process.control.rate_limits = vec![once];
    });
    call(world.address, "GET /api/me", &[&ada.bearer()], "").await;
    check(429, &[], async |line, body| call(world.address, line, &[JSON, &ada.bearer()], body).await).await;
}

#[tokio::test]
async fn without_the_store_everything_that_needs_it_is_put_off() {
    let world = World::start().await;
    let root = world.person_with("root", access::Role::Admin).await;
    let root = world.sign_in(&root).await.bearer();
    world.store.close().await;
    // These operations need no store, or validate the body first. Another test covers `/readyz`.
    let but = [
        "POST /api/auth/validate",
        "GET /api/site",
        "GET /health",
        "GET /install.sh",
        "GET /livez",
        "GET /metrics",
        "POST /midtrans/notification",
        "GET /openapi.json",
        "GET /readyz",
    ];
    check(503, &but, async |line, body| call(world.address, line, &[JSON, &root], body).await).await;
}
