use access::{Refusal, Timestamp};
use axum::body::Body;
use axum::routing::get;
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

use super::*;

struct LayerResponse {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

fn router(metrics: Arc<Metrics>, call: Duration) -> Router {
    let clock = Clock::manual(Timestamp(1_700_000_000_000_000));
    let observer = Observer::new(metrics, clock, "Ex\"ample\u{e9}");
    let router = Router::new()
        .route("/panic/{id}", get(async || -> &'static str { panic!("the secret of the inside") }))
        .route("/hang", get(std::future::pending::<&'static str>))
        .route("/open", get(async || Problem::new(Refusal::Unauthorized, "who?")));
    around(router, Arc::new(observer), call, |router| router)
}

async fn ask(router: Router, path: &str) -> LayerResponse {
    let request = http::Request::get(path).body(Body::empty()).unwrap();
    let response = TowerToHyperService::new(router).call(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    LayerResponse {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap(),
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_counted_and_reveals_nothing() {
    let metrics = Metrics::new();
    let answer = ask(router(metrics.clone(), Duration::from_secs(1)), "/panic/7").await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (500, &Value::from("internal")));
    assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
    assert!(answer.headers.contains_key("x-request-id"));
    let text = metrics.encode();
    for line in ["api_panics_total 1", "api_requests_total{method=\"GET\",path=\"/panic/{id}\",status=\"500\"} 1"] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_call_without_progress_times_out() {
    let answer = ask(router(Metrics::new(), Duration::from_millis(10)), "/hang").await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (503, &Value::from("unavailable")));
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn every_response_has_an_id_and_is_not_cacheable() {
    let answer = ask(router(Metrics::new(), Duration::from_secs(1)), "/open").await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"Example\"");
    let id: uuid::Uuid = answer.headers["x-request-id"].to_str().unwrap().parse().unwrap();
    assert_eq!(id.get_version_num(), 7);
}

#[test]
fn only_valid_ids_of_clients_are_used() {
    fn check(value: &str, is_used: bool) {
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(correlation(&headers), is_used.then_some(value), "{value}");
    }
    check("abc-123/:~", true);
    check(&"x".repeat(128), true);
    check(&"x".repeat(129), false);
    check("", false);
    check("two words", false);
    check("tab\there", false);
}

#[test]
fn the_log_has_the_whole_chain() {
    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::fmt::Error);
    assert_eq!(chain(&Outer(std::fmt::Error)), format!("outer: {}", std::fmt::Error));
}
