//! Bodies that inflate by a factor of 1000: refused at the size limit, in bounded memory, while other clients are
//! served.

use std::io::Write;
use std::time::Duration;

use e2e::{Answer, Call, Canary, Gateway, Setup, Upstream, timed};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use tokio::task::JoinSet;

use crate::bodies::Format;
use crate::hostile::say;

const MIB: u64 = 1 << 20;
/// Twice the default size limit of 32 MiB.
const INFLATED: usize = 64 << 20;

/// Returns a compressed body of `inflated` bytes that begins like a request.
fn bomb(coding: &str, inflated: usize) -> Vec<u8> {
    let mut plain = br#"{"model": "m", "messages": ["#.to_vec();
    plain.resize(inflated, b' ');
    match coding {
        "zstd" => zstd::encode_all(plain.as_slice(), 1).unwrap(),
        _ => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap()
        }
    }
}

/// Starts a server with a provider of each kind; no request may reach them.
async fn line(sizes: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::json(&json!({})).await;
    let provider = |name, kind| e2e::setup::provider(name, kind, upstream.address());
    let setup = Setup::new()
        .section("providers", &format!("[{}, {}]", provider("up", "openai"), provider("claude", "anthropic")))
        .section("sizes", sizes);
    let gateway = Gateway::start(setup).await;
    (upstream, gateway)
}

#[track_caller]
fn check(answer: &Answer, codes: &[(u16, &str)]) {
    let code = answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert!(codes.contains(&(answer.status(), code.as_str())), "{} {}", answer.head.first, answer.text());
}

#[tokio::test]
async fn body_that_inflates_a_thousandfold_is_413_in_bounded_memory() {
    let (upstream, gateway) = line("{}").await;
    let key = gateway.key().await;
    let before = gateway.vitals().memory_bytes();
    for (coding, format) in [("gzip", Format::Chat), ("zstd", Format::Messages), ("gzip", Format::Responses)] {
        let bomb = bomb(coding, INFLATED);
        assert!(INFLATED / bomb.len() >= 1_000, "{} bytes", bomb.len());
        let call = Call::post(format.path(), &bomb).key(&key).header("content-encoding", coding);
        let (answer, took) = timed(gateway.call(call)).await;
        say(&format!("{coding}: {} bytes to {INFLATED} in {took:?}", bomb.len()));
        check(&answer, &[(413, "payload_too_large")]);
    }
    let peak = gateway.vitals().peak_bytes();
    say(&format!("{} KiB before, {} at most", before >> 10, peak >> 10));
    // Only one body at a time is inflated, and only up to the limit.
    assert!(peak < before + 48 * MIB, "{} KiB more", (peak - before) >> 10);
    assert!(upstream.seen().is_empty());
    gateway.at_rest().await;
    assert_eq!(gateway.used(&key).await, 0);
}

#[tokio::test]
async fn inflated_bodies_have_a_shared_maximum_and_delay_no_other_client() {
    let (upstream, gateway) = line("{body: 4MiB, buffered: 16MiB}").await;
    let key = gateway.key().await;
    let before = gateway.vitals().memory_bytes();
    let bomb = bomb("zstd", INFLATED);
    let call = Call::post(Format::Chat.path(), &bomb).key(&key).header("content-encoding", "zstd");
    let mut bombs = JoinSet::new();
    for _ in 0..60 {
        let call = call.clone();
        let to = gateway.proxy;
        bombs.spawn(async move { call.send(to).await });
    }
    let others = async {
        for _ in 0..20 {
            let since = Canary::new();
            gateway.call(Call::get("/")).await.expect(200);
            since.assert_within(Duration::from_secs(5), "another client's request");
        }
    };
    let (answers, ()) = tokio::join!(bombs.join_all(), others);
    for answer in &answers {
        check(answer, &[(413, "payload_too_large"), (503, "overloaded")]);
    }
    let peak = gateway.vitals().peak_bytes();
    say(&format!("60 bombs: {} KiB before, {} at most", before >> 10, peak >> 10));
    assert!(peak < before + 80 * MIB, "{} KiB more", (peak - before) >> 10);
    assert!(upstream.seen().is_empty());
    gateway.at_rest().await;
}

/// Returns a gzip body of `bytes` bytes in blocks without content: four blocks of deflate with fixed codes have 5 bytes
/// (RFC 1951, 3.2.6).
fn empty_blocks(bytes: usize) -> Vec<u8> {
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    body.extend([0x02, 0x08, 0x20, 0x80, 0].repeat(bytes / 5));
    body.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    body
}

#[tokio::test]
async fn compressed_bytes_without_content_take_little_processor_time_and_few_threads() {
    let (upstream, gateway) = line("{}").await;
    let key = gateway.key().await;
    let body = empty_blocks(1 << 20);
    let call = Call::post(Format::Chat.path(), &body).key(&key).header("content-encoding", "gzip");
    let cpu = gateway.vitals().cpu();
    let threads = gateway.vitals().threads();
    let mut sent = JoinSet::new();
    for _ in 0..40 {
        let call = call.clone();
        let to = gateway.proxy;
        sent.spawn(async move { call.send(to).await });
    }
    let mut threads_max = threads;
    while let Some(answer) = sent.join_next().await {
        check(&answer.unwrap(), &[(413, "payload_too_large")]);
        threads_max = threads_max.max(gateway.vitals().threads());
    }
    let took = gateway.vitals().cpu() - cpu;
    say(&format!("40 bodies of 1 MiB without content: {took:?}, {} threads more", threads_max - threads));
    // Without a bound, they take 1.5 s each.
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert!(threads_max < threads + 16, "{} threads more", threads_max - threads);
    assert!(upstream.seen().is_empty());
    gateway.at_rest().await;
}

#[tokio::test]
async fn body_that_does_not_match_its_coding_is_refused() {
    let (upstream, gateway) = line("{}").await;
    let key = gateway.key().await;
    let whole = bomb("gzip", 1_000);
    let half = &whole[..whole.len() / 2];
    for (coding, body, codes) in [
        ("gzip", half, [(400, "bad_request")]),
        ("gzip", b"{\"model\": \"m\"}".as_slice(), [(400, "bad_request")]),
        ("zstd", whole.as_slice(), [(400, "bad_request")]),
        ("gzip, gzip", whole.as_slice(), [(415, "unsupported_media_type")]),
        ("br", whole.as_slice(), [(415, "unsupported_media_type")]),
    ] {
        for format in Format::ALL {
            let call = Call::post(format.path(), body).key(&key).header("content-encoding", coding);
            check(&gateway.call(call).await, &codes);
        }
    }
    assert!(upstream.seen().is_empty());
    assert_eq!(gateway.used(&key).await, 0);
}
