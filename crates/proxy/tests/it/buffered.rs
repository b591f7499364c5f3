//! Bodies of LLM calls in memory, and the refusal of bodies that need too much of it.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{Request, header};
use http_body_util::Full;

use crate::gateway::Gateway;
use crate::raw::{ClientResponse, got};
use crate::upstream::Upstream;

/// A chat completion of `bytes` bytes in random hexadecimal digits, which a compressor can halve.
fn body(bytes: usize) -> String {
    let mut seed = 7_u32;
    let digits = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit(seed >> 28, 16).unwrap()
    });
    let content: String = digits.take(bytes).collect();
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{content}"}}]}}"#)
}

async fn send_gzipped(gateway: &Gateway, body: &str) -> ClientResponse {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    assert!((body.len() / 3..body.len() * 2 / 3).contains(&packed.len()), "{} bytes", packed.len());
    let request = Request::post("/v1/chat/completions").header(header::CONTENT_TYPE, "application/json");
    let request = request.header(header::CONTENT_ENCODING, "gzip");
    got(gateway.caller().send_request(request, Full::new(Bytes::from(packed))).await).await
}

#[tokio::test]
async fn compressed_body_is_too_large_where_it_and_what_it_inflates_to_are_more_than_a_key_may_hold() {
    let upstream = Upstream::start_plain().await;
    // One key may hold 256 KiB.
    let gateway = Gateway::plain(&format!(
        "sizes: {{buffered: 1MiB}}\n\
         providers: [{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: sk-far}}]\n",
        upstream.address
    ));
    let small = body(120 * 1024);
    send_gzipped(&gateway, &small).await.is_answer(&small, true);
    // The compressed body alone would fit, and so would the inflated one.
    let large = body(240 * 1024);
    let refused = send_gzipped(&gateway, &large).await;
    refused.is_refusal(413, "payload_too_large");
    assert!(refused.body.contains("more than the 262144 bytes that one key may hold in memory"), "{refused:?}");
    got(gateway.post("/v1/chat/completions", large.clone()).await).await.is_answer(&large, true);
    assert_eq!(upstream.notes().requests.len(), 2);
}
