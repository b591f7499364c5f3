//! The paths and credentials of calls to Azure and Bedrock, as these servers receive them.

use access::{Day, Secret, Timestamp};
use ai::hosts::sigv4::{AwsCredential, SignedParts, body_hash};
use tokio::io::AsyncReadExt;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw, got};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}"#;
const RESPONSE: &str = r#"{"id":"r","object":"response","status":"completed","model":"m","output":[]}"#;

/// A provider that notes the head in lowercase and then the body of each request.
async fn provider() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while let Some(head) = conn.whole_head().await {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            conn.stream.read_exact(&mut body).await.unwrap();
            conn.note(&String::from_utf8(body).unwrap());
            let answer = if head.starts_with("post /openai/v1/responses ") { RESPONSE } else { COMPLETION };
            let length = answer.len();
            conn.say(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{answer}"
            ))
            .await;
        }
    })
    .await
}

/// Sends a call, and returns the head in lowercase and the body that the provider received.
async fn sent(raw: &Raw, gateway: &Gateway, path: &str, model: &str) -> (String, String) {
    let before = raw.asked().len();
    let call =
        format!("{{\"model\":\"{model}\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"é\"}}]}}");
    let answer = gateway.post(path, call).await;
    assert_eq!(answer.status(), 200, "{path} {model}");
    got(answer).await;
    let mut asked = raw.asked().split_off(before).into_iter().map(|(_, text)| text);
    (asked.next().unwrap(), asked.next().unwrap())
}

/// Returns the value of a field of a head in lowercase; the empty text without it.
fn value<'h>(head: &'h str, name: &str) -> &'h str {
    let field = head.lines().find_map(|line| line.split_once(": ").filter(|(field, _)| *field == name));
    field.map_or("", |(_, value)| value)
}

#[tokio::test]
async fn azure_gets_its_paths_and_the_header_of_its_keys() {
    let raw = provider().await;
    let azure = |name: &str, version: &str| {
        format!(
            "{{name: {name}, kind: azure_openai, base_url: \"http://{}\", api_version: {version}, credential: sk-azure}}",
            raw.address
        )
    };
    let gateway = Gateway::plain(&format!("providers: [{}, {}]", azure("new", "v1"), azure("dated", "2024-10-21")));
    let deployed = "/openai/deployments/my%20model/chat/completions?api-version=2024-10-21";
    for (path, model, target) in [
        (CHAT, "new/my model", "/openai/v1/chat/completions"),
        ("/v1/chat/completions?api-version=2023-01-01", "new/m", "/openai/v1/chat/completions"),
        (CHAT, "dated/my model", deployed),
        // It has no Responses, and no Messages: they are translated.
        (MESSAGES, "dated/my model", deployed),
        (MESSAGES, "new/m", "/openai/v1/responses"),
    ] {
        let (head, body) = sent(&raw, &gateway, path, model).await;
        assert_eq!(head.lines().next(), Some(format!("post {} http/1.1", target.to_lowercase()).as_str()));
        assert_eq!((value(&head, "api-key"), value(&head, "authorization")), ("sk-azure", ""), "{head}");
        assert!(body.contains(model.split_once('/').unwrap().1), "{body}");
    }
    let refused = gateway.post(CHAT, "{\"model\":\"dated/..\",\"messages\":[]}").await;
    assert_eq!(refused.status(), 400, "a deployment that a reader of the path would resolve");
}

#[tokio::test]
async fn bedrock_gets_a_signature_of_each_call_or_a_bearer_key() {
    let raw = provider().await;
    let bedrock = |name: &str, credential: &str| {
        format!(
            "{{name: {name}, kind: bedrock, region: eu-west-1, base_url: \"http://{}/vpc\", {credential}}}",
            raw.address
        )
    };
    let keys = "aws: {access_key_id: akid, secret_access_key: s3cret, session_token: t0ken}";
    let providers = [bedrock("signed", keys), bedrock("bearer", "credential: sk-bedrock")].join(", ");
    let gateway = Gateway::plain(&format!("providers: [{providers}]"));
    for (path, target) in [(MESSAGES, "/vpc/anthropic/v1/messages"), (CHAT, "/vpc/openai/v1/chat/completions")] {
        let (head, body) = sent(&raw, &gateway, path, "signed/m").await;
        assert_eq!(head.lines().next(), Some(format!("post {target} http/1.1").as_str()));
        let secret = |text: &str| Secret::new(text.to_owned());
        let credential = AwsCredential {
            access_key_id: secret("akid"),
            secret_access_key: secret("s3cret"),
            session_token: Some(secret("t0ken")),
            region: "eu-west-1".into(),
            service: "bedrock-mantle",
        };
        let host = raw.address.to_string();
        let parts = SignedParts { host: &host, path: target, body_hash: &body_hash(&[body]) };
        let expected = credential.sign(parts, time(value(&head, "x-amz-date")));
        assert_eq!(value(&head, "authorization"), expected.authorization.expose().to_lowercase(), "{head}");
        assert_eq!(value(&head, "x-amz-security-token"), "t0ken");
    }
    let (head, _) = sent(&raw, &gateway, MESSAGES, "bearer/m").await;
    assert_eq!((value(&head, "authorization"), value(&head, "x-amz-date")), ("bearer sk-bedrock", ""), "{head}");
}

#[tokio::test]
async fn bedrocks_runtime_gets_the_model_in_a_signed_path_and_the_version_in_the_body() {
    let raw = provider().await;
    let runtime = format!(
        "{{name: aws, kind: bedrock, region: eu-west-1, endpoint: runtime, account_objects: any, base_url: \"http://{}/vpc\", \
           aws: {{access_key_id: akid, secret_access_key: s3cret}}}}",
        raw.address
    );
    let gateway = Gateway::plain(&format!("providers: [{runtime}]"));
    for (model, encoded) in [
        ("eu.anthropic.claude-haiku-4-5-v1:0", "eu.anthropic.claude-haiku-4-5-v1%3A0"),
        (
            "arn:aws:bedrock:eu-west-1:1:inference-profile/claude",
            "arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fclaude",
        ),
    ] {
        let (head, body) = sent(&raw, &gateway, MESSAGES, &format!("aws/{model}")).await;
        let target = format!("/vpc/model/{encoded}/invoke");
        assert_eq!(head.lines().next(), Some(format!("post {} http/1.1", target.to_lowercase()).as_str()));
        let messages = "\"messages\":[{\"role\":\"user\",\"content\":\"é\"}]";
        let expected = format!("{{\"anthropic_version\":\"bedrock-2023-05-31\",\"max_tokens\":9,{messages}}}");
        assert_eq!(body, expected);
        let secret = |text: &str| Secret::new(text.to_owned());
        let credential = AwsCredential {
            access_key_id: secret("akid"),
            secret_access_key: secret("s3cret"),
            session_token: None,
            region: "eu-west-1".into(),
            service: "bedrock",
        };
        let host = raw.address.to_string();
        let parts = SignedParts { host: &host, path: &target, body_hash: &body_hash(&[body]) };
        let expected = credential.sign(parts, time(value(&head, "x-amz-date")));
        assert_eq!(value(&head, "authorization"), expected.authorization.expose().to_lowercase(), "{head}");
    }
}

/// Returns the time of `X-Amz-Date`, in lowercase: `20261129t235959z`.
fn time(date: &str) -> Timestamp {
    let part = |at: std::ops::Range<usize>| &date[at];
    let day = Day::parse(&format!("{}-{}-{}", part(0..4), part(4..6), part(6..8))).unwrap();
    let number = |at| part(at).parse::<u64>().unwrap();
    let seconds = number(9..11) * 3_600 + number(11..13) * 60 + number(13..15);
    Timestamp(day.start().0 + seconds * 1_000_000)
}
