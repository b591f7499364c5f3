use serde_json::json;

use crate::client::get;
use crate::world::World;

#[tokio::test]
async fn readiness_follows_the_board_and_says_why_not() {
    let world = World::start().await;
    let ask = || get(world.address, "/readyz", &[]);

    let answer = ask().await;
    assert_eq!((answer.status, answer.json()), (200, json!({"status": "ready"})));

    world.board.set_directory(false);
    let answer = ask().await;
    assert_eq!(
        answer.refuses(503, "unavailable"),
        "keys cannot be authenticated: the store is unavailable and the cache is too old"
    );
    assert_eq!(answer.headers["retry-after"], "1");
    world.board.set_directory(true);

    world.board.set_snapshot(false);
    assert_eq!(ask().await.refuses(503, "unavailable"), "no configuration is loaded yet");
    world.board.set_snapshot(true);
    assert_eq!(ask().await.status, 200);

    world.board.drain();
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
