//! The limit in the usage event of a refused LLM request.

use std::num::NonZeroU32;
use std::sync::Arc;

use access::{Amount, Credits, KeyBounds, Plan};
use http_body_util::BodyExt as _;
use meter::{LimitOwner, LimitUnit, RefusedLimit};
use spool::Record;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};

const CHAT: &str = "/v1/chat/completions";
const BODY: &str = r#"{"model":"far/m","max_tokens":900,"messages":[]}"#;

/// Starts a provider that responds to each call.
async fn provider() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while conn.body().await.is_some() {
            let content = "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20}}";
            let head = format!("content-type: application/json\r\ncontent-length: {}", content.len());
            conn.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{content}")).await;
        }
    })
    .await
}

fn yaml(raw: &Raw, limits: &str) -> String {
    let address = raw.address;
    format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{address}/v1\", credential: sk-far}}]\n{limits}\n"
    )
}

/// Sends requests until one is refused, and returns the limit in its event.
async fn refused_limit(mut gateway: Gateway, after: usize) -> RefusedLimit {
    for nth in 0..=after {
        let response = gateway.post(CHAT, BODY).await;
        assert_eq!(response.status(), if nth < after { 200 } else { 429 }, "{nth}");
        response.into_body().collect().await.unwrap();
    }
    let events = gateway.stop().await.into_iter().filter_map(|record| match record {
        Record::Close(event) | Record::Event(event) => Some(event),
        Record::Open(_) | Record::Counts { .. } | Record::CloseBatch { .. } => None,
    });
    let limits: Vec<_> = events.map(|event| (event.status, event.origin.refused_limit)).collect();
    assert!(limits[..after].iter().all(|(status, limit)| *status == 200 && limit.is_none()), "{limits:?}");
    *limits[after].1.clone().expect("the limit that refused the request")
}

#[tokio::test]
async fn the_event_of_a_refused_call_has_the_quota_of_the_key() {
    let raw = provider().await;
    let own = KeyBounds { credits_per_day: Some(Credits::whole(0)), ..KeyBounds::default() };
    let gateway = Gateway::bound(&yaml(&raw, ""), own);
    let refused = refused_limit(gateway, 0).await;
    assert_eq!(
        (refused.owner, refused.unit, refused.window_seconds),
        (LimitOwner::Key, LimitUnit::Credits, Some(86_400))
    );
    assert_eq!((refused.limit, refused.left(), refused.rule), (Amount(0), Some(Amount(0)), None));
    assert!(refused.requested > Amount(0) && refused.full_at.is_some());
}

#[tokio::test]
async fn the_event_of_a_refused_call_has_the_rate_of_the_key() {
    let raw = provider().await;
    let own = KeyBounds { requests_per_minute: NonZeroU32::new(1), ..KeyBounds::default() };
    let refused = refused_limit(Gateway::bound(&yaml(&raw, ""), own), 1).await;
    assert_eq!((refused.owner, refused.unit, refused.window_seconds), (LimitOwner::Key, LimitUnit::Requests, Some(60)));
    assert_eq!((refused.limit, refused.used), (Amount(1), Some(Amount(1))));
}

#[tokio::test]
async fn the_event_of_a_refused_call_has_the_rate_limit_of_the_configuration() {
    let raw = provider().await;
    let limit = "rate_limits: [{dimension: key, limit: 2, window: 10m}]";
    let refused = refused_limit(Gateway::plain(&yaml(&raw, limit)), 2).await;
    assert_eq!(
        (refused.owner, refused.unit, refused.window_seconds),
        (LimitOwner::Rule, LimitUnit::Requests, Some(600))
    );
    assert_eq!((refused.rule.as_deref(), refused.limit, refused.left()), (Some("key"), Amount(2), Some(Amount(0))));
}

#[tokio::test]
async fn the_event_of_a_refused_call_has_the_limit_of_tokens_and_what_the_call_needed() {
    let raw = provider().await;
    let limit = "rate_limits: [{dimension: key, unit: tokens, limit: 10, window: 60s}]";
    let refused = refused_limit(Gateway::plain(&yaml(&raw, limit)), 0).await;
    assert_eq!((refused.owner, refused.unit, refused.limit), (LimitOwner::Rule, LimitUnit::Tokens, Amount(10)));
    assert!(refused.requested > Amount(10), "{refused:?}");
    assert_eq!(refused.full_at, None, "the limit never admits the call");
}

#[tokio::test]
async fn the_event_of_a_refused_call_has_the_quota_of_the_user() {
    let raw = provider().await;
    let gateway = Gateway::plain(&yaml(&raw, ""));
    gateway.change(|principal| {
        principal.plan = Arc::new(Plan { credits_per_day: Some(Credits::whole(0)), ..Plan::clone(&principal.plan) });
    });
    let refused = refused_limit(gateway, 0).await;
    assert_eq!((refused.owner, refused.unit, refused.limit), (LimitOwner::User, LimitUnit::Credits, Amount(0)));
}
