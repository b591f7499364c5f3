//! Providers whose heads or streams are too long, and a configuration that is reloaded between two attempts.

use std::sync::Arc;

use tokio::sync::Semaphore;

use super::target_limits::{SERVED_BY_FIRST, begin};
use super::*;

/// Starts a provider that serves calls with a head that has a field of this size.
async fn with_head(bytes: usize) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        while conn.body().await.is_some() {
            let long = "a".repeat(bytes);
            let length = SERVED_BODY.len();
            let head = format!("HTTP/1.1 200 OK\r\n{JSON}x-long: {long}\r\ncontent-length: {length}\r\n\r\n");
            conn.say(head + SERVED_BODY).await;
        }
    })
    .await
}

/// Starts a provider that sends this text as a part of a stream again and again, with pauses, until the gateway leaves.
async fn endless(text: &str, pause: Duration) -> Raw {
    let chunk = format!("{:x}\r\n{text}\r\n", text.len());
    Raw::start(move |mut conn: Conn| {
        let chunk = chunk.clone();
        async move {
            let begin = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            if conn.body().await.is_none() || !conn.say(begin).await {
                return;
            }
            while conn.say(&chunk).await {
                sleep(pause).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_head_of_64_kib_leads_to_the_next_target_and_a_shorter_one_is_relayed() {
    const FIRST: (Option<u16>, Option<i64>) = (Some(200), Some(20_000));
    let second = provider(Script::Serves).await;
    for (bytes, served_by, rows) in [(60_000, "p0/m0", vec![FIRST]), (65_536, "p1/m1", vec![(None, None), SECOND])] {
        let first = with_head(bytes).await;
        let mut gateway = before(&[&first, &second], "");
        let got = ask(&gateway, false, "").await;
        assert_eq!((got.status, &*got.model), (200, served_by), "{bytes}: {got:?}");
        assert_eq!(attempts(event(&gateway.stop().await)), rows, "{bytes}");
    }
    let only = with_head(65_536).await;
    let mut gateway = before(&[&only], "");
    let got = ask(&gateway, false, "").await;
    assert!(got.status == 502 && got.body.contains("upstream_protocol"), "{got:?}");
    assert_eq!(attempts(event(&gateway.stop().await)), [(None, None)]);
    assert_eq!(gateway.ended().interrupted, 0);
}

#[tokio::test]
async fn opening_events_without_end_lead_to_the_next_target() {
    let first = endless(ROLE, Duration::from_millis(20)).await;
    let second = provider(Script::Serves).await;
    let mut gateway = before(&[&first, &second], "");
    let got = ask(&gateway, true, "").await;
    assert_eq!((got.status, &*got.model, &*got.attempts), (200, "p1/m1", "2"), "{got:?}");
    assert_eq!(got.body.matches("role").count(), 1, "one answer: {got:?}");
    assert_eq!(attempts(event(&gateway.stop().await)), [(Some(200), None), SECOND]);
}

#[tokio::test]
async fn of_a_beginning_without_content_no_more_is_held_than_the_bound() {
    // Events without content, and one event that does not end.
    for text in [ROLE.repeat(200), format!("data: {}", "a".repeat(16 * 1024))] {
        let first = endless(&text, Duration::ZERO).await;
        let second = provider(Script::Serves).await;
        // The time would end the attempt, but the size ends the wait first.
        let mut gateway = before(&[&first, &second], ", first_content: 20s");
        let (head, connection) = begin(&gateway).await;
        assert!(head.starts_with("http/1.1 200") && head.contains(SERVED_BY_FIRST), "{head}");
        drop(connection);
        let begun = Instant::now();
        while gateway.in_flight() > 0 {
            assert!(begun.elapsed() < PATIENCE, "the client has left");
            sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(event(&gateway.stop().await).attempts.len(), 1);
        assert_eq!((second.asked().len(), gateway.ended().interrupted), (0, 0));
    }
}

/// Starts a provider that fails with 500 as often as the gate opens.
async fn gated(gate: &Arc<Semaphore>) -> Raw {
    let gate = Arc::clone(gate);
    Raw::start(move |mut conn: Conn| {
        let gate = Arc::clone(&gate);
        async move {
            while conn.body().await.is_some() {
                let Ok(permit) = gate.acquire().await else { return };
                permit.forget();
                conn.say(format!("HTTP/1.1 500 X\r\n{JSON}content-length: 2\r\n\r\n{{}}")).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_call_keeps_its_targets_if_the_configuration_is_reloaded_between_two_attempts() {
    let gate = Arc::new(Semaphore::new(0));
    let first = gated(&gate).await;
    let second = provider(Script::Serves).await;
    let other = provider(Script::Serves).await;
    let rules = ", sticky: off";
    let mut gateway = before(&[&first, &second], rules);
    with_money(&gateway, 10_000_000);
    let reloaded = async {
        while first.asked().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        gateway.reload(&configuration(&[other.address], rules));
        gate.add_permits(1);
    };
    let (got, ()) = tokio::join!(ask(&gateway, true, ""), reloaded);
    assert_eq!((got.status, &*got.model, &*got.attempts), (200, "p1/m1", "2"), "{got:?}");
    assert_eq!(ask(&gateway, true, "").await.status, 200);
    assert_eq!((second.asked().len(), other.asked().len()), (1, 1), "the next call has the new configuration");
    let records = gateway.stop().await;
    let events = records
        .iter()
        .filter_map(|record| if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None });
    let mut events: Vec<_> = events.map(|event| (attempts(event), event.charge.money)).collect();
    events.sort_by_key(|(rows, _)| rows.len());
    let alone = (vec![(Some(200), Some(20_000))], NanoUsd(20_000));
    let both = (vec![(Some(500), Some(0)), SECOND], NanoUsd(50_000));
    assert_eq!(events, [alone, both]);
    let totals = gateway.ended();
    assert_eq!((totals.released, totals.interrupted), (0, 0), "{totals:?}");
}
