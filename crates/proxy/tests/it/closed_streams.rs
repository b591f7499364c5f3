//! HTTP/2 upstreams that send frames on a closed stream, or window updates over the maximum: the errors that they receive
//! (RFC 9113, 5.1 and 6.9.1), and the responses to clients.

use std::time::Duration;

use http::Method;
use tokio::time::{sleep, timeout};

use crate::frames::{
    DATA, END_STREAM, FLOW_CONTROL_ERROR, GOAWAY, INTERNAL_ERROR, PROTOCOL_ERROR, RST_STREAM, STREAM_CLOSED,
    WINDOW_UPDATE, answer, frame, goaway, head, reset,
};
use crate::raw::{Conn, Raw, call};
use crate::wire::PATIENCE;

const OK: &[(&str, &str)] = &[(":status", "200")];
/// The maximum of a window.
const WINDOW_MAX: u32 = (1 << 31) - 1;

/// The error that the gateway reports next: a frame of this kind with this code.
async fn error(conn: &mut Conn) -> String {
    while let Some(frame) = conn.next().await {
        let code = |at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
        match frame.kind {
            RST_STREAM => return format!("reset {}", code(0)),
            GOAWAY if code(4) != 0 => return format!("goaway {}", code(4)),
            _ => {}
        }
    }
    "closed".to_owned()
}

/// Starts an upstream that writes each of `says` on the stream of its first request, notes the error that it receives, and
/// responds to later requests.
async fn upstream(says: Vec<Vec<u8>>) -> Raw {
    Raw::start(move |mut conn: Conn| {
        let says = says.clone();
        async move {
            conn.greet(&[]).await;
            while let Some(stream) = conn.asked().await {
                if conn.number > 1 || stream > 1 {
                    conn.say(answer(stream, "own")).await;
                    continue;
                }
                for say in says.clone() {
                    conn.say(say).await;
                    conn.is_read().await;
                }
                let error = error(&mut conn).await;
                conn.note(&error);
            }
        }
    })
    .await
}

/// Waits for the error that an upstream notes.
async fn noted_error(raw: &Raw) -> String {
    let noted = async {
        loop {
            let noted = raw.asked().into_iter().map(|(_, line)| line).find(|line| !line.starts_with("stream"));
            if let Some(error) = noted {
                return error;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, noted).await.expect("the gateway reports an error")
}

#[tokio::test]
async fn frames_on_a_closed_stream_are_errors_and_change_no_response() {
    let closed =
        [format!("reset {STREAM_CLOSED}"), format!("goaway {STREAM_CLOSED}"), format!("goaway {PROTOCOL_ERROR}")];
    for (first, is_whole) in [
        (head(1, END_STREAM, OK), true),
        ([head(1, 0, OK), frame(DATA, END_STREAM, 1, "")].concat(), true),
        ([head(1, 0, OK), reset(1, INTERNAL_ERROR)].concat(), false),
    ] {
        for late in [frame(DATA, END_STREAM, 1, "late"), head(1, END_STREAM, OK)] {
            for says in [vec![[first.clone(), late.clone()].concat()], vec![first.clone(), late.clone()]] {
                let raw = upstream(says).await;
                let gateway = raw.http2();
                call(&gateway.caller(), Method::GET).await.is_answer("", is_whole);
                let error = noted_error(&raw).await;
                assert!(closed.contains(&error), "{error}");
                call(&gateway.caller(), Method::GET).await.is_answer("own", true);
            }
        }
    }
}

#[tokio::test]
async fn window_of_a_stream_over_the_maximum_resets_the_stream() {
    let updates = frame(WINDOW_UPDATE, 0, 1, WINDOW_MAX.to_be_bytes()).repeat(2);
    let raw = upstream(vec![updates.clone()]).await;
    let gateway = raw.http2();
    let client = gateway.caller();
    let mut stream = client.connect().await;
    let head = format!(
        "POST /api/x HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: 10\r\n\r\n",
        client.authorization()
    );
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    assert_eq!(noted_error(&raw).await, format!("reset {FLOW_CONTROL_ERROR}"));
    let mut response = Vec::new();
    let reading = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut response);
    timeout(PATIENCE, reading).await.expect("the connection ends").unwrap();
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 502") && response.contains("upstream_protocol"), "{response}");
    call(&client, Method::GET).await.is_answer("own", true);
}

#[tokio::test]
async fn window_of_a_connection_over_the_maximum_ends_the_connection() {
    let raw = upstream(vec![frame(WINDOW_UPDATE, 0, 0, WINDOW_MAX.to_be_bytes()).repeat(2)]).await;
    let gateway = raw.http2();
    call(&gateway.caller(), Method::GET).await.is_refusal(502, "upstream_protocol");
    assert_eq!(noted_error(&raw).await, format!("goaway {FLOW_CONTROL_ERROR}"));
    call(&gateway.caller(), Method::GET).await.is_answer("own", true);
}

#[tokio::test]
async fn window_of_a_request_without_content_does_not_matter() {
    let updates = frame(WINDOW_UPDATE, 0, 1, WINDOW_MAX.to_be_bytes()).repeat(2);
    let raw = upstream(vec![[updates, answer(1, "ok"), goaway(1, 0)].concat()]).await;
    let gateway = raw.http2();
    call(&gateway.caller(), Method::GET).await.is_answer("ok", true);
}
