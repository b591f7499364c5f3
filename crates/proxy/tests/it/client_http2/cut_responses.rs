//! HTTP/2 upstreams whose head and whose failure arrive in one segment: clients of both protocols receive the head, and
//! the response is cut.

use http::Method;
use meter::Outcome;
use spool::Record;
use tokio::io::AsyncWriteExt;

use super::frame_client::{End, FrameClient};
use crate::frames::{DATA, END_HEADERS, HEADERS, INTERNAL_ERROR, NO_ERROR, SETTINGS, STATUS_200, frame, goaway, reset};
use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, call};

/// The number of requests for each failure.
const TIMES: usize = 5;

/// A failure of an upstream: a name, its frames on a stream, and whether the connection closes after them.
type Failure = (&'static str, fn(u32) -> Vec<u8>, bool);

const FAILURES: [Failure; 4] = [
    ("reset", |stream| reset(stream, INTERNAL_ERROR), false),
    ("invalid frame", |_| frame(SETTINGS, 0, 0, [0; 5]), false),
    ("goaway", |_| goaway(0, NO_ERROR), true),
    ("close", |_| Vec::new(), true),
];

/// Starts an upstream that writes a head, `data` and the frames of `failure` at once.
async fn upstream(data: &'static str, failure: Failure) -> Raw {
    let (_, failure, closes) = failure;
    Raw::start(move |mut conn: Conn| async move {
        conn.greet(&[]).await;
        while let Some(stream) = conn.asked().await {
            let data = if data.is_empty() { Vec::new() } else { frame(DATA, 0, stream, data) };
            conn.say([frame(HEADERS, END_HEADERS, stream, STATUS_200), data, failure(stream)].concat()).await;
            if closes {
                // Not a close, which could reset the connection before the gateway has read.
                conn.stream.shutdown().await.unwrap();
                return conn.linger().await;
            }
        }
    })
    .await
}

fn before(raw: &Raw) -> Gateway {
    let yaml = format!(
        "ai: {{enabled: false}}\n\
         upstreams: [{{name: backend, backends: [{{url: \"h2c://{}\"}}]}}]\n\
         routes: [{{name: all, path: {{prefix: /api}}, events: rows, upstreams: backend}}]\n",
        raw.address
    );
    Gateway::plain(&yaml)
}

/// Asserts that all requests of the gateway have ended as cut by the upstream.
async fn assert_cut(mut gateway: Gateway, of: &str) {
    let mut outcomes = Vec::new();
    for record in gateway.stop().await {
        let (Record::Event(event) | Record::Close(event)) = record else { continue };
        outcomes.push((event.status, event.outcome));
    }
    assert_eq!(outcomes, [(200, Outcome::UpstreamCut); TIMES], "{of}");
}

#[tokio::test]
async fn head_before_a_failure_in_one_segment_reaches_http1_clients() {
    for failure in FAILURES {
        for data in ["", "hel"] {
            let raw = upstream(data, failure).await;
            let gateway = before(&raw);
            for _ in 0..TIMES {
                let got = call(&gateway.caller(), Method::GET).await;
                assert_eq!((got.status.as_u16(), got.body.as_str(), got.whole), (200, data, false), "{}", failure.0);
            }
            assert_cut(gateway, failure.0).await;
        }
    }
}

#[tokio::test]
async fn head_before_a_failure_in_one_segment_reaches_http2_clients() {
    for failure in FAILURES {
        for data in ["", "hel"] {
            let raw = upstream(data, failure).await;
            let gateway = before(&raw);
            let mut client = FrameClient::connect(&gateway, &[]).await;
            for number in 0..TIMES {
                let stream = 2 * u32::try_from(number).unwrap() + 1;
                client.get_keyed(stream, "/api/x", &gateway.caller().authorization()).await;
                let expected = (true, data.to_owned(), End::Reset(INTERNAL_ERROR));
                assert_eq!(client.until_end(stream).await, expected, "{}", failure.0);
            }
            drop(client);
            assert_cut(gateway, failure.0).await;
        }
    }
}
