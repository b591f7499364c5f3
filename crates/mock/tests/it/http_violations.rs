//! Responses that are invalid HTTP, or no HTTP.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::wire::{ALL, CHAT, RunningMock, ask, quick, start};

async fn bytes(mock: &RunningMock, model: &str) -> String {
    let bytes = mock.bytes(&format!("POST {CHAT}"), &[], ask(model, "").as_bytes()).await;
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn interim_responses_are_counted_or_endless() {
    let mock = start(quick()).await;
    let five = bytes(&mock, "1xx-5").await;
    let (interim, response) = five.split_at("HTTP/1.1 100 Continue\r\n\r\n".len() * 5);
    assert_eq!(interim.matches("100 Continue").count(), 5);
    assert!(response.starts_with("HTTP/1.1 200 OK\r\n") && response.contains("\"usage\""));
    let for_ever = bytes(&mock, "1xx").await;
    assert!(for_ever.matches("100 Continue").count() > 5 && !for_ever.contains("200 OK"));
}

#[tokio::test]
async fn lengths_are_wrong() {
    let mock = start(quick()).await;
    assert_eq!(bytes(&mock, "twice").await.matches("HTTP/1.1 200 OK\r\n").count(), 2);
    let lengths = |printed: &str| -> Vec<usize> {
        printed.lines().filter_map(|line| line.strip_prefix("content-length: ")).map(|n| n.parse().unwrap()).collect()
    };
    let body = |printed: &str| printed.split_once("\r\n\r\n").unwrap().1.len();
    let short = bytes(&mock, "too-short").await;
    assert_eq!(lengths(&short), [body(&short) / 2]);
    let two = bytes(&mock, "two-lengths").await;
    assert_eq!(lengths(&two), [body(&two) / 2, body(&two)]);
    let both = bytes(&mock, "length-and-chunked").await;
    assert!(lengths(&both).len() == 1 && both.contains("transfer-encoding: chunked") && both.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn heads_are_invalid() {
    let mock = start(quick()).await;
    let bare = bytes(&mock, "bare-lf").await;
    assert!(bare.starts_with("HTTP/1.1 200 OK\ncontent-type: ") && !bare.contains('\r'));
    assert!(!bytes(&mock, "not-http").await.contains("HTTP/"));
    assert_eq!(bytes(&mock, "close").await, "");
    assert_eq!(bytes(&mock, "reset").await, "");
    assert_eq!(bytes(&mock, "reset-head").await, "HTTP/1.1 200 OK\r\ncontent-ty");
    let half = bytes(&mock, "reset-body").await;
    let (head, body) = half.split_once("\r\n\r\n").unwrap();
    let length: usize = head.split_once("content-length: ").unwrap().1.parse().unwrap();
    assert_eq!(body.len(), length / 2);
}

#[tokio::test]
async fn resets_arrive_as_resets() {
    let mock = start(quick()).await;
    for (model, reset) in
        [("reset", true), ("reset-head", true), ("reset-body", true), ("close", false), ("twice", false)]
    {
        let (_, was_reset) = mock.until_its_end(&format!("POST {CHAT}"), &[], ask(model, "").as_bytes()).await;
        assert_eq!(was_reset, reset, "{model}");
    }
}

#[tokio::test]
async fn hang_sends_nothing_and_stall_sends_half_a_response() {
    let mock = start(quick()).await;
    for path in ALL {
        let before = Instant::now();
        assert!(mock.bytes(&format!("POST {path}"), &[], ask("hang", "").as_bytes()).await.is_empty());
        assert!(before.elapsed() >= quick().long_for, "{path}");
        for more in ["", r#","stream":true"#] {
            let before = Instant::now();
            let reply = mock.post(path, &ask("stall", more)).await;
            assert!(before.elapsed() >= quick().long_for, "{path} {more}");
            assert!(!reply.complete && reply.body().contains("Hello"), "{path} {more}: {}", reply.body());
        }
    }
}

#[tokio::test]
async fn slow_heads_take_seconds() {
    let mock = start(quick()).await;
    let trickle = timeout(Duration::from_millis(350), bytes(&mock, "slow-head")).await;
    assert!(trickle.is_err(), "the head arrived too fast");
}

#[tokio::test]
async fn a_violation_does_not_affect_other_connections() {
    let mock = start(quick()).await;
    let body = ask("mock", "");
    let (reset, fine) = tokio::join!(bytes(&mock, "reset-body"), mock.post(CHAT, &body));
    assert!(reset.starts_with("HTTP/1.1 200 OK"));
    assert_eq!((fine.status, fine.complete), (200, true));
}
