//! Keys with bounds: the requests that they may make, and the refusals of all others.

use std::num::NonZeroU32;

use access::limits::bounds;
use access::{Credits, KeyBounds};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;

use crate::gateway::{CREDITS, Gateway, ReservationCounts};
use crate::raw::{ClientResponse, Conn, Raw, got};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

/// An upstream that answers everything alike.
async fn upstream() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while conn.head().await.is_some() {
            let body = r#"{"object":"chat.completion","usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            conn.say(head).await;
        }
    })
    .await
}

/// Returns a gateway with two routes and two providers, whose server is always `raw`.
fn gateway(raw: &Raw, bounds: KeyBounds) -> Gateway {
    let url = format!("http://{}", raw.address);
    let yaml = format!(
        "trusted_proxies: [127.0.0.1]
providers:
  - {{name: open, kind: openai, base_url: \"{url}/v1\", credential: sk-far}}
  - {{name: anth, kind: anthropic, base_url: \"{url}\", credential: sk-far}}
models:
  - {{name: fast, targets: [{{provider: open, model: small}}]}}
  - {{name: slow, targets: [{{provider: open, model: large}}]}}
  - {{name: deep, targets: [{{provider: anth, model: large}}]}}
upstreams: [{{name: backend, backends: [{{url: \"{url}\"}}]}}]
routes:
  - {{name: users, path: {{prefix: /users}}, credits: {CREDITS}, upstreams: backend}}
  - {{name: orders, path: {{prefix: /orders}}, credits: {CREDITS}, upstreams: backend}}
"
    );
    Gateway::bound(&yaml, bounds)
}

/// Calls as somebody at `from`, through a proxy that is trusted.
async fn call(gateway: &Gateway, method: Method, path: &str, from: &str, body: &str) -> ClientResponse {
    let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    let request = request.header("x-forwarded-for", from);
    got(gateway.caller().send_request(request, Full::new(Bytes::from(body.to_owned()))).await).await
}

async fn get(gateway: &Gateway, path: &str) -> ClientResponse {
    call(gateway, Method::GET, path, "192.0.2.1", "").await
}

async fn ask(gateway: &Gateway, path: &str, model: &str) -> ClientResponse {
    let body = format!(r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"x"}}]}}"#);
    call(gateway, Method::POST, path, "192.0.2.1", &body).await
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn a_key_opens_the_routes_that_it_is_bound_to() {
    let raw = upstream().await;
    let gateway = gateway(&raw, KeyBounds { routes: names(&["users"]), ..KeyBounds::default() });
    assert_eq!(get(&gateway, "/users/7").await.status, 200);
    let refused = get(&gateway, "/orders/7").await;
    refused.is_refusal(403, "forbidden");
    assert!(refused.body.contains(r#"the route \"users\""#) && !refused.body.contains("orders"), "{refused:?}");
    get(&gateway, "/nothing").await.is_refusal(404, "route_not_found");
    assert_eq!(raw.asked().len(), 1, "what is refused is not sent");
    assert_eq!(gateway.used(), u64::from(CREDITS), "and costs nothing");
    assert_eq!(gateway.ended(), ReservationCounts { released: 0, settled: 1, interrupted: 0 });
    assert_eq!(ask(&gateway, CHAT, "fast").await.status, 200, "routes are no bound of models");
}

#[tokio::test]
async fn a_key_asks_for_the_models_that_it_is_bound_to_as_it_writes_them() {
    let raw = upstream().await;
    let gateway = gateway(&raw, KeyBounds { models: names(&["fast", "anth/*"]), ..KeyBounds::default() });
    assert_eq!(ask(&gateway, CHAT, "fast").await.status, 200);
    assert_eq!(ask(&gateway, MESSAGES, "anth/any").await.status, 200);
    for model in ["slow", "open/small", "Fast", "fast ", "nothing", "anth"] {
        let refused = ask(&gateway, CHAT, model).await;
        refused.is_refusal(403, "forbidden");
        assert!(refused.body.contains(r#"the models \"fast\", \"anth/*\""#), "{refused:?}");
        for other in ["slow", "small", "deep"].iter().filter(|other| !model.contains(*other)) {
            assert!(!refused.body.contains(other), "{refused:?}");
        }
    }
    let refused = ask(&gateway, MESSAGES, "deep").await;
    refused.is_refusal(403, "forbidden");
    assert!(refused.body.contains("permission_error"), "in the words of the path: {refused:?}");
    ask(&gateway, "/v1/messages/count_tokens", "deep").await.is_refusal(403, "forbidden");
    assert_eq!(ask(&gateway, "/v1/messages/count_tokens", "anth/any").await.status, 200);
    assert_eq!(raw.asked().len(), 3);
    assert_eq!(get(&gateway, "/users/7").await.status, 200, "models are no bound of routes");
}

#[tokio::test]
async fn models_are_listed_as_far_as_the_key_may_ask_for_them() {
    let raw = upstream().await;
    let bound = gateway(&raw, KeyBounds { models: names(&["fast", "de*"]), ..KeyBounds::default() });
    let list = get(&bound, "/v1/models").await;
    assert!(
        list.body.contains("\"fast\"") && list.body.contains("\"deep\"") && !list.body.contains("slow"),
        "{list:?}"
    );
    assert_eq!(get(&bound, "/v1/models/fast").await.status, 200);
    let barred = get(&bound, "/v1/models/slow").await;
    let absent = get(&bound, "/v1/models/gone").await;
    barred.is_refusal(404, "model_not_found");
    assert_eq!(barred.body.replace("slow", "gone"), absent.body, "it is as good as none");
    let none = gateway(&raw, KeyBounds { models: names(&[]), ..KeyBounds::default() });
    assert!(get(&none, "/v1/models").await.body.contains("\"data\":[]"));
    ask(&none, CHAT, "fast").await.is_refusal(403, "forbidden");
}

#[tokio::test]
async fn a_key_is_used_from_the_networks_that_it_is_bound_to() {
    let raw = upstream().await;
    let networks = ["203.0.113.0/24", "2001:db8::/32"].map(|text| bounds::network(text).unwrap()).to_vec();
    let gateway = gateway(&raw, KeyBounds { addresses: Some(networks), ..KeyBounds::default() });
    for (from, opens) in [
        ("203.0.113.9", true),
        ("::ffff:203.0.113.9", true),
        ("2001:db8:1::9", true),
        ("203.0.114.1", false),
        ("2001:db9::1", false),
        // Only the last address counts, which the proxy wrote. The client wrote the earlier ones.
        ("203.0.113.9, 198.51.100.1", false),
    ] {
        for (method, path, body) in [
            (Method::GET, "/users/7", ""),
            (Method::GET, "/v1/models", ""),
            (Method::POST, CHAT, r#"{"model":"fast"}"#),
        ] {
            let answer = call(&gateway, method, path, from, body).await;
            if opens {
                assert_eq!(answer.status, 200, "{from} {path}: {answer:?}");
                continue;
            }
            answer.is_refusal(403, "forbidden");
            let seen = from.rsplit(", ").next().unwrap();
            assert!(answer.body.contains(seen) && !answer.body.contains("/24"), "{from} {path}: {answer:?}");
        }
    }
    assert_eq!(raw.asked().len(), 6, "three times two that reached it");
}

#[tokio::test]
async fn a_keys_own_limits_hold_before_its_users_and_are_named() {
    let raw = upstream().await;
    let own = KeyBounds { credits_per_day: Some(Credits::whole(u64::from(CREDITS) * 2 + 1)), ..KeyBounds::default() };
    let quota = gateway(&raw, own);
    for _ in 0..2 {
        assert_eq!(get(&quota, "/users/7").await.status, 200);
    }
    let refused = get(&quota, "/users/7").await;
    refused.is_refusal(429, "quota_exceeded");
    assert!(refused.body.contains("this key's own quota of 7 credits"), "{refused:?}");
    assert_eq!(quota.used(), u64::from(CREDITS) * 2, "a refusal takes nothing");

    let rate = gateway(&raw, KeyBounds { requests_per_minute: NonZeroU32::new(2), ..KeyBounds::default() });
    for _ in 0..2 {
        assert_eq!(get(&rate, "/users/7").await.status, 200);
    }
    let refused = get(&rate, "/users/7").await;
    refused.is_refusal(429, "rate_limited");
    assert!(refused.body.contains("more than 2 requests a minute with this key"), "{refused:?}");
}
