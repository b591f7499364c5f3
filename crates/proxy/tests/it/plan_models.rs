//! The models, aliases and rate limits of the client's plan.

use std::sync::Arc;

use access::{KeyBounds, Plan};
use http::Method;
use spool::Record;

use crate::gateway::Gateway;
use crate::raw::{ClientResponse, Conn, Raw, got};

const CHAT: &str = "/v1/chat/completions";

/// Returns a provider that responds with the body that it gets.
async fn echo() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while let Some(body) = conn.body().await {
            let head = format!("content-type: application/json\r\ncontent-length: {}", body.len());
            conn.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}")).await;
        }
    })
    .await
}

/// Starts a gateway whose client has the plan `pro` with these keys.
fn gateway(raw: &Raw, keys: &str) -> Gateway {
    let gateway = Gateway::plain(&format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: sk-far}}]\n\
         models: [{{name: fast, targets: [{{provider: far, model: m}}]}}, {{name: slow, targets: [{{provider: far, model: n}}]}}]\n\
         routes: [{{path: /plain, respond: {{}}}}]\n\
         plans: [{{name: pro, {keys}}}]\n",
        raw.address
    ));
    gateway.change(|principal| principal.plan = Arc::new(Plan::unlimited("pro")));
    gateway
}

async fn call(gateway: &Gateway, model: &str) -> ClientResponse {
    got(gateway.post(CHAT, format!("{{\"model\":\"{model}\",\"messages\":[]}}")).await).await
}

async fn read(gateway: &Gateway, path: &str) -> ClientResponse {
    got(gateway.caller().send(Method::GET, path, "").await).await
}

#[tokio::test]
async fn a_plan_without_a_model_has_no_such_model() {
    let raw = echo().await;
    let mut gateway = gateway(&raw, "models: [fast, 'far/x*'], aliases: {gpt-4o: fast}");
    for (model, sent) in [("fast", "m"), ("gpt-4o", "m"), ("far/x1", "x1")] {
        let answer = gateway.post(CHAT, format!("{{\"model\":\"{model}\",\"messages\":[]}}")).await;
        assert_eq!(answer.headers()["x-tollgate-model"], format!("far/{sent}"));
        let answer = got(answer).await;
        assert_eq!((answer.status.as_u16(), answer.body.contains(&format!("\"{model}\""))), (200, true), "{answer:?}");
    }
    for model in ["slow", "far/n", "n"] {
        let answer = call(&gateway, model).await;
        assert_eq!((answer.status.as_u16(), answer.code.as_deref()), (404, Some("model_not_found")), "{model}");
        assert!(answer.body.contains("the plan pro does not include the model"), "{answer:?}");
    }
    let list = read(&gateway, "/v1/models").await.body;
    assert!(list.contains("\"fast\"") && list.contains("\"gpt-4o\"") && !list.contains("slow"), "{list}");
    for (path, status) in [("/v1/models/gpt-4o", 200), ("/v1/models/far/x1", 200), ("/v1/models/slow", 404)] {
        assert_eq!(read(&gateway, path).await.status.as_u16(), status, "{path}");
    }
    for (path, expected) in
        [("/v1/models/slow", "the plan pro does not include the model"), ("/v1/models/gone", "is served here")]
    {
        let answer = read(&gateway, path).await;
        assert!(answer.status.as_u16() == 404 && answer.body.contains(expected), "{answer:?}");
    }
    let records = gateway.stop().await;
    let events = records
        .iter()
        .filter_map(|record| if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None });
    let served = events.filter(|event| !event.attempts.is_empty()).map(|event| event.model.as_deref());
    assert_eq!(
        served.collect::<Vec<_>>(),
        ["fast", "fast", "far/x1"].map(Some),
        "usage is counted as the entry of an alias"
    );
}

#[tokio::test]
async fn a_limit_by_the_model_counts_an_alias_as_its_model_and_no_other_request() {
    let raw = echo().await;
    let limits = "rate_limits: [{dimension: [user, model], limit: 2, window: 60s}], aliases: {gpt-4o: fast}";
    let gateway = gateway(&raw, limits);
    for left in ["1", "0"] {
        let answer = gateway.post(CHAT, "{\"model\":\"fast\",\"messages\":[]}").await;
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!((answer.status().as_u16(), header("x-ratelimit-remaining").as_deref()), (200, Some(left)));
        assert_eq!(header("ratelimit-policy").as_deref(), Some("\"user+model\";q=2;w=60"));
        got(answer).await;
    }
    for (model, status) in [("fast", 429), ("gpt-4o", 429), ("slow", 200), ("n", 200), ("far/n", 200), ("n", 429)] {
        assert_eq!(call(&gateway, model).await.status.as_u16(), status, "{model}");
    }
    for path in ["/plain", "/v1/models"] {
        assert_eq!(read(&gateway, path).await.status.as_u16(), 200, "{path}");
    }
    gateway.change(|principal| principal.plan = Arc::new(Plan::unlimited("other")));
    assert_eq!(call(&gateway, "fast").await.status.as_u16(), 200, "the limit is that of the plan");
}

#[tokio::test]
async fn a_limit_of_a_plan_counts_ordinary_routes_and_calls_together() {
    let raw = echo().await;
    let gateway = gateway(&raw, "rate_limits: [{dimension: user, limit: 2, window: 60s}]");
    assert_eq!(read(&gateway, "/plain").await.status.as_u16(), 200);
    assert_eq!(call(&gateway, "fast").await.status.as_u16(), 200);
    assert_eq!(read(&gateway, "/plain").await.code.as_deref(), Some("rate_limited"));
    assert!(gateway.metrics().contains("tollgate_limits_refused_total{limit=\"user\"} 1"), "{}", gateway.metrics());
}

#[tokio::test]
async fn other_models_that_a_call_lists_are_in_the_plan_and_the_scopes_of_the_key() {
    let gateway = Gateway::plain(
        "providers: [{name: or, preset: openrouter, base_url: 'https://openrouter.ai:1/api/v1', credential: sk-far}]\n\
         models: [{name: fast, targets: [{provider: or, model: a/small}]}]\n\
         plans: [{name: pro, models: [fast, 'or/a/*']}]\n",
    );
    let listing = async |models: &str| {
        let answer = gateway.post(CHAT, format!("{{\"model\":\"fast\",\"models\":{models},\"messages\":[]}}")).await;
        let answer = got(answer).await;
        (answer.status.as_u16(), answer.code.unwrap_or_default())
    };
    gateway.change(|principal| principal.plan = Arc::new(Plan::unlimited("pro")));
    assert_eq!(listing("[\"a/small\",\"b/large\"]").await, (404, "model_not_found".to_owned()));
    let many = format!("[{}\"a/small\"]", "\"a/small\",".repeat(16));
    assert_eq!(listing(&many).await.0, 400);
    gateway.change(|principal| {
        principal.bounds = Arc::new(KeyBounds { models: Some(vec!["fast".to_owned()]), ..KeyBounds::default() });
    });
    assert_eq!(listing("[\"a/large\"]").await.0, 403);
}
