//! The names of models in usage events: the store keeps each one, so those that only a client knows are not recorded.

use std::sync::Arc;
use std::time::Duration;

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

#[tokio::test]
async fn a_name_that_its_provider_refuses_is_recorded_only_if_it_is_configured_or_priced() {
    const NAMES: [&str; 5] = ["made-up", "far/made-up", "any-made-up", "listed", "priced"];
    for (status, recorded) in [(404, 2), (400, 2), (200, 5), (503, 5)] {
        let (_raw, mut gateway) = responding(status).await;
        for name in NAMES {
            let answer = gateway.post(CHAT, format!("{{\"model\":\"{name}\",\"messages\":[]}}")).await;
            assert_eq!(answer.status().as_u16(), status, "{name}");
            got(answer).await;
        }
        let names = names(&mut gateway).await;
        assert_eq!(names.len(), NAMES.len(), "{status}: {names:?}");
        for (place, ((of_request, of_attempt), name)) in names.iter().zip(NAMES).enumerate() {
            let is_recorded = place >= NAMES.len() - recorded;
            assert_eq!(of_request.as_deref(), is_recorded.then_some(name), "{status}");
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
async fn a_client_that_leaves_before_the_response_adds_no_name() {
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
    assert!(names.len() == 2 && names.contains(&(None, None)) && names.contains(&listed), "{names:?}");
}
