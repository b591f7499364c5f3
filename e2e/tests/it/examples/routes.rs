//! The examples of changes that routes make.

use e2e::{Call, Upstream};
use serde_json::json;

use super::{Example, first_key};

#[tokio::test]
async fn cors_shares_responses_with_pages_of_the_listed_origins() {
    let example = Example::read("cors");
    let api = Upstream::json(&json!({"users": []})).await;
    let gateway = example.start(&[("USERS_URL".to_owned(), format!("http://{}", api.address()))]).await;
    let key = first_key(&gateway);
    let outputs = example.run(&gateway, &key).await;
    let shared = "access-control-allow-origin: https://shop.example.com";
    assert!(outputs[0].starts_with("HTTP/1.1 204 ") && outputs[0].contains(shared), "{outputs:?}");
    assert!(outputs[0].contains("access-control-allow-methods: GET, POST"), "{outputs:?}");
    assert!(outputs[1].ends_with(r#"{"users":[]}"#) && outputs[1].contains(shared), "{outputs:?}");
    assert_eq!(api.only().head.word(1), "/api/v1/users");
    let refused = gateway.call(Call::get("/api/v1/users").header("origin", "https://a.example.org")).await.expect(401);
    assert_eq!(refused.header("access-control-allow-origin"), Some("https://a.example.org"));
    gateway.call(Call::get("/health")).await.expect(200);
}

#[tokio::test]
async fn transform_changes_what_the_api_and_the_client_receive() {
    let example = Example::read("transform");
    let api = Upstream::answering("200 OK\r\nserver: api", r#"{"users":[]}"#).await;
    let variables =
        [("USERS_URL".to_owned(), format!("http://{}", api.address())), ("BACKEND_TOKEN".to_owned(), "b".to_owned())];
    let gateway = example.start(&variables).await;
    let key = first_key(&gateway);
    let outputs = example.run(&gateway, &key).await;
    assert!(outputs[0].contains("x-response-time: ") || outputs[0].contains("X-Response-Time: "), "{outputs:?}");
    assert!(!outputs[0].contains("server: "), "{outputs:?}");
    assert!(outputs[1].contains("HTTP/1.1 308 ") && outputs[1].contains("location: /v2/users"), "{outputs:?}");
    assert!(outputs[1].contains("@1767225600"), "{outputs:?}");
    let head = api.only().head;
    assert_eq!((head.word(1), head.header("x-collection")), ("/api/v1/users", Some("users")));
    assert_eq!((head.header("authorization"), head.header("x-forwarded-for")), (Some("Bearer b"), None));
}
