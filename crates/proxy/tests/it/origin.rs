//! The labels, the program, the tools and the session of requests, as the spool records them.

use std::time::Duration;

use access::{ClientProgram, Credits, LabelSet};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use meter::{CacheUse, RequestOrigin, ToolUse};
use spool::Record;
use tokio::time::timeout;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};

const PATIENCE: Duration = Duration::from_secs(20);
const CALLED: &str = "{\"id\":\"b\",\"object\":\"chat.completion\",\"choices\":[{\"finish_reason\":\"tool_calls\"}],\
    \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}";

/// Starts a provider whose responses call a tool.
async fn provider() -> Raw {
    Raw::start(|mut conn: Conn| async move {
        while conn.body().await.is_some() {
            let length = CALLED.len();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
            conn.say(format!("{head}: {length}\r\n\r\n{CALLED}")).await;
        }
    })
    .await
}

async fn send(gateway: &Gateway, request: http::request::Builder, body: &str) {
    let caller = gateway.caller();
    let sent = caller.send_request(request, Full::from(body.to_owned()));
    let response = timeout(PATIENCE, sent).await.expect("a response in time");
    assert_eq!(response.status(), 200);
    timeout(PATIENCE, response.into_body().collect()).await.expect("a body in time").unwrap();
}

fn origins(records: &[Record]) -> Vec<RequestOrigin> {
    let of = |record: &Record| match record {
        Record::Open(opened) => Some(opened.origin.clone()),
        Record::Close(event) | Record::Event(event) => Some(event.origin.clone()),
        Record::Counts { .. } | Record::CloseBatch { .. } => None,
    };
    records.iter().filter_map(of).collect()
}

#[tokio::test]
async fn records_of_a_call_have_its_labels_program_tools_and_session() {
    let provider = provider().await;
    let mut gateway = Gateway::plain(&format!(
        "providers: [{{name: p, kind: openai, base_url: \"http://{}/v1\", credential: sk-far}}]\n\
         models: [{{name: smart, targets: [{{provider: p, model: m}}]}}]\nprices: [{{model: p/m, input: '1', output: '2'}}]\n",
        provider.address
    ));
    gateway.change(|principal| principal.labels = LabelSet::of_text("team=payments"));
    let call = |session: &str| {
        let request = Request::builder().method(Method::POST).uri("/v1/chat/completions");
        let request = request.header(header::CONTENT_TYPE, "application/json").header("session-id", session.to_owned());
        request.header(header::USER_AGENT, "codex_cli_rs/0.169.0 (Debian 13.0.0; x86_64)")
    };
    let body = "{\"model\":\"smart\",\"messages\":[],\"tools\":[{\"type\":\"function\"}]}";
    for session in ["one", "two", "one"] {
        send(&gateway, call(session), body).await;
    }
    let records = gateway.stop().await;
    let origins = origins(&records);
    let [first, second, third] = [1, 3, 5].map(|nth| &origins[nth]);
    assert_eq!(
        (first.labels.as_str(), first.client, first.tools),
        ("team=payments", ClientProgram::Codex, ToolUse::Called)
    );
    // A request in flight has called no tool yet, and the rest is known.
    assert_eq!(origins[0], RequestOrigin { tools: ToolUse::Offered, ..first.clone() });
    assert!(first.session.is_some() && first.session != second.session);
    assert_eq!(first.session, third.session);
}

/// With `events: rows`, a request that gets a stored response has its own event, without credits.
#[tokio::test]
async fn events_say_how_a_stored_response_was_used() {
    let upstream = Raw::start(|mut conn: Conn| async move {
        while conn.body().await.is_some() {
            conn.say("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 2\r\n\r\nok".to_owned()).await;
        }
    })
    .await;
    let mut gateway = Gateway::plain(&format!(
        "upstreams: [{{name: u, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{path: /a, upstreams: u, events: rows, cache: {{}}}}]\n",
        upstream.address
    ));
    for _ in 0..2 {
        send(&gateway, Request::builder().uri("/a"), "").await;
    }
    let records = gateway.stop().await;
    let events = records.iter().filter_map(|record| match record {
        Record::Close(event) | Record::Event(event) => {
            Some((event.origin.cache, event.charge.credits, event.attempts.len()))
        }
        Record::Open(_) | Record::Counts { .. } | Record::CloseBatch { .. } => None,
    });
    let expected = [(CacheUse::None, Credits::whole(1), 1), (CacheUse::Hit, Credits::whole(0), 0)];
    assert_eq!(events.collect::<Vec<_>>(), expected);
}
