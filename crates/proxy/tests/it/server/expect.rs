//! `Expect: 100-continue` (RFC 9110, 10.1.1).

use std::time::Duration;

use crate::gateway::Gateway;
use crate::upstream::Upstream;
use crate::wire::{Client, before, echo, noted};

const MOMENT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn body_that_is_wanted_is_asked_for_once() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for (framing, body) in [
        ("content-length: 5", "hello"),
        ("transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n"),
        ("content-length: 5", "hello"),
    ] {
        for expectation in ["expect: 100-continue", "Expect: 100-Continue", "EXPECT:100-CONTINUE"] {
            client.send(format!("POST /api/x HTTP/1.1\r\nhost: x\r\n{expectation}\r\n{framing}\r\n\r\n")).await;
            let interim = client.interim_or_final("POST").await.unwrap();
            assert_eq!((interim.status, interim.version.as_str()), (100, "HTTP/1.1"), "{interim:?}");
            client.hears_nothing_for(Duration::from_millis(20)).await;
            client.send(body).await;
            client.interim_or_final("POST").await.unwrap().is_answer("POST /api/x | hello");
        }
    }
    client.goes_on().await;
}

#[tokio::test]
async fn body_that_is_read_into_memory_is_asked_for() {
    let upstream = Upstream::start_plain().await;
    let gateway = Gateway::before_llm(&format!("http://{}", upstream.address));
    let authorization = gateway.caller().authorization();
    let body = r#"{"model":"m","messages":[]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {authorization}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut client = Client::sending(&gateway, head).await;
    assert_eq!(client.interim_or_final("POST").await.unwrap().status, 100);
    client.send(body).await;
    client.interim_or_final("POST").await.unwrap().is_answer(body);
}

#[tokio::test]
async fn expectation_is_not_forwarded() {
    let raw = crate::wire::upstream(|sent| (crate::wire::answer(&format!("{:?}", sent.fields)), false)).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    client.send("POST /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n!").await;
    let received = client.response("POST").await;
    assert!(received.status == 200 && !received.body.contains("expect"), "{received:?}");
}

#[tokio::test]
async fn refusal_comes_without_an_interim_response() {
    let raw = echo().await;
    let gateway = before(&raw);
    // The body is a request: read as one, it would be served.
    let body = "GET /api/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    for (path, code) in [("/keyed", "unauthorized"), ("/nowhere", "route_not_found")] {
        for framing in [format!("content-length: {}", body.len()), "transfer-encoding: chunked".to_owned()] {
            let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{framing}\r\n\r\n");
            let mut client = Client::sending(&gateway, &head).await;
            let received = client.interim_or_final("POST").await.unwrap();
            assert_eq!(received.code(), Some(code), "{received:?}");
            // A client that sends its body nevertheless, as one may that has waited long enough.
            let chunked = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            client.try_send(if framing.starts_with('c') { body } else { &chunked }).await;
            if received.closes() {
                assert_eq!(client.end().await.rest, "");
            } else {
                client.goes_on().await;
            }
        }
    }
    assert!(noted(&raw).iter().all(|line| line == "GET /api/next"), "{:?}", noted(&raw));
}

#[tokio::test]
async fn refusal_of_an_expected_body_ends_the_connection_or_reads_the_body() {
    let raw = echo().await;
    let gateway = before(&raw);
    let head = "POST /keyed HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut client = Client::sending(&gateway, head).await;
    let received = client.interim_or_final("POST").await.unwrap();
    received.is_refusal(401, "unauthorized");
    // A client may not send the body after a final response: a server that waits for it never serves the next request.
    if received.closes() {
        client.half_close().await;
        client.ends().await;
    } else {
        client.goes_on().await;
    }
}

#[tokio::test]
async fn request_without_a_body_gets_no_interim_response() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for framing in ["", "content-length: 0\r\n"] {
        client.send(format!("POST /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{framing}\r\n")).await;
        client.interim_or_final("POST").await.unwrap().is_answer("POST /api/x");
    }
    client.goes_on().await;
}

#[tokio::test]
async fn http_1_0_gets_no_interim_response() {
    let raw = echo().await;
    let gateway = before(&raw);
    let head = "POST /api/x HTTP/1.0\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
    let mut client = Client::sending(&gateway, head).await;
    client.hears_nothing_for(MOMENT).await;
    client.send("hello").await;
    client.interim_or_final("POST").await.unwrap().is_answer("POST /api/x | hello");
}

#[tokio::test]
async fn unknown_expectation_gets_no_interim_response_and_is_ignored() {
    let raw = echo().await;
    let gateway = before(&raw);
    for expectation in ["200-ok", "100-continue-please", "\"100-continue\""] {
        let head = format!("POST /api/x HTTP/1.1\r\nhost: x\r\nexpect: {expectation}\r\ncontent-length: 5\r\n\r\n");
        let mut client = Client::sending(&gateway, head).await;
        client.hears_nothing_for(MOMENT).await;
        client.send("hello").await;
        client.interim_or_final("POST").await.unwrap().is_answer("POST /api/x | hello");
    }
}

#[tokio::test]
async fn body_that_is_already_here_is_not_asked_for() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for rest in ["content-length: 5\r\n\r\nhello", "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"] {
        client.send(format!("POST /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n{rest}")).await;
        client.interim_or_final("POST").await.unwrap().is_answer("POST /api/x | hello");
    }
}

#[tokio::test]
async fn body_that_is_partly_here_is_read_to_its_end() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        client.send("POST /api/x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhe").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.send("llo").await;
        client.response("POST").await.is_answer("POST /api/x | hello");
    }
    client.goes_on().await;
}
