use std::time::Duration;

use serde_json::json;

use crate::client::{call, get};
use crate::world::World;

#[tokio::test]
async fn health_reports_version_and_age() {
    let world = World::start().await;
    assert_eq!(get(world.address, "/health", &[]).await.json()["uptime_s"], 0);
    world.clock.advance(Duration::from_millis(61_900));
    let answer = get(world.address, "/health", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"status": "ok", "version": "9.8.7", "uptime_s": 61}));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn health_responds_without_the_store() {
    let world = World::start().await;
    world.store.close().await;
    assert_eq!(get(world.address, "/health", &[]).await.status, 200);
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let world = World::start().await;
    let answer = call(world.address, "HEAD /health", &[], "").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
}

#[tokio::test]
async fn another_method_is_refused_and_the_right_ones_are_named() {
    let world = World::start().await;
    let answer = call(world.address, "DELETE /health", &[], "").await;
    answer.refuses(405, "method_not_allowed");
    assert_eq!(answer.headers["allow"], "GET,HEAD");
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let world = World::start().await;
    for path in ["//", "/index.html", "/healthy", "/health/", "/api", "/api/nothing"] {
        get(world.address, path, &[]).await.refuses(404, "not_found");
    }
    get(world.address, "/%2e%2e/health", &[]).await.refuses(400, "bad_request");
}
