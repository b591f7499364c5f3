//! Calls of the Responses API that name responses and items of models in another format.

use crate::gateway::Gateway;
use crate::raw::{ClientResponse, Conn, Raw, got};

const RESPONSES: &str = "/v1/responses";
const BODY: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"first words"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
const CHUNKS: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"first words\"}}]}\n\ndata: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";

/// Starts a provider of Chat Completions that notes the bodies of calls.
async fn provider() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while let Some(body) = conn.body().await {
            let is_stream = body.contains("\"stream\":true");
            conn.note(&body);
            let (kind, answer) = if is_stream { ("text/event-stream", CHUNKS) } else { ("application/json", BODY) };
            let length = answer.len();
            conn.say(format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{answer}"))
                .await;
        }
    })
    .await
}

fn gateway(raw: &Raw) -> Gateway {
    let yaml = format!(
        "providers: [{{name: far, kind: openai, base_url: \"http://{}/v1\", credential: k, formats: [chat]}}]\n",
        raw.address
    );
    Gateway::plain(&yaml)
}

async fn post(gateway: &Gateway, body: &str) -> ClientResponse {
    got(gateway.post(RESPONSES, body.to_owned()).await).await
}

/// Returns the id with this prefix.
fn id(body: &str, prefix: &str) -> String {
    let (_, rest) = body.split_once(&format!("\"id\":\"{prefix}_")).unwrap_or_else(|| panic!("no {prefix}: {body}"));
    format!("{prefix}_{}", rest.split('"').next().unwrap())
}

fn last(raw: &Raw) -> String {
    raw.asked().pop().unwrap().1
}

#[tokio::test]
async fn a_call_names_items_and_responses_of_a_translated_model() {
    let raw = provider().await;
    let gateway = gateway(&raw);
    for stream in ["", ",\"stream\":true"] {
        let made = post(&gateway, &format!(r#"{{"model":"far/m","input":"the question"{stream}}}"#)).await.body;
        let response = id(&made, "resp");
        let message = id(&made, "msg");
        let items = format!(
            r#"{{"model":"far/m","input":[{{"role":"user","content":"the question"}},{{"type":"item_reference","id":"{message}"}},{{"role":"user","content":"go on"}}]}}"#
        );
        let chain = format!(r#"{{"model":"far/m","previous_response_id":"{response}","input":"go on"}}"#);
        for body in [items, chain] {
            let answer = post(&gateway, &body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let sent = last(&raw);
            for text in ["the question", "first words", "go on"] {
                assert_eq!(sent.matches(text).count(), 1, "{text}: {sent}");
            }
            // A response that continues another one is continued with both.
            let next = format!(
                r#"{{"model":"far/m","previous_response_id":"{}","input":"and on"}}"#,
                id(&answer.body, "resp")
            );
            assert_eq!(post(&gateway, &next).await.status, 200);
            let sent = last(&raw);
            assert!(sent.contains("the question") && sent.matches("first words").count() == 2, "{sent}");
        }
    }
}

#[tokio::test]
async fn references_to_what_is_unknown_are_refused_with_advice() {
    let raw = provider().await;
    let gateway = gateway(&raw);
    let made = post(&gateway, r#"{"model":"far/m","input":"a"}"#).await.body;
    let unstored = post(&gateway, r#"{"model":"far/m","input":"a","store":false}"#).await.body;
    let seen = raw.asked().len();
    let item = |id: &str| format!(r#"{{"model":"far/m","input":[{{"type":"item_reference","id":"{id}"}}]}}"#);
    let chain = |id: &str| format!(r#"{{"model":"far/m","previous_response_id":"{id}","input":"b"}}"#);
    let unknown = [item(&id(&unstored, "msg")), chain(&id(&unstored, "resp")), item("msg_1"), chain("resp_1")];
    for body in &unknown {
        let refused = post(&gateway, body).await;
        refused.is_refusal(400, "format_mismatch");
        assert!(refused.body.contains("store: false"), "{}", refused.body);
    }
    let many = vec![format!(r#"{{"type":"item_reference","id":"{}"}}"#, id(&made, "msg")); 10_000].join(",");
    post(&gateway, &format!(r#"{{"model":"far/m","input":[{many}]}}"#)).await.is_refusal(400, "format_mismatch");
    // The ids belong to the key.
    let body = item(&id(&made, "msg"));
    gateway.change(|principal| principal.key_no = access::KeyNo(principal.key_no.0 + 1));
    post(&gateway, &body).await.is_refusal(400, "format_mismatch");
    assert_eq!(raw.asked().len(), seen, "nothing was forwarded");
}
