//! Bedrock's `runtime` endpoint: its frames, its errors and their faults, as clients of each format see them.

use std::fmt::Write as _;

use base64ct::{Base64, Encoding as _};
use e2e::{Call, Gateway, Mock, Setup, Turn, Upstream};
use serde_json::{Value, json};

use super::failures::{check_error, stream_error};
use super::{ask, text_of};
use crate::bodies::{COUNT_TOKENS, Format};
use crate::store;

const HAIKU: &str = "eu.anthropic.claude-haiku-4-5-20251001-v1:0";
const TEXT: &str = "Hello from Bedrock";
/// Of 10 input, 6 cached, 4 written and 12 output tokens, by the price of `anthropic/claude-haiku-4-5`.
const COST_NANO: u64 = 10 * 1_000 + 6 * 100 + 4 * 1_250 + 12 * 5_000;
const FRAMES: &str = "200 OK\r\ncontent-type: application/vnd.amazon.eventstream\r\nx-amzn-requestid: r-1";

/// Errors by the model's name: the status and the exception of Bedrock, and the status for clients of Messages.
const ERRORS: [(&str, u16, &str, u16); 7] = [
    ("throttled", 429, "ThrottlingException", 429),
    ("exhausted", 400, "ServiceQuotaExceededException", 429),
    ("failed", 424, "ModelErrorException", 500),
    ("late", 408, "ModelTimeoutException", 504),
    ("busy", 503, "ServiceUnavailableException:http://internal.amazon.com/coral/", 529),
    ("denied", 403, "AccessDeniedException", 502),
    ("invalid", 400, "ValidationException", 400),
];

fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _: u32| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}

/// Returns a frame with these headers.
fn frame(headers: &[(&str, &str)], payload: &str) -> Vec<u8> {
    let mut written = Vec::new();
    for (name, value) in headers {
        written.push(u8::try_from(name.len()).unwrap());
        written.extend(name.as_bytes());
        written.push(7);
        written.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        written.extend(value.as_bytes());
    }
    let word = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
    let mut frame = [word(16 + written.len() + payload.len()), word(written.len())].concat();
    frame.extend(crc32(&frame).to_be_bytes());
    frame.extend(written);
    frame.extend(payload.as_bytes());
    frame.extend(crc32(&frame).to_be_bytes());
    frame
}

fn chunk(event: &Value) -> Vec<u8> {
    let bytes = Base64::encode_string(event.to_string().as_bytes());
    let headers = [(":event-type", "chunk"), (":content-type", "application/json"), (":message-type", "event")];
    frame(&headers, &json!({"bytes": bytes, "p": "abcdefgh"}).to_string())
}

fn exception(name: &str) -> Vec<u8> {
    frame(&[(":exception-type", name), (":message-type", "exception")], r#"{"message":"Too many tokens"}"#)
}

fn message(content: &Value, stop: &Value, output: u64) -> Value {
    json!({"id": "msg_bdrk_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001", "content": content,
        "stop_reason": stop, "stop_sequence": null, "usage": {"input_tokens": 10, "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 6, "output_tokens": output}})
}

/// Returns the frames of a whole stream.
fn frames() -> Vec<Vec<u8>> {
    let delta =
        |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    let metrics = json!({"inputTokenCount": 10, "outputTokenCount": 12, "invocationLatency": 9, "firstByteLatency": 3});
    let events = [
        json!({"type": "message_start", "message": message(&json!([]), &Value::Null, 1)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        delta("Hello"),
        delta(" from Bedrock"),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": 12}}),
        json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": metrics}),
    ];
    events.iter().map(chunk).collect()
}

/// Responds as the model's name in the path says. A stream arrives in chunks that are no frames.
async fn respond(mut turn: Turn) -> Option<Turn> {
    turn.read_body().await;
    let path = turn.head.first.split(' ').nth(1).unwrap().to_owned();
    let fault = path.split("claude-").nth(1).and_then(|rest| rest.split(['-', '/']).next()).unwrap_or_default();
    if let Some((_, status, exception, _)) = ERRORS.iter().find(|(name, ..)| *name == fault) {
        let head = format!("{status} Error\r\ncontent-type: application/json\r\nx-amzn-errortype: {exception}");
        turn.answer(&head, br#"{"message":"of the account 123456789012"}"#).await;
        return Some(turn);
    }
    if path.ends_with("/invoke") {
        let body = message(&json!([{"type": "text", "text": TEXT}]), &json!("end_turn"), 12).to_string();
        turn.answer("200 OK\r\ncontent-type: application/json", body.as_bytes()).await;
        return Some(turn);
    }
    let mut stream = frames();
    match fault {
        "early" => stream.splice(.., [exception("modelStreamErrorException")]).for_each(drop),
        "exception" => stream.splice(3.., [exception("throttlingException")]).for_each(drop),
        "damaged" => *stream[3].last_mut().unwrap() ^= 1,
        "truncated" => {
            stream.truncate(4);
            stream[3].pop();
        }
        "unfinished" => stream.truncate(4),
        _ => {}
    }
    turn.stream(FRAMES).await;
    let bytes = stream.concat();
    for (number, piece) in bytes.chunks(97).enumerate() {
        if fault == "cut" && number == 10 {
            return None;
        }
        turn.chunk(piece).await;
    }
    turn.chunk(b"").await;
    Some(turn)
}

fn setup(upstream: &Upstream, mock: &Mock) -> Setup {
    let runtime = upstream.address();
    let mock = mock.address();
    let providers = format!(
        "[{{name: aws2, kind: bedrock, region: eu-west-1, endpoint: runtime, base_url: \"http://{runtime}\", \
           aws: {{access_key_id: AKID, secret_access_key: s3cret}}}}, {{name: backup, kind: mock, base_url: \"http://{mock}\"}}]"
    );
    let mut models = format!(
        "[{{name: haiku, targets: [{{provider: aws2, model: \"{HAIKU}\", price_as: anthropic/claude-haiku-4-5}}]}}"
    );
    for fault in ["early", "failed", "throttled"] {
        let first = format!("{{provider: aws2, model: anthropic.claude-{fault}}}");
        let _ = write!(models, ", {{name: {fault}, sticky: off, targets: [{first}, {{provider: backup, model: ok}}]}}");
    }
    Setup::new().section("providers", &providers).section("models", &format!("{models}]"))
}

#[tokio::test]
async fn calls_of_each_format_are_signed_and_their_frames_are_read_and_billed() {
    let upstream = Upstream::start(respond).await;
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&upstream, &mock)).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        for stream in [false, true] {
            let case = format!("{client:?}, stream: {stream}");
            let call = Call::json(client.path(), &client.body("haiku", stream)).key(&key);
            let call = call.header("anthropic-beta", "claude-code-20250219,context-1m-2025-08-07");
            let answer = gateway.call(call).await.expect(200);
            assert_eq!(text_of(client, &answer), TEXT, "{case}");
            assert!(answer.header("x-amzn-requestid").is_none(), "{case}");
            let row = store::row(gateway.folder(), &answer).await;
            assert_eq!((&row["cost_nano"], &row["outcome"]), (&json!(COST_NANO), &json!("completed")), "{case}: {row}");
            let sent = upstream.seen().pop().unwrap();
            let operation = if stream { "invoke-with-response-stream" } else { "invoke" };
            let target = format!("POST /model/{}/{operation} HTTP/1.1", HAIKU.replace(':', "%3A"));
            assert_eq!(sent.head.first, target, "{case}");
            let authorization = sent.head.header("authorization").unwrap();
            assert!(authorization.contains("/eu-west-1/bedrock/aws4_request"), "{case}: {authorization}");
            assert!(sent.head.header("anthropic-beta").is_none() && sent.head.header("anthropic-version").is_none());
            let body: Value = serde_json::from_slice(&sent.body).unwrap();
            assert_eq!(body["anthropic_version"], "bedrock-2023-05-31", "{case}");
            assert!(body.get("model").is_none() && body.get("stream").is_none(), "{case}: {body}");
            let betas = if client == Format::Messages { json!(["context-1m-2025-08-07"]) } else { Value::Null };
            assert_eq!(body["anthropic_beta"], betas, "{case}");
        }
    }
}

#[tokio::test]
async fn a_stream_of_frames_that_breaks_ends_with_an_error_of_the_client_s_format() {
    let upstream = Upstream::start(respond).await;
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&upstream, &mock)).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        for fault in ["exception", "damaged", "truncated", "cut", "unfinished"] {
            let case = format!("{client:?}: {fault}");
            let body = client.body(&format!("aws2/anthropic.claude-{fault}"), true);
            let answer = ask(&gateway, &key, client, &body).await.expect(200);
            assert!(answer.whole && answer.text().contains("Hello"), "{case}: {}", answer.text());
            assert!(stream_error(client, &answer).is_some(), "{case}: {}", answer.text());
            for end in ["[DONE]", "message_stop", "response.completed"] {
                assert!(!answer.text().contains(end), "{case}: an invented end {end}: {}", answer.text());
            }
            let row = store::row(gateway.folder(), &answer).await;
            assert!(fault == "exception" || row["outcome"] == "upstream_cut", "{case}: {row}");
        }
    }
}

#[tokio::test]
async fn errors_have_the_status_and_the_form_of_the_client_s_format_and_other_targets_follow() {
    let upstream = Upstream::start(respond).await;
    let mock = Mock::start().await;
    let gateway = Gateway::start(setup(&upstream, &mock)).await;
    let key = gateway.key().await;
    for client in Format::ALL {
        for (fault, status, _, expected) in ERRORS {
            let case = format!("{client:?}: {fault}");
            let body = client.body(&format!("aws2/anthropic.claude-{fault}"), status == 424);
            let answer = ask(&gateway, &key, client, &body).await;
            let expected = if expected == 529 && client != Format::Messages { 503 } else { expected };
            assert_eq!(answer.status(), expected, "{case}: {}", answer.text());
            check_error(client, &answer.json(), &case);
            assert!(
                !matches!(status, 403 | 429) || !answer.text().contains("123456789012"),
                "{case}: {}",
                answer.text()
            );
            let row = store::row(gateway.folder(), &answer).await;
            assert_eq!(row["upstream_status"], status, "{case}: {row}");
        }
        for model in ["early", "failed", "throttled"] {
            let answer = ask(&gateway, &key, client, &client.body(model, true)).await.expect(200);
            assert_eq!(answer.header("x-tollgate-model"), Some("backup/ok"), "{client:?} {model}");
        }
    }
    let before = upstream.seen().len();
    let other = Format::Messages.body("aws2/amazon.nova-pro-v1:0", false);
    let answer = ask(&gateway, &key, Format::Messages, &other).await.expect(400);
    assert!(answer.text().contains("mantle"), "{}", answer.text());
    let count = Call::json(COUNT_TOKENS, &Format::Messages.body("haiku", false)).key(&key);
    assert_eq!(gateway.call(count).await.expect(200).header("x-tollgate-estimated"), Some("true"));
    assert_eq!(upstream.seen().len(), before, "the endpoint has neither");
}
