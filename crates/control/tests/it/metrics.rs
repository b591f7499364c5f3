use crate::client::get;
use crate::world::World;

#[tokio::test]
async fn metrics_count_calls_by_pattern_and_status() {
    let world = World::start().await;
    get(world.address, "/health?x=1", &[]).await;
    get(world.address, "/made/up", &[]).await;
    get(world.address, "/made/up/too", &[]).await;
    get(world.address, "/api/usage/today", &[]).await;
    let answer = get(world.address, "/metrics", &[]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    for line in [
        "api_requests_total{method=\"GET\",path=\"/health\",status=\"200\"} 1",
        "api_requests_total{method=\"GET\",path=\"other\",status=\"404\"} 2",
        "api_requests_total{method=\"GET\",path=\"/api/usage/today\",status=\"401\"} 1",
        "api_response_time_seconds_count{method=\"GET\",path=\"/health\"} 1",
    ] {
        assert!(answer.body.lines().any(|found| found == line), "{line}\n{}", answer.body);
    }
    assert!(answer.body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn metrics_are_closed_where_others_can_connect() {
    let world = World::start_on("0.0.0.0:0").await;
    let answer = get(world.address, "/metrics", &[]).await;
    answer.refuses(401, "unauthorized");
    assert!(!answer.body.contains("tollgate_"));
    assert_eq!(get(world.address, "/health", &[]).await.status, 200);
}
