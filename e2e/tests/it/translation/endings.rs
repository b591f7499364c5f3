//! The end of a translated response whose provider reports an error after status 200, keeps its connection open, or resets it.

use std::sync::Arc;

use e2e::{Gateway, Mock, Setup, Upstream, eventually};
use serde_json::json;

use super::failures::{check_error, stream_error};
use super::{ask, name, text_of};
use crate::bodies::Format;
use crate::store;

const HEAD: &str = "200 OK\r\ncontent-type: text/event-stream";
const HI: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n";
const STOP: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\ndata: [DONE]\n\n";

/// How a provider ends its connection after the bytes of a stream.
#[derive(Debug, Clone, Copy)]
enum After {
    /// With the end of the content, some time after its last byte.
    End,
    /// Without the end of the content.
    Close,
    /// It does not end.
    Open,
}

/// Starts a provider that sends these chunks to each call.
async fn streaming(chunks: Vec<String>, after: After) -> Upstream {
    let chunks = Arc::new(chunks);
    Upstream::start(move |mut turn| {
        let chunks = Arc::clone(&chunks);
        async move {
            turn.read_body().await;
            turn.stream(HEAD).await;
            for chunk in chunks.iter() {
                turn.chunk(chunk.as_bytes()).await;
            }
            if matches!(after, After::End) {
                turn.chunk(b"").await;
            }
            (!matches!(after, After::Close)).then_some(turn)
        }
    })
    .await
}

/// Returns a provider of this name with one format.
fn provider(name: &str, upstream: &Upstream, format: &str, more: &str) -> String {
    format!("{{name: {name}, kind: mock, base_url: \"http://{}\", formats: [{format}]{more}}}", upstream.address())
}

#[tokio::test]
async fn a_complete_stream_ends_though_its_provider_resets_its_connection_or_keeps_it_open() {
    let chunks = || vec![HI.to_owned(), STOP.to_owned()];
    let closing = streaming(chunks(), After::Close).await;
    let open = streaming(chunks(), After::Open).await;
    let providers = [provider("closing", &closing, "chat", ""), provider("open", &open, "chat", "")].join(", ");
    let gateway = Gateway::start(Setup::new().section("providers", &format!("[{providers}]"))).await;
    let key = gateway.key().await;
    for client in [Format::Messages, Format::Responses] {
        for model in ["closing/m", "open/m"] {
            for stream in [true, false] {
                let answer = ask(&gateway, &key, client, &client.body(model, stream)).await.expect(200);
                assert!(answer.whole, "{client:?} {model}: {}", answer.text());
                assert_eq!(text_of(client, &answer), "hi", "{client:?} {model}");
                let row = store::row(gateway.folder(), &answer).await;
                assert_eq!((&row["outcome"], &row["output"]), (&json!("completed"), &json!(2)), "{row}");
            }
        }
    }
    gateway.at_rest().await;
}

#[tokio::test]
async fn the_connection_of_a_complete_stream_is_used_again() {
    let upstream = streaming(vec![HI.to_owned(), STOP.to_owned()], After::End).await;
    let setup = Setup::new().section("providers", &format!("[{}]", provider("up", &upstream, "chat", "")));
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    eventually("a call uses the connection of an earlier one", async || {
        let opened = upstream.opened();
        ask(&gateway, &key, Format::Messages, &Format::Messages.body("up/m", true)).await.expect(200);
        (opened > 0 && upstream.opened() == opened).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_reset_has_the_code_and_the_status_of_that() {
    let long = "x".repeat(200_000);
    let half = format!("data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{long}");
    let between = streaming(vec![HI.to_owned()], After::Close).await;
    let within = streaming(vec![HI.to_owned(), half], After::Close).await;
    let ended = streaming(vec![HI.to_owned()], After::End).await;
    let providers = [("between", &between), ("within", &within), ("ended", &ended)];
    let providers = providers.map(|(name, upstream)| provider(name, upstream, "chat", "")).join(", ");
    let gateway = Gateway::start(Setup::new().section("providers", &format!("[{providers}]"))).await;
    let key = gateway.key().await;
    for model in ["between/m", "within/m", "ended/m"] {
        let answer = ask(&gateway, &key, Format::Messages, &Format::Messages.body(model, true)).await.expect(200);
        let error = stream_error(Format::Messages, &answer).unwrap();
        assert!(answer.whole && error["error"]["code"] == "upstream_reset", "{model}: {error}");
        let answer = ask(&gateway, &key, Format::Messages, &Format::Messages.body(model, false)).await.expect(502);
        assert_eq!(answer.json()["error"]["code"], "upstream_reset", "{model}");
        let row = store::row(gateway.folder(), &answer).await;
        assert_eq!((&row["status"], &row["outcome"]), (&json!(502), &json!("upstream_cut")), "{model}: {row}");
    }
}

#[tokio::test]
async fn an_error_about_the_operators_account_after_status_200_is_of_the_gateway() {
    const JSON: &str = "200 OK\r\ncontent-type: application/json";
    let quota = r#"{"code":"insufficient_quota","type":"insufficient_quota","message":"No money in org-OPERATOR."}"#;
    let credential =
        r#"{"code":"invalid_api_key","type":"invalid_request_error","message":"Wrong key of org-OPERATOR."}"#;
    let failed = |error: &str| {
        let created = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n";
        let delta = "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}\n\n";
        vec![format!("{created}{delta}data: {{\"type\":\"response.failed\",\"response\":{{\"error\":{error}}}}}\n\n")]
    };
    for error in [quota, credential] {
        let whole = Upstream::answering(JSON, format!("{{\"error\":{error}}}")).await;
        let streamed = streaming(failed(error), After::End).await;
        let shared = ", credential: sk-1";
        let providers = [
            provider("whole", &whole, "chat", shared),
            provider("streamed", &streamed, "responses", shared),
            provider("open", &whole, "chat", ""),
        ];
        let models = "[{name: both, sticky: off, targets: [{provider: whole, model: m}, {provider: whole, model: n}]}]";
        let setup = Setup::new().section("providers", &format!("[{}]", providers.join(", ")));
        let gateway = Gateway::start(setup.section("models", models)).await;
        let key = gateway.key().await;
        // The targets of `both` are left out after that.
        for (model, stream) in [("whole/m", false), ("whole/m", true), ("both", true)] {
            let answer = ask(&gateway, &key, Format::Messages, &Format::Messages.body(model, stream)).await.expect(502);
            assert!(!answer.text().contains("OPERATOR"), "{}", answer.text());
            assert_eq!(answer.json()["error"]["code"], "upstream_protocol");
            check_error(Format::Messages, &answer.json(), model);
        }
        let answer =
            ask(&gateway, &key, Format::Messages, &Format::Messages.body("streamed/m", true)).await.expect(200);
        let text = answer.text();
        assert!(!text.contains("OPERATOR") && text.contains("tell the operator"), "{text}");
        assert!(stream_error(Format::Messages, &answer).is_some(), "{text}");
        let answer = ask(&gateway, &key, Format::Messages, &Format::Messages.body("open/m", false)).await;
        assert_eq!(answer.text().contains("OPERATOR"), error == quota, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_body_that_its_provider_could_not_finish_is_a_failure_and_the_next_target_is_tried() {
    let body = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"insufficient_system_resource"}]}"#;
    let busy = Upstream::answering("200 OK\r\ncontent-type: application/json", body).await;
    let mock = Mock::start().await;
    let right = format!(
        "{{name: right, kind: mock, base_url: \"http://{}\", formats: [{}]}}",
        mock.address(),
        name(Format::Chat)
    );
    let models = "[{name: any, sticky: off, targets: [{provider: busy, model: m}, {provider: right, model: ok}]}]";
    let providers = format!("[{}, {right}]", provider("busy", &busy, "chat", ""));
    let gateway = Gateway::start(Setup::new().section("providers", &providers).section("models", models)).await;
    let key = gateway.key().await;
    let answer = ask(&gateway, &key, Format::Messages, &Format::Messages.body("any", false)).await.expect(200);
    assert_eq!(answer.header("x-tollgate-model"), Some("right/ok"));
    ask(&gateway, &key, Format::Messages, &Format::Messages.body("busy/m", false)).await.expect(502);
}
