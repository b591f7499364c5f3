//! Vertex AI as it receives calls, and the access tokens of its service accounts.

use std::sync::{Arc, LazyLock};

use access::{Clock, Ids, ProviderKey, ProviderKeyId, Secret, Timestamp};
use base64ct::{Base64, Encoding};
use http_body_util::BodyExt;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData as _};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const EMAIL: &str = "gateway@p.iam.gserviceaccount.com";
const GRANTED: &str = r#"{"access_token":"ya29.t0ken","expires_in":3599,"token_type":"Bearer"}"#;

const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}"#;
const MESSAGE: &str = r#"{"id":"msg","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}"#;
const GENERATED: &str = r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2}}"#;

const NOT_FOUND: &str = r#"{"error":{"code":404,"status":"NOT_FOUND","message":"Publisher Model `projects/p-secret/locations/l` was not found"}}"#;

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap());

/// What the endpoint for tokens does.
#[derive(Debug, Clone, Copy)]
enum Token {
    Says(u16, &'static str),
    Closes,
}

/// Starts Vertex AI with its endpoint for tokens. It notes the head in lowercase and then the body of each request.
async fn vertex(token: Token) -> Raw {
    Raw::start(move |mut conn: Conn| async move {
        while let Some(head) = conn.whole_head().await {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            conn.stream.read_exact(&mut body).await.unwrap();
            conn.note(&String::from_utf8(body).unwrap());
            let (status, answer) = if head.starts_with("post /token ") {
                match token {
                    Token::Says(status, answer) => (status, answer),
                    Token::Closes => return,
                }
            } else if head.contains("gemini-none") {
                (404, NOT_FOUND)
            } else if head.contains("/publishers/google/") {
                (200, GENERATED)
            } else if head.contains("/publishers/anthropic/") {
                (200, MESSAGE)
            } else {
                (200, COMPLETION)
            };
            let length = answer.len();
            let fields = format!("content-type: application/json\r\ncontent-length: {length}\r\n");
            conn.say(format!("HTTP/1.1 {status} X\r\n{fields}\r\n{answer}")).await;
        }
    })
    .await
}

/// Returns the file of a service account whose endpoint for tokens is at `raw`.
fn account(raw: &Raw) -> String {
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n",
        Base64::encode_string(&KEY.serialize_der())
    );
    format!(
        "{{\n  \"type\": \"service_account\",\n  \"private_key_id\": \"k1\",\n  \"private_key\": \"{key}\",\n  \
         \"client_email\": \"{EMAIL}\",\n  \"token_uri\": \"http://{}/token\"\n}}\n",
        raw.address
    )
}

/// Starts a gateway before Vertex AI, with another provider behind it in `smart`.
fn before(raw: &Raw, other: &Raw) -> (Gateway, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sa.json");
    std::fs::write(&file, account(raw)).unwrap();
    let gateway = Gateway::plain(&format!(
        "providers:\n  - {{name: gcp, kind: vertex, project: p, location: europe-west4, base_url: \"http://{}\", credential: \"file:{}\"}}\n  \
         - {{name: other, kind: openai, base_url: \"http://{}/v1\", credential: sk-other}}\n\
         models: [{{name: smart, targets: [{{provider: gcp, model: gemini-2.5-flash}}, {{provider: other, model: m}}]}}]\n",
        raw.address,
        file.display(),
        other.address,
    ));
    (gateway, folder)
}

/// Calls a model, and returns the status and the body of the response.
async fn call(gateway: &Gateway, path: &str, model: &str) -> (u16, String) {
    let body =
        format!("{{\"model\":\"{model}\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"é\"}}]}}");
    post(gateway, path, body).await
}

async fn post(gateway: &Gateway, path: &str, body: String) -> (u16, String) {
    let answer = gateway.post(path, body).await;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// Replaces the user's own credential.
fn own(gateway: &Gateway, json: String) {
    let id = ProviderKeyId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
    let secret = Some(Secret::new(json));
    let key = ProviderKey { id, provider: "gcp".into(), label: "own".into(), secret };
    gateway.change(|principal| principal.provider_keys.own = Arc::new([key]));
}

/// Returns the heads that begin with this request line, with their bodies.
fn received(raw: &Raw, line: &str) -> Vec<(String, String)> {
    let noted: Vec<String> = raw.asked().into_iter().map(|(_, text)| text).collect();
    noted.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).filter(|(head, _)| head.starts_with(line)).collect()
}

#[tokio::test]
async fn each_publisher_gets_its_path_and_format_with_one_access_token_for_all_calls() {
    let raw = vertex(Token::Says(200, GRANTED)).await;
    let (gateway, _folder) = before(&raw, &raw);
    let google = |verb: &str| format!("/publishers/google/models/gemini-2.5-flash:{verb}");
    let claude = |verb: &str| format!("/publishers/anthropic/models/claude-haiku-4-5@20251001:{verb}");
    let openai = "/endpoints/openapi/chat/completions".to_owned();
    let generate = r#"{"contents":[{"role":"user","parts":[{"text":"é"}]}]}"#;
    for (path, target) in [
        ("/v1beta/models/gcp/gemini-2.5-flash:generateContent", google("generatecontent")),
        (
            "/v1beta/models/gcp/gemini-2.5-flash:streamGenerateContent?alt=sse&fields=x",
            google("streamgeneratecontent?alt=sse"),
        ),
        ("/v1beta/models/gcp/gemini-2.5-flash:countTokens", google("counttokens")),
        ("/v1beta/models/gcp/claude-haiku-4-5@20251001:generateContent", claude("rawpredict")),
    ] {
        check(&raw, &gateway, Sent { path, body: generate.to_owned() }, &target).await;
    }
    let streamed = r#"{"stream":true,"model":"gcp/claude-haiku-4-5@20251001","messages":[]}"#.to_owned();
    let sent = check(&raw, &gateway, Sent { path: MESSAGES, body: streamed }, &claude("streamrawpredict")).await;
    assert_eq!(sent, r#"{"anthropic_version":"vertex-2023-10-16","stream":true,"messages":[]}"#);
    for (path, model, target, part) in [
        (
            MESSAGES,
            "claude-haiku-4-5@20251001",
            claude("rawpredict"),
            r#"{"anthropic_version":"vertex-2023-10-16","max_tokens":9,"#,
        ),
        (CHAT, "claude-haiku-4-5@20251001", claude("rawpredict"), r#""anthropic_version":"vertex-2023-10-16""#),
        (MESSAGES, "gemini-2.5-flash", google("generatecontent"), r#""contents":[{"role":"user""#),
        (CHAT, "google/gemini-2.5-flash", openai.clone(), r#"{"model":"google/gemini-2.5-flash","#),
        (MESSAGES, "meta/llama-4", openai, r#""model":"meta/llama-4""#),
        (
            "/v1/messages/count_tokens",
            "claude-haiku-4-5@20251001",
            "/publishers/anthropic/models/count-tokens:rawpredict".to_owned(),
            r#"{"model":"claude-haiku-4-5@20251001","#,
        ),
    ] {
        let body = format!(
            "{{\"model\":\"gcp/{model}\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"é\"}}]}}"
        );
        let sent = check(&raw, &gateway, Sent { path, body }, &target).await;
        assert!(sent.contains(part), "{path} {model}: {sent}");
    }
    let (status, refused) = call(&gateway, MESSAGES, "gcp/..").await;
    assert!(status == 400 && refused.contains("model"), "{refused}");

    let exchanges = received(&raw, "post /token ");
    let [(head, form)] = &exchanges[..] else { panic!("{exchanges:?}") };
    assert!(head.contains("content-type: application/x-www-form-urlencoded"), "{head}");
    let prefix = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    let (message, signature) = form.strip_prefix(prefix).unwrap().rsplit_once('.').unwrap();
    let _ = crypto::aws_lc::DEFAULT_PROVIDER.install_default();
    let public = DecodingKey::from_rsa_der(KEY.der_bytes());
    assert!(crypto::verify(signature, message.as_bytes(), &public, Algorithm::RS256).unwrap());
}

/// A call of a client.
struct Sent<'a> {
    path: &'a str,
    body: String,
}

/// Sends a call, and checks its target and credential. Returns the body that Vertex AI received.
async fn check(raw: &Raw, gateway: &Gateway, sent: Sent<'_>, target: &str) -> String {
    let Sent { path, body } = sent;
    let before = received(raw, "post /v1/").len();
    let (status, said) = post(gateway, path, body).await;
    assert_eq!(status, 200, "{path}: {said}");
    let (head, sent) = received(raw, "post /v1/").split_off(before).remove(0);
    let expected = format!("post /v1/projects/p/locations/europe-west4{target} http/1.1");
    assert_eq!(head.lines().next(), Some(expected.as_str()));
    assert!(head.contains("\r\nauthorization: bearer ya29.t0ken\r\n") && !head.contains("x-goog-api-key"), "{head}");
    sent
}

#[tokio::test]
async fn an_account_without_a_token_is_an_unreachable_provider_and_nothing_of_it_is_shown() {
    const REFUSED: &str = r#"{"error":"invalid_grant","error_description":"no gateway@p.iam.gserviceaccount.com"}"#;
    for token in [Token::Says(400, REFUSED), Token::Says(503, "busy"), Token::Says(200, "{}"), Token::Closes] {
        let raw = vertex(token).await;
        let other = vertex(Token::Closes).await;
        let (gateway, _folder) = before(&raw, &other);
        let (status, said) = call(&gateway, CHAT, "smart").await;
        assert_eq!(status, 200, "{token:?}: {said}");
        assert_eq!(received(&other, "post /v1/chat/completions ").len(), 1, "{token:?}");
        let (status, said) = call(&gateway, CHAT, "gcp/gemini-2.5-flash").await;
        assert!(status == 502 && said.contains("upstream_connect") && said.contains("tell the operator"), "{said}");
        assert!(!said.contains("gserviceaccount") && !said.contains("PRIVATE"), "{token:?}: {said}");
        assert!(received(&raw, "post /v1/").is_empty(), "{token:?}: nothing is sent without a token");
    }
}

#[tokio::test]
async fn the_own_account_of_a_user_asks_no_other_endpoint_than_googles_and_the_operators() {
    let raw = vertex(Token::Says(200, GRANTED)).await;
    let other = vertex(Token::Says(200, GRANTED)).await;
    let (gateway, _folder) = before(&raw, &other);
    own(&gateway, account(&other));
    let (status, said) = call(&gateway, CHAT, "gcp/gemini-2.5-flash").await;
    assert!(status == 403 && said.contains("token_uri"), "{said}");
    assert!(other.asked().is_empty() && raw.asked().is_empty(), "nothing is sent");
    let (status, said) = call(&gateway, CHAT, "smart").await;
    assert_eq!(status, 200, "as a refused credential: {said}");
    own(&gateway, "sk-no-account".to_owned());
    let (status, said) = call(&gateway, CHAT, "gcp/gemini-2.5-flash").await;
    assert!(status == 403 && !said.contains("sk-no"), "{said}");
    own(&gateway, account(&raw).replace("\"k1\"", "\"k2\""));
    let (status, said) = call(&gateway, CHAT, "gcp/gemini-2.5-flash").await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(received(&raw, "post /token ").len(), 1);
}

#[tokio::test]
async fn only_the_own_account_of_a_user_reads_data_of_the_project() {
    let raw = vertex(Token::Says(200, GRANTED)).await;
    let (gateway, _folder) = before(&raw, &raw);
    let parts =
        r#"[{"role":"user","parts":[{"fileData":{"mimeType":"application/pdf","fileUri":"gs://private/x.pdf"}}]}]"#;
    let chat = r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"gs://private/x.png"}}]}]"#;
    let large = "é".repeat(300_000);
    let calls = [
        ("generateContent", format!(r#"{{"contents":{parts}}}"#)),
        ("generateContent", format!(r#"{{"x":"{large}","contents":{parts}}}"#)),
        ("countTokens", format!(r#"{{"contents":{parts}}}"#)),
        ("generateContent", r#"{"contents":[],"cachedContent":"projects/p/locations/l/cachedContents/1"}"#.to_owned()),
        (
            "generateContent",
            r#"{"contents":[],"tools":[{"retrieval":{"vertexAiSearch":{"datastore":"d"}}}]}"#.to_owned(),
        ),
        ("", format!(r#"{{"model":"gcp/google/gemini-2.5-flash","max_tokens":9,"messages":{chat}}}"#)),
    ];
    let path = |verb: &str| match verb {
        "" => CHAT.to_owned(),
        verb => format!("/v1beta/models/gcp/gemini-2.5-flash:{verb}"),
    };
    for (verb, body) in &calls {
        let (status, said) = post(&gateway, &path(verb), body.clone()).await;
        assert!(status == 400 && said.contains("own service account"), "{verb} {body:.200}: {status} {said}");
    }
    assert!(raw.asked().is_empty(), "nothing is sent");
    own(&gateway, account(&raw).replace("\"k1\"", "\"k2\""));
    for (verb, body) in &calls {
        let (status, said) = post(&gateway, &path(verb), body.clone()).await;
        assert_eq!(status, 200, "{verb} {body:.200}: {said}");
    }
}

#[tokio::test]
async fn an_unknown_model_does_not_show_the_project_of_the_operators_account() {
    let raw = vertex(Token::Says(200, GRANTED)).await;
    let (gateway, _folder) = before(&raw, &raw);
    let path = "/v1beta/models/gcp/gemini-none:generateContent";
    let body = r#"{"contents":[]}"#.to_owned();
    let (status, said) = post(&gateway, path, body.clone()).await;
    assert!(
        status == 404 && said.contains("does not have this model") && !said.contains("p-secret"),
        "{status} {said}"
    );
    own(&gateway, account(&raw).replace("\"k1\"", "\"k2\""));
    assert_eq!(post(&gateway, path, body).await, (404, NOT_FOUND.to_owned()));
}

#[tokio::test]
async fn a_shared_account_of_the_vault_asks_no_other_endpoint_than_googles() {
    let raw = vertex(Token::Says(200, GRANTED)).await;
    let gateway = Gateway::plain(&format!(
        "providers: [{{name: gcp, kind: vertex, project: p, base_url: \"http://{}\", credential: vault}}]\n",
        raw.address
    ));
    let id = ProviderKeyId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
    let key = ProviderKey { id, provider: "gcp".into(), label: "all".into(), secret: Some(Secret::new(account(&raw))) };
    gateway.change(|principal| principal.provider_keys.shared = Arc::new([key]));
    let (status, said) = call(&gateway, CHAT, "gcp/gemini-2.5-flash").await;
    assert!(status == 502 && said.contains("tell the operator"), "{status} {said}");
    assert!(raw.asked().is_empty(), "nothing is sent");
}
