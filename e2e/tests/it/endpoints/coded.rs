//! Compressed request bodies: inflated for LLM endpoints, forwarded unchanged on ordinary routes.

use std::io::Write;
use std::rc::Rc;

use e2e::{Call, Gateway, Setup, Upstream, sha256};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;

use super::asks::{ALL, Ask, Dialect, EndpointServer, each};

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

type Compressor = fn(&[u8]) -> Vec<u8>;

const CODINGS: [(&str, Compressor); 3] = [("gzip", gzip), ("x-gzip", gzip), ("ZSTD", zstd)];

#[tokio::test]
async fn compressed_bodies_reach_the_provider_inflated() {
    let line = Rc::new(EndpointServer::new().await);
    let key = line.gateway.key().await;
    let checked = each(ALL, |ask| {
        let line = Rc::clone(&line);
        let key = key.clone();
        Box::pin(async move { check_inflated(&ask, &line, &key).await })
    });
    assert_eq!(checked.await.len(), ALL.len());
}

async fn check_inflated(ask: &Ask, line: &EndpointServer, key: &str) {
    let requested = format!("up/{}", ask.name);
    let body = ask.body(ask.name);
    let mut hashes = Vec::new();
    for (coding, packs) in CODINGS {
        let call = ask.with_key(&requested, key).header("content-encoding", coding).body(packs(&ask.body(&requested)));
        line.gateway.call(call).await.expect(200);
        hashes.push(sha256(&body));
        let seen = line.mock.seen(ask.name).await;
        assert_eq!(seen["bodies"], json!(hashes), "{} {coding}", ask.name);
        assert!(seen["headers"]["content-encoding"].is_null(), "{} {coding}", ask.name);
        assert_eq!(seen["headers"]["content-length"], body.len().to_string(), "{} {coding}", ask.name);
    }
}

#[tokio::test]
async fn invalid_coding_is_400_and_excessive_inflation_is_413() {
    let gateway = Gateway::start(Setup::mocked().section("sizes", "{body: 64KiB}")).await;
    let key = gateway.key().await;
    let ask = Ask::named("gemini");
    let bomb = format!("{{\"contents\":[],\"x\":\"{}\"}}", " ".repeat(1 << 20));
    for (coding, packs) in CODINGS {
        let send = async |body: &[u8]| {
            gateway.call(ask.with_key("mock", &key).header("content-encoding", coding).body(body)).await
        };
        Dialect::Google.check(&send(b"{}").await, 400, "bad_request", "INVALID_ARGUMENT");
        let whole = packs(&ask.body("mock"));
        Dialect::Google.check(&send(&whole[..whole.len() - 2]).await, 400, "bad_request", "INVALID_ARGUMENT");
        let packed = packs(bomb.as_bytes());
        assert!(packed.len() < 10_000);
        Dialect::Google.check(&send(&packed).await, 413, "payload_too_large", "INVALID_ARGUMENT");
    }
    assert_eq!((gateway.mock().requests("mock").await, gateway.used(&key).await), (0, 0));
}

#[tokio::test]
async fn compressed_bodies_pass_ordinary_routes_untouched() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), "{path: /r, upstreams: backend}")).await;
    let key = gateway.key().await;
    let bodies =
        [("gzip", gzip(b"hello")), ("zstd", zstd(b"hello")), ("br", b"\x0b\x02".to_vec()), ("gzip, zstd", vec![0])];
    for (coding, body) in bodies {
        let call = Call::new("POST", "/r").header("content-encoding", coding).body(&body).key(&key);
        gateway.call(call).await.expect(200);
        let seen = upstream.seen().pop().unwrap();
        assert_eq!((seen.head.header("content-encoding"), seen.body), (Some(coding), body));
    }
}
