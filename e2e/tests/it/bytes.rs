//! Client and upstream receive each other's bytes unchanged, except for the documented changes.

use std::collections::BTreeMap;

use e2e::setup::CREDENTIAL;
use e2e::{Call, Gateway, Head, Mock, Setup, Upstream, is_uuid_v7, sha256};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format, MESSAGES, RESPONSES};

/// A body that no serializer would write: unusual spacing, order, escapes, large numbers and unknown fields.
fn odd(model: &str, rest: &str) -> String {
    format!(
        "{{ \"x_unknown\" :\t{{\"model\":\"not this\",\"n\":1.0e+02, \"big\":123456789012345678901234567890}},\r\n  \
         \"model\"  : \"{model}\" ,\"messages\":[{{\"content\":\"h\\u00e9 \\ud83d\\ude00 \u{e9}\",\"role\":\"user\"}}], \
         \"input\" :\"hi\",\"max_tokens\":5{rest}\n}}"
    )
}

/// A server with one provider of `format`; the model `alias` resolves to `real-model/1:2`.
struct FormatServer {
    upstream: Upstream,
    gateway: Gateway,
    key: String,
    format: Format,
}

impl FormatServer {
    async fn start(format: Format) -> Self {
        let upstream = Upstream::json(&json!({})).await;
        let models = "[{name: alias, targets: [{provider: up, model: \"real-model/1:2\"}]}]";
        let setup = Setup::provider(format.kind(), upstream.address()).section("models", models);
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        Self { upstream, gateway, key, format }
    }

    /// Sends `body` and returns the body that the provider received.
    async fn pass(&self, body: &str) -> String {
        self.gateway.call(Call::post(self.format.path(), body).key(&self.key)).await.expect(200);
        let seen = self.upstream.seen().pop().unwrap();
        assert!(seen.whole);
        assert_eq!(seen.head.header("content-length"), Some(seen.body.len().to_string().as_str()));
        String::from_utf8(seen.body).unwrap()
    }
}

#[tokio::test]
async fn request_bodies_change_in_the_models_name_alone() {
    for format in Format::ALL {
        let line = FormatServer::start(format).await;
        for (requested, real) in [("bare", "bare"), ("up/named", "named"), ("alias", "real-model/1:2")] {
            assert_eq!(line.pass(&odd(requested, "")).await, odd(real, ""), "{format:?} {requested}");
        }
    }
}

#[tokio::test]
async fn chat_streams_gain_include_usage_and_nothing_else() {
    let line = FormatServer::start(Format::Chat).await;
    for rest in [", \"stream\" : true", ",\"stream\":true,\"stream_options\" : { \"x\": 1 }"] {
        let sent = odd("bare", rest);
        let body = line.pass(&sent).await;
        let value: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["stream_options"]["include_usage"], true, "{body}");
        let inserted =
            insertion(&sent, &body).unwrap_or_else(|| panic!("differs by more than one insertion:\n{sent}\n{body}"));
        assert!(inserted.contains("include_usage") && inserted.len() < 60, "{inserted}");
    }
    let requested = odd("bare", ",\"stream\":true, \"stream_options\" :{ \"include_usage\" : true }");
    assert_eq!(line.pass(&requested).await, requested);
}

/// Returns the bytes of `long` that are missing in `short`, if they form one contiguous run.
fn insertion<'a>(short: &str, long: &'a str) -> Option<&'a str> {
    let more = long.len().checked_sub(short.len())?;
    let common = short.bytes().zip(long.bytes()).take_while(|(a, b)| a == b).count();
    (0..=common).rev().find(|at| long.get(at + more..) == short.get(*at..)).and_then(|at| long.get(at..at + more))
}

#[tokio::test]
async fn mock_reports_the_hash_of_the_sent_body() {
    let mock = Mock::start().await;
    let gateway = Gateway::start(Setup::provider("mock", mock.address())).await;
    let key = gateway.key().await;
    for path in [RESPONSES, MESSAGES] {
        let body = odd("bare", ",\"stream\": true");
        gateway.call(Call::post(path, &body).key(&key)).await.expect(200);
        assert_eq!(
            mock.seen("bare").await["bodies"].as_array().unwrap().last().unwrap(),
            &json!(sha256(body.as_bytes()))
        );
    }
}

#[tokio::test]
async fn large_bodies_arrive_whole_both_ways() {
    let answer: String = format!("{{ \"a\": \"{}\"}}", "0123456789abcdef".repeat(200_000));
    let upstream = Upstream::answering("200 OK\r\ncontent-type: application/json", &answer).await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let body = odd("bare", &format!(",\"x\":\"{}\"", "fedcba9876543210".repeat(100_000)));
    let got = gateway.call(Call::post(CHAT, &body).key(&key)).await.expect(200);
    assert_eq!(sha256(&upstream.only().body), sha256(body.as_bytes()));
    assert_eq!(sha256(&got.body), sha256(answer.as_bytes()));
    // The same bodies with chunked transfer coding in place of a length.
    let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
    chunked.extend(body.bytes());
    chunked.extend(b"\r\n0\r\n\r\n");
    let call =
        Call::new("POST", CHAT).header("transfer-encoding", "chunked").header("content-type", "application/json");
    gateway.call(call.key(&key).body(chunked)).await.expect(200);
    assert_eq!(sha256(&upstream.seen()[1].body), sha256(body.as_bytes()));
}

/// Returns the values of each header field in order, by lowercase name.
fn by_name(head: &Head) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &head.headers {
        all.entry(name.to_ascii_lowercase()).or_default().push(value.clone());
    }
    all
}

const SURVIVE: &[(&str, &str)] = &[
    ("OpenAI-Beta", "assistants=v2,responses=v1"),
    ("X-Stainless-Odd_Name.1", "a  b\t\"c\"; d=\u{e9}\u{ff}"),
    ("x-stainless-twice", "one"),
    ("X-STAINLESS-TWICE", "two"),
    ("x-stainless-empty", ""),
    ("User-Agent", "claude-cli/2.1.197 (external, sdk-cli)"),
    ("X-Stainless-Retry-Count", "0"),
    ("accept", "text/event-stream"),
    ("session-id", "0195"),
];

#[tokio::test]
async fn provider_receives_the_listed_headers_of_its_format_as_they_were_written() {
    let upstream = Upstream::json(&json!({})).await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let mut call = Call::json(CHAT, &Format::Chat.body("m", false));
    for (name, value) in SURVIVE {
        call = call.header(name, value);
    }
    for (name, value) in [
        ("X-Api-Key", key.as_str()),
        ("Cookie", "session=1"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authorization", "Basic eA=="),
        ("TE", "trailers"),
        ("Accept-Encoding", "gzip, br"),
        ("X-Forwarded-For", "203.0.113.9"),
        ("X-Forwarded-Host", "spoofed.example"),
        ("Forwarded", "for=203.0.113.9"),
        ("CF-Connecting-IP", "203.0.113.9"),
        ("X-HTTP-Method-Override", "spoofed"),
        ("X-Goog-Encode-Response-If-Executable", "spoofed"),
        ("X-Goog-User-Project", "spoofed"),
        ("OpenAI-Organization", "spoofed"),
        ("openai_organization", "spoofed"),
        ("Anthropic-Version", "spoofed"),
        ("X-Unknown", "spoofed"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        call = call.header(name, value);
    }
    gateway.call(call).await.expect(200);

    let head = upstream.only().head;
    let got = by_name(&head);
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in SURVIVE {
        expected.entry(name.to_ascii_lowercase()).or_default().push((*value).to_owned());
    }
    for (name, values) in &expected {
        assert_eq!(got.get(name), Some(values), "{name}");
    }
    assert_eq!(head.all("host"), [upstream.address().to_string()]);
    assert_eq!(head.all("authorization"), [format!("Bearer {CREDENTIAL}")]);
    assert_eq!(head.all("accept-encoding"), ["identity"]);
    assert_eq!(head.all("content-type"), ["application/json"]);
    let trace = head.header("traceparent").unwrap();
    assert!(trace.starts_with("00-0af7651916cd43dd8448eb211c80319c-"), "{trace}");
    for gone in ["x-api-key", "api-key", "cookie", "x-hop", "keep-alive", "proxy-authorization", "te", "forwarded"] {
        assert!(head.header(gone).is_none(), "{gone}: {got:?}");
    }
    let raw = String::from_utf8_lossy(&head.raw).into_owned();
    assert!(!raw.contains("203.0.113.9") && !raw.contains("spoofed") && !raw.contains(&key), "{raw}");
}

/// With these options, Google would omit usage, wrap the response, or bill another account.
#[tokio::test]
async fn options_in_a_query_and_keys_do_not_reach_a_provider() {
    let upstream = Upstream::json(&json!({})).await;
    let of = |name, kind| e2e::setup::provider(name, kind, upstream.address());
    let providers = format!("[{}, {}, {}]", of("o", "openai"), of("a", "anthropic"), of("g", "gemini"));
    let gateway = Gateway::start(Setup::new().section("providers", &providers)).await;
    let key = gateway.key().await;
    let options = format!(
        "key={key}&callback=f&$callback=f&%24userProject=p&access_token={key}&fields=x&X-HTTP-Method-Override=GET&alt=media"
    );
    for (path, passes, model) in [
        (CHAT, "api-version=preview", "o/m"),
        (RESPONSES, "api-version=preview", "o/m"),
        (MESSAGES, "beta=true", "a/m"),
        ("/v1beta/models/g/m:generateContent", "alt=json", "g/m"),
        ("/v1beta/models/g/m:streamGenerateContent", "$alt=sse", "g/m"),
    ] {
        let body = json!({"model": model, "messages": [], "input": "hi", "max_tokens": 1, "contents": []});
        let body = if path.contains("v1beta") { json!({"contents": []}) } else { body };
        gateway.call(Call::json(&format!("{path}?{options}&{passes}"), &body).key(&key)).await.expect(200);
        let head = upstream.seen().pop().unwrap().head;
        let requested = path.replace("/g/m:", "/m:");
        assert_eq!(head.first, format!("POST {requested}?{passes} HTTP/1.1"));
        assert!(!String::from_utf8_lossy(&head.raw).contains(&key), "{}", head.first);
    }
}

#[tokio::test]
async fn each_provider_gets_its_own_credential_in_its_own_header() {
    let upstream = Upstream::json(&json!({})).await;
    let gateway = Gateway::start(Setup::provider("anthropic", upstream.address())).await;
    let key = gateway.key().await;
    gateway.call(Call::json(MESSAGES, &Format::Messages.body("m", false)).key(&key)).await.expect(200);
    let head = upstream.only().head;
    assert_eq!(head.all("x-api-key"), [CREDENTIAL]);
    assert!(head.header("authorization").is_none());
}

#[tokio::test]
async fn client_receives_the_upstreams_headers_except_for_the_listed_ones() {
    let survive = [
        ("OpenAI-Processing-MS", "7"),
        ("openai-version", "2020-10-01"),
        ("X-Odd_Name.1", "a  b\t\"c\"; d=\u{e9}\u{ff}"),
        ("x-twice", "one"),
        ("X-TWICE", "two"),
        ("Retry-After", "3"),
        ("Content-Type", "application/json;charset=UTF-8"),
        ("Cache-Control", "no-cache"),
    ];
    let gone = [
        ("Set-Cookie", "__cf_bm=x"),
        ("openai-organization", "org-secret"),
        ("openai-project", "org-secret"),
        ("anthropic-organization-id", "org-secret"),
        ("x-ratelimit-limit-tokens", "777777"),
        ("x-ratelimit-remaining-requests", "777777"),
        ("anthropic-ratelimit-tokens-remaining", "777777"),
        ("x-request-id", "req_provider"),
        ("request-id", "req_provider"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
    ];
    let upstream = Upstream::start(move |mut turn| async move {
        turn.read_body().await;
        let lines: String = survive.iter().chain(&gone).map(|(name, value)| format!("\r\n{name}: {value}")).collect();
        let head = format!("HTTP/1.1 418 I'm odd{lines}\r\ncontent-length: 12\r\n\r\n{{ \"odd\" :1 }}");
        let bytes: Vec<u8> = head.chars().map(|c| u8::try_from(c).unwrap()).collect();
        turn.write(&bytes).await;
        Some(turn)
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let answer = gateway.call(Call::json(CHAT, &Format::Chat.body("m", false)).key(&key)).await.expect(418);
    assert_eq!(answer.text(), "{ \"odd\" :1 }");
    let got = by_name(&answer.head);
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in survive {
        expected.entry(name.to_ascii_lowercase()).or_default().push(value.to_owned());
    }
    for (name, values) in &expected {
        assert_eq!(got.get(name), Some(values), "{name}");
    }
    let raw = String::from_utf8_lossy(&answer.head.raw).to_ascii_lowercase();
    for word in ["set-cookie", "org-secret", "777777", "req_provider", "x-hop"] {
        assert!(!raw.contains(word), "{word}: {raw}");
    }
    assert!(is_uuid_v7(answer.header("x-request-id").unwrap()));
    assert_eq!(answer.header("request-id"), answer.header("x-request-id"));
    // The header fields removed for the client are logged.
    gateway.logs("req_provider").await;
}

const CHUNK: &str = "data: {\"id\":\"1\",  \"choices\":[{\"delta\":{\"content\":\"\u{e9}\"}}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\
    \"total_tokens\":18,\"prompt_tokens_details\":{\"cached_tokens\":4},\
    \"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// Starts a provider that streams [`CHUNK`], [`USAGE`] and [`DONE`] in pieces of `split` bytes.
async fn streaming(split: usize) -> Upstream {
    let stream = format!(": comment\n\n{CHUNK}{CHUNK}{USAGE}{DONE}").into_bytes();
    Upstream::start(move |mut turn| {
        let stream = stream.clone();
        async move {
            turn.read_body().await;
            turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
            for piece in stream.chunks(split) {
                turn.chunk(piece).await;
            }
            turn.chunk(b"").await;
            Some(turn)
        }
    })
    .await
}

#[tokio::test]
async fn usage_chunk_is_counted_and_removed_unless_the_client_requested_it() {
    for split in [3, 50, 100_000] {
        let upstream = streaming(split).await;
        let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
        for asks in [false, true] {
            let key = gateway.key().await;
            let mut body = Format::Chat.body("m", true);
            if asks {
                body["stream_options"] = json!({"include_usage": true});
            }
            let answer = gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(200);
            let usage = if asks { USAGE } else { "" };
            assert_eq!(answer.text(), format!(": comment\n\n{CHUNK}{CHUNK}{usage}{DONE}"), "{split} {asks}");
            let counted = gateway.counted(&key, 1).await;
            let expected = json!({"input": 7, "cached_input": 4, "cache_write": 0, "output": 5, "reasoning": 2});
            for (class, tokens) in expected.as_object().unwrap() {
                assert_eq!(&counted["tokens"][class], tokens, "{class}: {counted}");
            }
        }
    }
}

#[tokio::test]
async fn stream_with_a_length_is_framed_anew_when_it_is_shortened() {
    let stream = format!("{CHUNK}{USAGE}{DONE}");
    let upstream = Upstream::answering("200 OK\r\ncontent-type: text/event-stream", &stream).await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let answer = gateway.call(Call::json(CHAT, &Format::Chat.body("m", true)).key(&key)).await.expect(200);
    assert!(answer.whole);
    assert_eq!(answer.text(), format!("{CHUNK}{DONE}"));
}

#[tokio::test]
async fn streams_of_the_other_formats_pass_byte_for_byte() {
    let start = "event: odd\r\ndata:{\"type\":\"odd\",   \"x\":[1,2 ]}\r\n\r\n: ping\n\n";
    for (format, last) in [(Format::Responses, "response.completed"), (Format::Messages, "message_stop")] {
        let stream = format!("{start}event: {last}\ndata: {{}}\n\ndata: no end");
        let upstream = Upstream::answering("200 OK\r\ncontent-type: text/event-stream", stream.clone()).await;
        let gateway = Gateway::start(Setup::provider(format.kind(), upstream.address())).await;
        let key = gateway.key().await;
        let answer = gateway.call(Call::json(format.path(), &format.body("m", true)).key(&key)).await.expect(200);
        assert_eq!(answer.text(), stream, "{format:?}");
    }
}

#[tokio::test]
async fn event_of_megabytes_passes_whole_in_every_format() {
    let event = format!("data: {{\"choices\":[],\"x\":\"{}\"}}\n\n", "0123456789abcdef".repeat(300_000));
    for format in Format::ALL {
        let upstream = Upstream::answering("200 OK\r\ncontent-type: text/event-stream", event.repeat(2)).await;
        let gateway = Gateway::start(Setup::provider(format.kind(), upstream.address())).await;
        let key = gateway.key().await;
        let answer = gateway.call(Call::json(format.path(), &format.body("m", true)).key(&key)).await.expect(200);
        let (passed, added) = answer.body.split_at(event.len() * 2);
        assert_eq!(sha256(passed), sha256(event.repeat(2).as_bytes()));
        // The upstream ended before the last event of the format.
        assert!(added.len() < 2_000 && added.windows(7).any(|text| text == b"\"error\""), "{format:?}");
        assert_eq!(gateway.counted(&key, 1).await["unpriced_requests"], 1);
    }
}
