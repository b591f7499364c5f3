//! The settings of insights in the configuration, which a request replaces.

use std::sync::Arc;

use insights::InsightSettings;
use serde_json::json;

use super::admin;
use crate::client::{call, get};
use crate::world::World;

const JSON: &str = "Content-Type: application/json";

/// Sets `days_min` in the configuration.
fn configure(world: &World, days_min: u32) {
    let mut settings = InsightSettings::default();
    settings.anomalies.days_min = days_min;
    world.configure(|snapshot| snapshot.traffic.insights = Arc::new(settings));
}

#[tokio::test]
async fn the_configuration_decides_until_a_request_changes_the_settings() {
    let world = World::start().await;
    let root = admin(&world).await;
    configure(&world, 21);
    let shown = get(world.address, "/config", &[&root]).await;
    assert_eq!((shown.headers["etag"].as_str(), &shown.json()["anomalies"]["days_min"]), ("\"1\"", &json!(21)));
    configure(&world, 22);
    let mut settings = get(world.address, "/config", &[&root]).await.json();
    assert_eq!(settings["anomalies"]["days_min"], 22);

    // Requests change the whole section, whose later changes in the configuration have no effect.
    settings["cache"] = json!({"today_ms": 1_000, "redis": true});
    let changed = call(world.address, "POST /config", &[JSON, &root, "If-Match: \"1\""], &settings.to_string()).await;
    assert_eq!((changed.status, &changed.json()["version"]), (200, &json!(2)), "{changed:?}");
    configure(&world, 23);
    let shown = get(world.address, "/config", &[&root]).await.json();
    assert_eq!((&shown["anomalies"]["days_min"], &shown["cache"]["redis"]), (&json!(22), &json!(true)));
    let stale = call(world.address, "POST /config", &[JSON, &root, "If-Match: \"1\""], &settings.to_string()).await;
    stale.refuses(409, "conflict");
}
