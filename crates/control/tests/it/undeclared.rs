//! Parameters and bodies that an operation does not declare are refused by default.

use crate::client::{call, get, raw};
use crate::document;
use crate::world::World;

/// The beginnings of the paths of insights.
const INSIGHTS: [&str; 8] =
    ["/assets/", "/brief/", "/classify/", "/config", "/export/", "/ingest/", "/review/", "/roi/"];

/// Whether an operation is one of insights.
fn is_of_insights(line: &str) -> bool {
    let path = line.split_once(' ').unwrap().1;
    INSIGHTS.iter().any(|prefix| path.starts_with(prefix))
}

/// Returns the operations below `/api/` and of insights, with ids in their paths.
fn calls() -> Vec<String> {
    let id = "0199aa00-0000-7000-8000-000000000001";
    let calls = document::calls().into_iter().filter(|call| call.contains(" /api/") || is_of_insights(call));
    calls.map(|call| call.replace("{id}", id).replace("{name}", "starter")).collect()
}

#[tokio::test]
async fn a_parameter_that_an_operation_does_not_take_is_refused_by_name() {
    let world = World::start().await;
    let holder = world.holder("ada", "starter").await;
    let mut named = 0;
    for line in calls() {
        let answer = call(world.address, &format!("{line}?tokn=1"), &[&holder.bearer()], "").await;
        assert!((400..500).contains(&answer.status), "{line}: {answer:?}");
        // A missing permission or a missing body is reported first.
        named += usize::from(answer.status == 400 && answer.body.contains("unknown field `tokn`"));
    }
    assert!(named > 20, "{named}");
    let message = get(world.address, "/api/me?tokn=1", &[&holder.bearer()]).await.refuses(400, "bad_request");
    assert_eq!(message, "the query cannot be read: unknown field `tokn`, no fields are allowed here");
    let message = get(world.address, &format!("/api/me?{}=1", holder.secret), &[&holder.bearer()]).await;
    assert!(!message.refuses(400, "bad_request").contains(&holder.secret));
    for target in ["/api/me?", "/api/me", "/health?tokn=1"] {
        assert_eq!(get(world.address, target, &[&holder.bearer()]).await.status, 200, "{target}");
    }
}

#[tokio::test]
async fn an_empty_object_is_no_body_of_operations_of_post_that_take_none() {
    let world = World::start().await;
    let holder = world.holder("ada", "starter").await;
    let json = "Content-Type: application/json";
    let refusal = "this request takes no body";
    for line in calls().iter().filter(|line| line.starts_with("POST")) {
        let (_, path) = line.split_once(' ').unwrap();
        let bodiless = document::takes_no_body("post", path);
        for (body, is_empty) in [("{}", true), (" { }\n", true), ("{\"a\":1}", false), ("[]", false), ("x", false)] {
            let answer = call(world.address, line, &[&holder.bearer(), json], body).await;
            assert_eq!(answer.body.contains(refusal), bodiless && !is_empty, "{line} {body}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_an_operation_does_not_take_is_refused() {
    let world = World::start().await;
    let holder = world.holder("ada", "starter").await;
    let bearer = holder.bearer();
    let json = "Content-Type: application/json";
    for line in calls().iter().filter(|line| line.starts_with("GET") || line.starts_with("DELETE")) {
        for body in ["{}", "x"] {
            let message = call(world.address, line, &[&bearer, json], body).await.refuses(400, "bad_request");
            assert_eq!(message, "this request takes no body", "{line}");
        }
    }
    let chunked = |body: &str| {
        format!(
            "GET /api/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{bearer}\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        )
    };
    raw(world.address, chunked("2\r\n{}\r\n0\r\n\r\n").as_bytes()).await.refuses(400, "bad_request");
    assert_eq!(raw(world.address, chunked("0\r\n\r\n").as_bytes()).await.status, 200);
    assert_eq!(call(world.address, "GET /api/me", &[&bearer, "Content-Length: 0"], "").await.status, 200);
}

#[tokio::test]
async fn the_endpoints_of_insights_take_no_undeclared_input() {
    let world = World::start().await;
    let root = world.person_with("root", access::Role::Admin).await;
    let bearer = world.sign_in(&root).await.bearer();
    let json = "Content-Type: application/json";
    let lines: Vec<String> = calls().into_iter().filter(|line| is_of_insights(line)).collect();
    // Nine endpoints; the settings have two methods.
    assert_eq!(lines.len(), 10, "{lines:?}");
    for line in &lines {
        let answer = call(world.address, &format!("{line}?tokn=1"), &[&bearer], "").await;
        let message = answer.refuses(400, "bad_request");
        assert!(message.contains("unknown field `tokn`"), "{line}: {message}");
    }
    let mut settings = get(world.address, "/config", &[&bearer]).await.json();
    settings["tokn"] = true.into();
    for (path, body) in [
        ("/config", settings.to_string()),
        ("/review/signoff", r#"{"role": "finance", "approve": true, "tokn": 1}"#.to_owned()),
        ("/assets/generate", r#"{"id": "today", "charts": ["spend"], "tokn": 1}"#.to_owned()),
    ] {
        let answer = call(world.address, &format!("POST {path}"), &[&bearer, json, "If-Match: *"], &body).await;
        let message = answer.refuses(400, "bad_request");
        assert!(message.contains("unknown field `tokn`"), "{path}: {message}");
    }
    let exported = call(world.address, "POST /export/today", &[&bearer, json], "{\"a\":1}").await;
    assert_eq!(exported.refuses(400, "bad_request"), "this request takes no body");
}

#[tokio::test]
async fn an_undeclared_body_that_does_not_arrive_times_out() {
    let soon = std::time::Duration::from_millis(100);
    let world =
        World::start_with("127.0.0.1:0", control::ServerLimits { body: soon, ..control::ServerLimits::default() })
            .await;
    let holder = world.holder("ada", "starter").await;
    let head = format!(
        "GET /api/me HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{}\r\nTransfer-Encoding: chunked\r\n\r\n",
        holder.bearer()
    );
    raw(world.address, head.as_bytes()).await.refuses(408, "request_timeout");
}

/// The refusal of axum itself would be a line of plain text.
#[tokio::test]
async fn a_path_that_is_not_utf_8_has_an_error_in_the_format_of_the_api() {
    let world = World::start().await;
    let holder = world.holder("ada", "starter").await;
    for line in document::calls().into_iter().filter(|call| call.contains('{')) {
        let (before, rest) = line.split_once('{').unwrap();
        let line = format!("{before}%FF%FE{}", rest.split_once('}').unwrap().1);
        let answer = call(world.address, &line, &[&holder.bearer()], "").await;
        let code = answer.json()["error"]["code"].as_str().unwrap().to_owned();
        answer.refuses(answer.status, &code);
        assert!([400, 403, 404].contains(&answer.status), "{line}: {answer:?}");
    }
    for path in ["/api/keys/%FF", "/api/usage/requests/%FF%FE"] {
        get(world.address, path, &[&holder.bearer()]).await.refuses(404, "not_found");
    }
}
