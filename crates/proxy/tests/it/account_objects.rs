//! Objects and errors of the operator's account, and the names of models, as clients and a provider see them.

use std::sync::Arc;

use access::{Clock, Ids, ProviderKey, ProviderKeyId, Secret, Timestamp, UserId};
use spool::Record;

use crate::gateway::Gateway;
use crate::raw::{ClientResponse, Conn, Raw, got};

const RESPONSES: &str = "/v1/responses";
const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

const RESPONSE: &str = r#"{"id":"resp_1","object":"response","model":"m-2026","output":[{"type":"message","id":"msg_1","content":[]}],"prompt_cache_key":"KEY","usage":{"input_tokens":1,"output_tokens":1}}"#;
const RESPONSE_EVENTS: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"model\":\"m-2026\"}}\n\nevent: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":\"msg_1\",\"delta\":\"a\"}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"model\":\"m-2026\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n";
const MESSAGE_EVENTS: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg\",\"model\":\"m-2026\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const CHUNKS: &str = "data: {\"id\":\"c\",\"model\":\"m-2026\",\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"model\":\"m-2026\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
const ERROR_EVENTS: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"error\":{\"message\":\"Rate limit reached in organization org-AbC123xyz\",\"code\":\"rate_limit_exceeded\"}}\n\n";

/// Starts a provider that notes the bodies of calls and their idempotency keys.
async fn provider() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while let Some(head) = conn.whole_head().await {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            tokio::io::AsyncReadExt::read_exact(&mut conn.stream, &mut body).await.unwrap();
            let body = String::from_utf8(body).unwrap();
            let is_stream = body.contains("\"stream\":true");
            let (kind, answer) = match head.split(' ').nth(1).unwrap_or_default() {
                _ if body.contains("fails") => ("text/event-stream", ERROR_EVENTS.to_owned()),
                RESPONSES if is_stream => ("text/event-stream", RESPONSE_EVENTS.to_owned()),
                RESPONSES => {
                    let key = body.split_once("\"prompt_cache_key\":\"").and_then(|(_, rest)| rest.split('"').next());
                    ("application/json", RESPONSE.replace("KEY", key.unwrap_or_default()))
                }
                MESSAGES => ("text/event-stream", MESSAGE_EVENTS.to_owned()),
                _ => ("text/event-stream", CHUNKS.to_owned()),
            };
            conn.note(&body);
            let length = answer.len();
            conn.say(format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{answer}"))
                .await;
        }
    })
    .await
}

fn before(raw: &Raw, more: &str) -> Gateway {
    Gateway::plain(&format!(
        "providers:\n  - {{name: far, kind: openai, base_url: \"http://{0}/v1\", credential: sk-far, formats: [responses, chat]{more}}}\n  \
         - {{name: claude, kind: anthropic, base_url: \"http://{0}\", credential: sk-claude}}\n\
         models:\n  - {{name: fast, targets: [{{provider: far, model: m}}]}}\n  \
         - {{name: think, targets: [{{provider: claude, model: c}}]}}\n",
        raw.address
    ))
}

/// Returns another user with each call.
fn user() -> UserId {
    UserId(Ids::new(Clock::manual(Timestamp(1))).next_uuid())
}

async fn post(gateway: &Gateway, path: &str, body: &str) -> ClientResponse {
    got(gateway.post(path, body.to_owned()).await).await
}

/// Returns the bodies that the provider received.
fn bodies(raw: &Raw) -> Vec<String> {
    raw.asked().into_iter().map(|(_, text)| text).filter(|text| text.starts_with('{')).collect()
}

/// Returns the string behind this key.
fn value<'a>(json: &'a str, key: &str) -> &'a str {
    json.split_once(&format!("\"{key}\":\"")).and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default()
}

#[tokio::test]
async fn a_user_continues_own_responses_on_every_node_and_no_other_user_does() {
    let raw = provider().await;
    let here = before(&raw, "");
    let elsewhere = before(&raw, "");
    let [ada, eve] = [user(), user()];
    for gateway in [&here, &elsewhere] {
        gateway.change(|principal| principal.user = ada);
    }
    let made = post(&here, RESPONSES, r#"{"model":"fast","input":"a"}"#).await.body;
    let response = value(&made, "id").to_owned();
    let item = made.split("\"id\":\"").nth(2).unwrap();
    let item = item.split('"').next().unwrap().to_owned();
    assert!(response.starts_with("resp_1-tgo-") && item.starts_with("msg_1-tgo-"), "{made}");
    let next = format!(
        r#"{{"model":"fast","previous_response_id":"{response}","input":[{{"type":"item_reference","id":"{item}"}}]}}"#
    );
    let expected = r#"{"model":"m","previous_response_id":"resp_1","input":[{"type":"item_reference","id":"msg_1"}]}"#;
    for gateway in [&here, &elsewhere] {
        assert_eq!(post(gateway, RESPONSES, &next).await.status, 200);
        assert_eq!(bodies(&raw).last().map(String::as_str), Some(expected));
    }
    let seen = bodies(&raw).len();
    elsewhere.change(|principal| principal.user = eve);
    let refused = post(&elsewhere, RESPONSES, &next).await;
    refused.is_refusal(404, "previous_response_not_found");
    assert!(refused.body.contains("\"param\":\"previous_response_id\""), "{}", refused.body);
    for id in ["resp_1", &response[..response.len() - 1], &format!("{response}{}", &response["resp_1".len()..])] {
        let body = format!(r#"{{"model":"fast","previous_response_id":"{id}","input":"a"}}"#);
        post(&here, RESPONSES, &body).await.is_refusal(404, "previous_response_not_found");
    }
    let file = r#"{"model":"think","max_tokens":9,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"file_1"}}]}]}"#;
    post(&here, MESSAGES, file).await.is_refusal(404, "not_found");
    let translated = r#"{"model":"far/m","max_tokens":9,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"file","file_id":"file_1"}}]}]}"#;
    assert!(post(&here, MESSAGES, translated).await.status.is_client_error());
    assert_eq!(bodies(&raw).len(), seen, "nothing was forwarded");
}

#[tokio::test]
async fn own_credentials_and_installations_with_one_tenant_name_any_object() {
    let raw = provider().await;
    let body = r#"{"model":"far/m","previous_response_id":"resp_9","input":"a","user":"u"}"#;
    let one_tenant = before(&raw, ", account_objects: any");
    assert!(post(&one_tenant, RESPONSES, body).await.body.contains("\"id\":\"resp_1\""));
    let gateway = before(&raw, "");
    post(&gateway, RESPONSES, body).await.is_refusal(404, "previous_response_not_found");
    let id = ProviderKeyId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
    let secret = Some(Secret::new("sk-own".to_owned()));
    let key = ProviderKey { id, provider: "far".into(), label: "own".into(), secret };
    gateway.change(|principal| principal.provider_keys.own = Arc::new([key]));
    assert!(post(&gateway, RESPONSES, body).await.body.contains("\"id\":\"resp_1\""));
    let expected = body.replace("far/m", "m");
    assert_eq!(bodies(&raw), [expected.clone(), expected]);
}

#[tokio::test]
async fn keys_of_the_account_differ_between_users_and_come_back_as_they_were_sent() {
    let raw = provider().await;
    let gateway = before(&raw, "");
    let body = r#"{"model":"fast","input":"a","store":false,"prompt_cache_key":"k"}"#;
    for user in [user(), user()] {
        gateway.change(|principal| principal.user = user);
        let answer = post(&gateway, RESPONSES, body).await.body;
        assert_eq!((value(&answer, "prompt_cache_key"), value(&answer, "id")), ("k", "resp_1"));
        let request = http::Request::post(CHAT).header("idempotency-key", "k");
        let chat = r#"{"model":"fast","stream":true,"messages":[]}"#.to_owned();
        assert_eq!(gateway.caller().send_request(request, chat).await.status(), 200);
    }
    let sent = bodies(&raw);
    let keys: Vec<&str> =
        sent.iter().map(|body| value(body, "prompt_cache_key")).filter(|key| !key.is_empty()).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1] && keys.iter().all(|key| key.ends_with("-k")), "{keys:?}");
    let heads: Vec<String> = raw.asked().into_iter().map(|(_, text)| text).collect();
    let keys: Vec<&str> =
        heads.iter().flat_map(|head| head.lines()).filter(|line| line.starts_with("idempotency-key: tg")).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1], "{keys:?}");
}

#[tokio::test]
async fn an_alias_is_the_name_of_the_model_in_every_response_and_the_row_has_the_providers() {
    let raw = provider().await;
    let mut gateway = before(&raw, "");
    let chat = |model: &str| format!(r#"{{"model":"{model}","stream":true,"messages":[]}}"#);
    let message = |model: &str| format!(r#"{{"model":"{model}","stream":true,"max_tokens":9,"messages":[]}}"#);
    let response = |model: &str| format!(r#"{{"model":"{model}","stream":true,"store":false,"input":"a"}}"#);
    for (path, body, expected) in [
        (CHAT, chat("fast"), CHUNKS.split_inclusive("\n\n").next().unwrap().to_owned() + "data: [DONE]\n\n"),
        (MESSAGES, message("think"), MESSAGE_EVENTS.to_owned()),
        (RESPONSES, response("fast"), RESPONSE_EVENTS.to_owned()),
    ] {
        let answer = gateway.post(path, body.clone()).await;
        let target = if path == MESSAGES { "claude/c" } else { "far/m" };
        assert_eq!(answer.headers()["x-tollgate-model"], target);
        let name = if path == MESSAGES { "think" } else { "fast" };
        assert_eq!(got(answer).await.body, expected.replace("m-2026", name), "{path}");
    }
    // The provider's own name stays, if the client knows it.
    let plain = gateway.post(CHAT, chat("far/m").replace("far/m", "m")).await;
    if plain.status() == 200 {
        assert!(!plain.headers().contains_key("x-tollgate-model"));
        assert!(got(plain).await.body.contains("m-2026"));
    }
    let records = gateway.stop().await;
    let events = records
        .iter()
        .filter_map(|record| if let Record::Close(event) | Record::Event(event) = record { Some(event) } else { None });
    let names: Vec<String> = events.filter_map(|event| event.attempts[0].model.as_deref().map(str::to_owned)).collect();
    assert!(names.iter().all(|name| name == "m" || name == "c"), "{names:?}");
}

#[tokio::test]
async fn an_error_event_shows_the_account_to_its_owner_only() {
    let raw = provider().await;
    let gateway = before(&raw, "");
    let body =
        r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"fails"}]}"#.replace("\"m\"", "\"far/m\"");
    let hidden = post(&gateway, CHAT, &body).await.body;
    assert!(hidden.contains("rate_limit_exceeded") && !hidden.contains("org-"), "{hidden}");
    let id = ProviderKeyId(Ids::new(Clock::manual(Timestamp(1))).next_uuid());
    let secret = Some(Secret::new("sk-own".to_owned()));
    let key = ProviderKey { id, provider: "far".into(), label: "own".into(), secret };
    gateway.change(|principal| principal.provider_keys.own = Arc::new([key]));
    assert!(post(&gateway, CHAT, &body).await.body.contains("org-AbC123xyz"));
}

#[tokio::test]
async fn a_form_has_the_prefix_of_its_user_and_names_no_object_of_the_account() {
    let raw = provider().await;
    let gateway = before(&raw, "");
    let form = |name: &str, content: &str| {
        let part = |name: &str, content: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{content}\r\n")
        };
        format!("{}{}--b--\r\n", part("model", "far/m"), part(name, content))
    };
    let send = async |body: String| {
        let request = http::Request::post("/v1/images/edits").header("content-type", "multipart/form-data; boundary=b");
        gateway.caller().send_request(request, body).await.status().as_u16()
    };
    for user in [user(), user()] {
        gateway.change(|principal| principal.user = user);
        assert_eq!(send(form("user", "ada")).await, 200);
    }
    let received = || raw.asked().into_iter().map(|(_, text)| text).filter(|text| text.starts_with("--b"));
    let users: Vec<String> = received().filter_map(|body| Some(body.rsplit_once("\r\n\r\n")?.1.to_owned())).collect();
    assert!(users.len() == 2 && users[0] != users[1], "{users:?}");
    assert!(users.iter().all(|sent| sent.starts_with("tg") && sent.ends_with("-ada\r\n--b--\r\n")), "{users:?}");
    assert_eq!(send(form("file_id", "file-1")).await, 404);
    assert_eq!(received().count(), 2, "nothing is sent");
}

#[tokio::test]
async fn a_single_error_in_place_of_an_array_of_gemini_names_no_account() {
    const ERROR: &str =
        r#"{"error":{"code":429,"message":"Quota exceeded for project_number:123456","status":"RESOURCE_EXHAUSTED"}}"#;
    let raw = Raw::start(|mut conn: Conn| async move {
        while conn.body().await.is_some() {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
            conn.say(format!("{head}\r\ncontent-length: {}\r\n\r\n{ERROR}", ERROR.len())).await;
        }
    })
    .await;
    let yaml =
        format!("providers: [{{name: google, kind: gemini, base_url: \"http://{}\", credential: c}}]\n", raw.address);
    let gateway = Gateway::plain(&yaml);
    for method in ["streamGenerateContent", "generateContent"] {
        let path = format!("/v1beta/models/google/m:{method}");
        let answer = post(&gateway, &path, r#"{"contents":[{"parts":[{"text":"a"}]}]}"#).await;
        assert!(answer.body.contains("\"error\"") && !answer.body.contains("123456"), "{method}: {}", answer.body);
        assert!(answer.body.trim_end().ends_with("}}"), "{method}: {}", answer.body);
    }
}
