use serde_json::json;

use crate::client::get;
use crate::world::World;

#[tokio::test]
async fn readiness_follows_the_live_state_and_returns_the_reason() {
    let world = World::start().await;
    let ask = || get(world.address, "/readyz", &[]);

    let answer = ask().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ready"})));

    world.live_state.set_directory(false);
    let answer = ask().await;
    assert_eq!(
        answer.refuses(503, "unavailable"),
        "keys cannot be authenticated: the store is unavailable and the cache is too old"
    );
    assert_eq!(answer.headers["retry-after"], "1");
    world.live_state.set_directory(true);

    world.live_state.set_snapshot(false);
    assert_eq!(ask().await.refuses(503, "unavailable"), "no configuration is loaded yet");
    world.live_state.set_snapshot(true);
    assert_eq!(ask().await.status, 200);

    world.live_state.drain();
    assert_eq!(ask().await.refuses(503, "draining"), "this instance is shutting down");
}

#[tokio::test]
async fn beside_a_proxy_only_probes_and_metrics_are_served() {
    let world = World::start_beside_proxy().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(get(world.address, path, &[]).await.status, 200, "{path}");
    }
    for path in ["/health", "/api/usage/today", "/api/auth/validate"] {
        get(world.address, path, &[]).await.refuses(404, "not_found");
    }
}
