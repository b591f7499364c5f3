//! The names of models in usage events: the store keeps each one, so few of those are recorded that only a client knows.

use std::sync::Arc;
use std::time::Duration;

use access::{Credits, Plan};
use spool::Record;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

const CHAT: &str = "/v1/chat/completions";

/// Returns a gateway before a provider with this status.
async fn responding(status: u16) -> (Raw, Gateway) {
    let raw = Raw::start(move |mut conn: Conn| async move {
        while conn.body().await.is_some() {
            conn.say(format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"))
                .await;
        }
    })
    .await;
    let gateway = before(&raw);
    (raw, gateway)
}

fn before(raw: &Raw) -> Gateway {
    Gateway::plain(&format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: sk-far}}]\n\
         models: [{{name: listed, targets: [{{provider: far, model: m}}]}}, {{name: 'any-*', targets: [{{provider: far, model: '*'}}]}}, \
         {{name: 'one-*', targets: [{{provider: far, model: m}}]}}]\n\
         prices: [{{model: far/priced, input: '1', output: '1'}}]\n",
        raw.address
    ))
}

/// Returns the names of the event of each call: that of the request, and that of its attempt.
async fn names(gateway: &mut Gateway) -> Vec<(Option<String>, Option<String>)> {
    let records = gateway.stop().await;
    let events = records
        .iter()
        .filter_map(|record| if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None });
    let text = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
    events.map(|event| (text(&event.model), text(&event.attempts[0].model))).collect()
}

/// Returns the events of refused calls: their code, and the name of their model.
async fn refused(gateway: &mut Gateway) -> Vec<(String, Option<String>)> {
    let records = gateway.stop().await;
    let events = records.into_iter().filter_map(|record| match record {
        Record::Close(event) | Record::Event(event) => Some(event),
        Record::Open(_) | Record::Counts { .. } | Record::CloseBatch { .. } => None,
    });
    let text = |name: Option<Arc<str>>| name.as_deref().map(str::to_owned);
    events.filter_map(|event| Some((text(event.refusal)?, text(event.model)))).collect()
}

fn call(name: &str) -> String {
    serde_json::json!({"model": name, "messages": []}).to_string()
}

#[tokio::test]
async fn a_refused_call_keeps_the_name_that_its_client_wrote() {
    let raw = Raw::start(|mut conn: Conn| async move { conn.linger().await }).await;
    let mut gateway = Gateway::plain(&format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{0}/v1\", credential: sk-far}}, \
         {{name: other, kind: openai, base_url: \"http://{0}/v1\", credential: sk-far}}]\n",
        raw.address
    ));
    let long = "long".repeat(64);
    for name in ["made-up", "a\0b\u{1b}[1m", &long] {
        let answer = gateway.post(CHAT, call(name)).await;
        assert_eq!(answer.status(), 404, "{name:?}");
        got(answer).await;
    }
    let names = ["made-up", "a\\u{0}b\\u{1b}[1m", &long[..200]];
    let expected = names.map(|name| ("model_not_found".to_owned(), Some(name.to_owned())));
    assert_eq!(refused(&mut gateway).await, expected);
}

#[tokio::test]
async fn a_call_that_a_limit_refuses_keeps_its_name_too() {
    let (_raw, mut gateway) = responding(200).await;
    gateway.change(|principal| {
        principal.plan = Arc::new(Plan { credits_per_day: Some(Credits::whole(0)), ..Plan::clone(&principal.plan) });
    });
    for name in ["far/made-up", "listed"] {
        let answer = gateway.post(CHAT, call(name)).await;
        assert_eq!(answer.status(), 429, "{name}");
        got(answer).await;
    }
    let expected = ["far/made-up", "listed"].map(|name| ("quota_exceeded".to_owned(), Some(name.to_owned())));
    assert_eq!(refused(&mut gateway).await, expected);
}

#[tokio::test]
async fn a_name_that_only_a_client_knows_is_recorded_at_most_20_times() {
    const CALLS: usize = 25;
    for (status, recorded) in [(404, 20), (400, 20), (200, CALLS), (503, CALLS)] {
        let (_raw, mut gateway) = responding(status).await;
        for number in 0..CALLS {
            let answer = gateway.post(CHAT, call(&format!("far/made-up-{number}"))).await;
            assert_eq!(answer.status().as_u16(), status, "{number}");
            got(answer).await;
        }
        for name in ["listed", "priced"] {
            got(gateway.post(CHAT, call(name)).await).await;
        }
        let names = names(&mut gateway).await;
        assert_eq!(names.len(), CALLS + 2, "{status}");
        for (place, (of_request, of_attempt)) in names.iter().enumerate() {
            let name = match place.checked_sub(CALLS) {
                None => format!("far/made-up-{place}"),
                Some(known) => ["listed", "priced"][known].to_owned(),
            };
            let is_recorded = place < recorded || place >= CALLS;
            assert_eq!(of_request.as_ref(), is_recorded.then_some(&name), "{status}");
            assert_eq!(of_attempt.is_some(), is_recorded, "{status}: {name}");
        }
    }
}

#[tokio::test]
async fn names_with_the_same_target_are_recorded_as_their_entry() {
    let (_raw, mut gateway) = responding(200).await;
    for name in ["one-a", "one-b"] {
        got(gateway.post(CHAT, format!("{{\"model\":\"{name}\",\"messages\":[]}}")).await).await;
    }
    let of_entry = (Some("one-*".to_owned()), Some("m".to_owned()));
    assert_eq!(names(&mut gateway).await, [of_entry.clone(), of_entry]);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_adds_one_name() {
    let raw = Raw::start(|mut conn: Conn| async move {
        conn.body().await;
        conn.linger().await;
    })
    .await;
    let mut gateway = before(&raw);
    let caller = gateway.caller();
    for (name, calls) in [("made-up", 1), ("listed", 2)] {
        let body = format!("{{\"model\":\"{name}\",\"messages\":[]}}");
        let mut stream = caller.connect().await;
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            caller.authorization(),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        while raw.asked().len() < calls {
            sleep(Duration::from_millis(5)).await;
        }
        drop(stream);
    }
    let names = names(&mut gateway).await;
    let listed = (Some("listed".to_owned()), Some("m".to_owned()));
    let made_up = (Some("made-up".to_owned()), Some("made-up".to_owned()));
    assert!(names.len() == 2 && names.contains(&made_up) && names.contains(&listed), "{names:?}");
}
