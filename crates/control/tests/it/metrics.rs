use access::Secret;

use crate::client::{get, raw};
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
async fn accept_chooses_between_the_formats() {
    let world = World::start().await;
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let plain = "text/plain; version=0.0.4; charset=utf-8";
    for (accept, media_type) in [
        ("*/*", open),
        ("text/plain", plain),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", plain),
        ("application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5", open),
        ("application/openmetrics-text;q=0,text/plain", plain),
    ] {
        let answer = get(world.address, "/metrics", &[&format!("Accept: {accept}")]).await;
        assert_eq!(answer.headers["content-type"], media_type, "{accept}");
        assert_eq!(answer.body.ends_with("# EOF\n"), media_type == open, "{accept}");
        let counter = answer.body.lines().any(|line| line == "# TYPE api_requests_total counter");
        assert_eq!(counter, media_type == plain, "{accept}");
    }
}

#[tokio::test]
async fn metrics_are_closed_where_others_can_connect() {
    let world = World::start_on("0.0.0.0:0").await;
    let answer = get(world.address, "/metrics", &["Authorization: Bearer "]).await;
    answer.refuses(401, "unauthorized");
    assert!(!answer.body.contains("tollgate_"));
    assert_eq!(get(world.address, "/health", &[]).await.status, 200);
}

#[tokio::test]
async fn a_token_opens_metrics_where_others_can_connect() {
    let world = World::start_on("0.0.0.0:0").await;
    world.configure(|snapshot| snapshot.process.metrics.token = Some(Secret::new("T0KEN".to_owned())));
    for header in ["Authorization: Bearer T0KEN", "authorization: bearer  T0KEN "] {
        let answer = get(world.address, "/metrics", &[header]).await;
        assert_eq!(answer.status, 200, "{header}");
        assert!(answer.body.contains("tollgate_"), "{header}");
    }
    let two = ["Authorization: Bearer T0KEN", "Authorization: Bearer T0KEN"];
    let basic = ["Authorization: Basic T0KEN"];
    let bare = ["Authorization: T0KEN"];
    let none: [&str; 0] = [];
    for headers in
        [&two[..], &basic[..], &bare[..], &none[..], &["Authorization: Bearer T0KENS"][..], &["X-API-Key: T0KEN"][..]]
    {
        let answer = get(world.address, "/metrics", headers).await;
        let message = answer.refuses(401, "unauthorized");
        assert!(message.contains("metrics.token") && !answer.body.contains("T0KEN"), "{headers:?}: {message}");
    }
}

/// A proxy on the same machine that is not trusted must not expose the metrics.
#[tokio::test]
async fn requests_that_a_proxy_forwards_to_loopback_need_the_token() {
    let world = World::start().await;
    for header in ["X-Forwarded-For: 203.0.113.7", "Forwarded: for=203.0.113.7"] {
        get(world.address, "/metrics", &[header]).await.refuses(401, "unauthorized");
    }
    world.configure(|snapshot| snapshot.process.metrics.token = Some(Secret::new("T0KEN".to_owned())));
    let reported = ["X-Forwarded-For: 203.0.113.7", "Authorization: Bearer T0KEN"];
    assert_eq!(get(world.address, "/metrics", &reported).await.status, 200);
}

/// A proxy on the same host that forwards no client address (nginx without `proxy_set_header`) sends HTTP/1.0 with the
/// listener's address as `Host`.
#[tokio::test]
async fn a_configured_token_is_needed_on_loopback_too() {
    let world = World::start().await;
    let request = |version: &str, token: &str| {
        format!("GET /metrics HTTP/{version}\r\nHost: 127.0.0.1:8787\r\nConnection: close\r\n{token}\r\n")
    };
    for version in ["1.0", "1.1"] {
        let requested = request(version, "");
        assert_eq!(raw(world.address, requested.as_bytes()).await.status, 200, "without a token loopback is open");
    }
    world.configure(|snapshot| snapshot.process.metrics.token = Some(Secret::new("T0KEN".to_owned())));
    for version in ["1.0", "1.1"] {
        let requested = request(version, "");
        let refused = raw(world.address, requested.as_bytes()).await;
        refused.refuses(401, "unauthorized");
        assert!(!refused.body.contains("tollgate_"), "{refused:?}");
        let reported = request(version, "Authorization: Bearer T0KEN\r\n");
        assert_eq!(raw(world.address, reported.as_bytes()).await.status, 200, "HTTP/{version}");
    }
    get(world.address, "/metrics", &[]).await.refuses(401, "unauthorized");
}

/// In a DNS rebinding attack, the request also comes from loopback, but with the attacker's `Host`.
#[tokio::test]
async fn requests_for_another_host_need_the_token() {
    let world = World::start().await;
    let ask = async |hosts: &str| {
        let request = format!("GET /metrics HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        raw(world.address, request.as_bytes()).await
    };
    for host in ["localhost", "LOCALHOST:8787", "127.0.0.1", "127.1.2.3:8787", "[::1]:8787", "[::ffff:127.0.0.1]"] {
        assert_eq!(ask(&format!("Host: {host}\r\n")).await.status, 200, "{host}");
    }
    for host in ["evil.example", "evil.example:8787", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
        ask(&format!("Host: {host}\r\n")).await.refuses(401, "unauthorized");
    }
    for hosts in ["", "Host: \r\n", "Host: localhost\r\nHost: localhost\r\n"] {
        ask(hosts).await.refuses(400, "bad_request");
    }
    let reported = World::start().await;
    reported.configure(|snapshot| snapshot.process.metrics.token = Some(Secret::new("T0KEN".to_owned())));
    let request =
        "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\nAuthorization: Bearer T0KEN\r\n\r\n";
    assert_eq!(raw(reported.address, request.as_bytes()).await.status, 200);
}
