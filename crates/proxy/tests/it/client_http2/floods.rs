//! Floods of frames that carry no request: each ends its connection, and others are served.

use std::time::Duration;

use crate::client_http2::frame_client::{CANCEL, ENHANCE_YOUR_CALM, End, FrameClient, get, post, pseudo, settings};
use crate::client_http2::stream_client::StreamClient;
use crate::frames::{CONTINUATION, DATA, END_STREAM, GOAWAY, HEADERS, PING, WINDOW_UPDATE, block, frame, reset};
use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::wire::{before, echo};

const PRIORITY: u8 = 2;
const UNKNOWN: u8 = 0xee;

/// Sends `piece` again and again until the connection ends. Asserts that the connection ends with `ENHANCE_YOUR_CALM`
/// (or without a readable GOAWAY, if its reset arrived first), and that another client is served.
async fn floods(gateway: &Gateway, begin: Vec<u8>, mut piece: impl FnMut(u32) -> Vec<u8>) {
    let mut client = FrameClient::connect(gateway, &[]).await;
    client.send(begin).await;
    let (mut from, mut to) = client.stream.into_split();
    let reading = tokio::task::spawn_local(async move {
        use tokio::io::AsyncReadExt as _;
        let mut bytes = Vec::new();
        while from.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
        bytes
    });
    let mut number = 0;
    let sending = async {
        use tokio::io::AsyncWriteExt as _;
        while number < 200_000 && to.write_all(&piece(number)).await.is_ok() {
            number += 1;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), sending).await;
    assert!(ended.is_ok() && number < 200_000, "the flood goes on after {number} pieces");
    let bytes = reading.await.unwrap();
    let mut rest = &bytes[..];
    while let [high, middle, low, kind, _, _, _, _, _, payload @ ..] = rest {
        let length = usize::try_from(u32::from_be_bytes([0, *high, *middle, *low])).unwrap();
        // A GOAWAY has 8 bytes of payload, of which the last 4 are the reason.
        if *kind == GOAWAY && payload.len() >= 8 {
            assert_eq!(payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
        }
        rest = payload.get(length..).unwrap_or_default();
    }
    assert_eq!(StreamClient::connect(gateway).await.get("/none").await.status, 404);
}

/// Runs a test on a thread that may spawn local tasks.
async fn locally(test: impl Future<Output = ()>) {
    tokio::task::LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn flood_of_settings_ends_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        floods(&gateway, Vec::new(), |number| settings(&[(4, number % 65_536)])).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_pings_ends_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        floods(&gateway, Vec::new(), |_| frame(PING, 0, 0, [0; 8]).repeat(100)).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_priorities_or_unknown_frames_ends_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        floods(&gateway, Vec::new(), |_| frame(PRIORITY, 0, 1, [0, 0, 0, 0, 1]).repeat(100)).await;
        floods(&gateway, Vec::new(), |_| frame(UNKNOWN, 0, 0, []).repeat(100)).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_continuations_ends_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        let begin = frame(HEADERS, END_STREAM, 1, block(&pseudo("/api/x")));
        floods(&gateway, begin.clone(), |_| frame(CONTINUATION, 0, 1, block(&[("x", "y")]))).await;
        floods(&gateway, begin, |_| frame(CONTINUATION, 0, 1, [])).await;
    })
    .await;
}

#[tokio::test]
async fn flood_of_empty_content_ends_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        floods(&gateway, post(1, "/api/x"), |_| frame(DATA, 0, 1, []).repeat(100)).await;
    })
    .await;
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        // Many in one write, and one after the other.
        floods(&gateway, Vec::new(), |number| {
            let streams = (0..200).map(|at| 2 * (200 * number + at) + 1);
            streams.flat_map(|stream| [get(stream, "/api/x"), reset(stream, CANCEL)].concat()).collect()
        })
        .await;
        floods(&gateway, Vec::new(), |number| [get(2 * number + 1, "/api/x"), reset(2 * number + 1, CANCEL)].concat())
            .await;
    })
    .await;
}

#[tokio::test]
async fn resets_that_the_client_provokes_end_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        // A window that overflows is an error of the stream (CVE-2025-8671).
        floods(&gateway, Vec::new(), |number| {
            let stream = 2 * number + 1;
            [post(stream, "/api/x"), frame(WINDOW_UPDATE, 0, stream, [0x7f, 0xff, 0xff, 0xff])].concat()
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn pings_and_cancelled_requests_within_the_bounds_are_served() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    for number in 0..50 {
        client.send([get(2 * number + 1, "/api/x"), reset(2 * number + 1, CANCEL)].concat()).await;
        client.send(frame(PING, 0, 0, [7; 8])).await;
        let pong = client.find(PING).await.unwrap();
        assert_eq!((pong.flags, pong.payload), (1, vec![7; 8]));
    }
    client.send(settings(&[(4, 1_000)])).await;
    client.get(201, "/api/x").await;
    assert_eq!(client.end(201).await, End::Answered("200".to_owned()));
}

#[tokio::test]
async fn flood_of_window_updates_ends_the_connection() {
    locally(async {
        let raw = echo().await;
        let gateway = before(&raw);
        floods(&gateway, Vec::new(), |_| frame(WINDOW_UPDATE, 0, 0, [0, 0, 0, 1]).repeat(100)).await;
    })
    .await;
}

#[tokio::test]
async fn streams_that_are_refused_again_and_again_end_the_connection() {
    locally(async {
        let raw = Raw::start(|mut conn| async move { conn.linger().await }).await;
        let gateway = before(&raw);
        // 100 streams wait for the upstream, and all others are over the maximum.
        floods(&gateway, Vec::new(), |number| get(2 * number + 1, "/api/x")).await;
    })
    .await;
}

#[tokio::test]
async fn goaway_arrives_although_the_client_goes_on_sending() {
    let raw = echo().await;
    let gateway = before(&raw);
    let mut client = FrameClient::connect(&gateway, &[]).await;
    // More than the budget, in one write that the gateway does not read to its end.
    let flood = frame(UNKNOWN, 0, 0, []).repeat(30_000);
    let _ = client.try_send(flood).await;
    let goaway = client.find(GOAWAY).await.expect("the GOAWAY is not destroyed by a reset");
    assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
}
