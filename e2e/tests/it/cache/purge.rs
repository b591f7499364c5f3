//! `DELETE /api/cache`.

use e2e::{Call, Gateway, Setup};
use serde_json::json;

use super::numbered;
use crate::people::admin;

const ROUTES: &str = "{path: {prefix: /o}, upstreams: backend, auth: {type: none}, cache: {tags: cache-tag}}, \
    {path: {prefix: /k}, upstreams: backend, cache: {ttl: 60s}}";

#[tokio::test]
async fn stored_responses_are_purged_by_url_prefix_and_tag() {
    let upstream = numbered("200 OK\r\ncache-control: max-age=60\r\ncache-tag: product-7 list").await;
    let provider = "[{name: up, kind: openai, base_url: \"http://127.0.0.1:9/v1\", credential: vault}]";
    let setup = Setup::routed(upstream.address(), ROUTES).section("providers", provider);
    let gateway = Gateway::start(setup.section("signup", "open").section("signup_plan", "open")).await;
    let token = admin(&gateway, "root").await.token;
    let key = gateway.key().await;
    let base = format!("http://{}", gateway.proxy);
    // A credential that an open route passes to its upstream keeps the response from being stored.
    let get = async |target: &str| {
        let call = Call::get(target);
        let call = if target.starts_with("/k") { call.key(&key) } else { call };
        gateway.call(call).await.expect(200).text()
    };
    let purge = async |query: String| {
        let answer = gateway.ask(Call::new("DELETE", &format!("/api/cache?{query}")).key(&token)).await.expect(200);
        answer.json()["purged"].as_u64().unwrap()
    };
    for (number, target) in ["/o/a", "/o/b", "/k/a"].into_iter().enumerate() {
        assert_eq!(get(target).await, format!("response {number}"));
    }
    assert_eq!(purge(format!("url={base}/o/a")).await, 1);
    assert_eq!(purge(format!("url={base}/o/")).await, 0);
    assert_eq!([get("/o/a").await, get("/o/b").await], ["response 3", "response 1"]);
    assert_eq!(purge("tag=product-7".to_owned()).await, 2);
    assert_eq!([get("/o/a").await, get("/o/b").await], ["response 4", "response 5"]);
    assert_eq!(purge(format!("prefix={base}/")).await, 3);
    assert_eq!([get("/o/a").await, get("/k/a").await], ["response 6", "response 7"]);
    assert_eq!(purge(format!("url={base}/k/a&soft=true")).await, 1);
    assert_eq!(get("/k/a").await, "response 8");
    // Both spellings of a path have one response, which either of them purges.
    assert_eq!([get("/o/caf%C3%A9").await, get("/o/%63af%c3%a9").await], ["response 9", "response 9"]);
    assert_eq!(purge(format!("url={base}/o/caf%25c3%25a9")).await, 1);
    assert_eq!(get("/o/caf%C3%A9").await, "response 10");
    assert_eq!(purge(format!("prefix={base}/o/%2563af%25c3")).await, 1);
    let refused = gateway.ask(Call::new("DELETE", "/api/cache").key(&token)).await.expect(400);
    assert_eq!(refused.json()["error"]["code"], json!("bad_request"));
}
