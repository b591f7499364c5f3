//! Valid HTTP with damaged bodies.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::wire::{ALL, CHAT, MESSAGES, RESPONSES, Reply, RunningMock, ask, ask_google, quick, start};

const STREAM: &str = r#","stream":true,"stream_options":{"include_usage":true}"#;

async fn google(mock: &RunningMock, model: &str) -> Reply {
    mock.post(&format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"), &ask_google("")).await
}

/// The responses of every text format, whole and streamed. All have status 200 and a complete body.
async fn each(mock: &RunningMock, model: &str) -> Vec<(String, String)> {
    let mut answers = vec![(String::from("gemini, streamed"), google(mock, model).await)];
    let whole = mock.post(&format!("/v1beta/models/{model}:generateContent"), &ask_google("")).await;
    answers.push((String::from("gemini"), whole));
    for path in ALL {
        answers.push((format!("{path}, streamed"), mock.post(path, &ask(model, STREAM)).await));
        answers.push((path.to_owned(), mock.post(path, &ask(model, "")).await));
    }
    let check = |(name, reply): (String, Reply)| {
        assert_eq!((reply.status, reply.complete), (200, true), "{model}: {name}");
        (name, reply.body())
    };
    answers.into_iter().map(check).collect()
}

#[tokio::test]
async fn counts_have_the_value_of_the_behaviour() {
    let mock = start(quick()).await;
    for (model, count) in [
        ("usage-negative", "-5"),
        ("usage-huge", "10000000000000000000"),
        ("usage-nan", "NaN"),
        ("usage-text", "\"12\""),
        ("usage-fraction", "12.5"),
    ] {
        for (name, body) in each(&mock, model).await {
            let names = ["completion_tokens", "output_tokens", "candidatesTokenCount"];
            let found = names.iter().any(|name| body.contains(&format!("\"{name}\":{count}")));
            assert!(found, "{model}: {name}: {body}");
        }
    }
}

#[tokio::test]
async fn counts_occur_twice() {
    let mock = start(quick()).await;
    for (name, body) in each(&mock, "duplicate-keys").await {
        let names = ["\"promptTokenCount\":", "\"total_tokens\":", "\"cache_read_input_tokens\":"];
        let count = names.into_iter().find(|name| body.contains(name)).unwrap();
        let after: Vec<_> = body.split(count).skip(1).collect();
        assert!(after.len() >= 2 && after.len() % 2 == 0, "{name}: {body}");
        let number = |text: &str| text.split([',', '}']).next().unwrap().parse::<u64>().unwrap();
        assert_eq!(number(after[0]), number(after[1]) + 1_000, "{name}");
    }
}

#[tokio::test]
async fn counts_decrease() {
    let mock = start(quick()).await;
    for (path, name) in [(CHAT, "/usage/total_tokens"), (RESPONSES, "/response/usage/total_tokens")] {
        let events = mock.post(path, &ask("usage-backwards", STREAM)).await.events();
        let counts: Vec<u64> = events.iter().filter_map(|event| event.pointer(name)?.as_u64()).collect();
        assert!(matches!(counts[..], [more, less] if more > less), "{path}: {counts:?}");
    }
    let events = mock.post(MESSAGES, &ask("usage-backwards", STREAM)).await.events();
    let start = events[0]["message"]["usage"]["input_tokens"].as_u64().unwrap();
    assert!(start > events[events.len() - 2]["usage"]["input_tokens"].as_u64().unwrap());
    let chunks = google(&mock, "usage-backwards").await.events();
    let counts: BTreeSet<u64> =
        chunks.iter().map(|chunk| chunk["usageMetadata"]["promptTokenCount"].as_u64().unwrap()).collect();
    assert_eq!(counts.len(), 2);
    assert_eq!(chunks.last().unwrap()["usageMetadata"]["promptTokenCount"].as_u64(), counts.first().copied());
}

#[tokio::test]
async fn json_is_deep_truncated_or_not_utf8() {
    let mock = start(quick()).await;
    for (name, body) in each(&mock, "deep-500").await {
        assert!(body.contains(&format!("{{\"deep\":{}{},", "[".repeat(500), "]".repeat(500))), "{name}");
    }
    for (name, body) in each(&mock, "broken-json").await {
        let data = body.lines().find(|line| line.contains('{')).unwrap();
        let data = data.trim_start_matches("data: ");
        assert!(serde_json::from_str::<Value>(data).is_err(), "{name}: {data}");
    }
    for (name, body) in each(&mock, "invalid-utf8").await {
        assert!(body.contains('\u{FFFD}'), "{name}: {body}");
    }
}

#[tokio::test]
async fn streams_end_too_early() {
    let mock = start(quick()).await;
    for (path, last) in [(CHAT, "[DONE]"), (RESPONSES, "response.completed"), (MESSAGES, "message_stop")] {
        let check = async |model: &str| mock.post(path, &ask(model, STREAM)).await.body();
        assert!(check("mock").await.contains(last));
        let unfinished = check("unfinished").await;
        assert!(!unfinished.contains(last) && unfinished.ends_with("\n\n"), "{path}");
        assert!(!unfinished.contains("\"finish_reason\":\"stop\""), "{path}");
        let open = check("open-event").await;
        assert!(open.contains(last) && !open.ends_with('\n'), "{path}");
    }
    let unfinished = google(&mock, "unfinished").await.body();
    assert!(!unfinished.contains("finishReason") && unfinished.ends_with("\r\n\r\n"));
    assert!(google(&mock, "open-event").await.body().ends_with('}'));
}

#[tokio::test]
async fn streams_abort_with_the_error_event_of_the_provider() {
    let mock = start(quick()).await;
    let last = async |path: &str| mock.post(path, &ask("error-event", STREAM)).await.events().pop().unwrap();
    assert_eq!(last(CHAT).await["error"]["type"], "server_error");
    assert_eq!(last(RESPONSES).await["response"]["status"], "failed");
    assert_eq!(last(MESSAGES).await["error"]["type"], "overloaded_error");
    assert_eq!(google(&mock, "error-event").await.events().pop().unwrap()["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn events_have_other_line_ends_and_comments() {
    let mock = start(quick()).await;
    for path in ALL {
        let plain = mock.post(path, &ask("mock", STREAM)).await.body();
        let crlf = mock.post(path, &ask("crlf", STREAM)).await.body();
        assert_eq!(crlf.matches("\r\n").count(), crlf.matches('\n').count(), "{path}");
        assert_eq!(crlf.matches('\n').count(), plain.matches('\n').count(), "{path}");
        let comments = mock.post(path, &ask("comments", STREAM)).await;
        assert!(comments.chunks.iter().step_by(2).all(|chunk| chunk == b": keepalive\n\n"), "{path}");
    }
}

#[tokio::test]
async fn chunks_are_single_bytes_or_the_whole_body() {
    let mock = start(quick()).await;
    for (model, path) in [("bytewise", CHAT), ("joined", CHAT), ("bytewise", MESSAGES), ("joined", RESPONSES)] {
        let reply = mock.post(path, &ask(model, STREAM)).await;
        let expected = if model == "joined" { 1 } else { reply.bytes().len() };
        assert_eq!((reply.chunks.len(), reply.complete), (expected, true), "{model} {path}");
    }
    let whole = mock.post(CHAT, &ask("bytewise", "")).await;
    assert_eq!(whole.chunks.len(), whole.bytes().len());
    assert!(whole.json()["usage"].is_object());
}

#[tokio::test]
async fn an_event_has_the_requested_length() {
    let mock = start(quick()).await;
    for (path, bytes) in [(CHAT, 300_000), (RESPONSES, 70_000), (MESSAGES, 65_536)] {
        let reply = mock.post(path, &ask(&format!("event-{bytes}"), STREAM)).await;
        let body = reply.body();
        let longest = body.lines().max_by_key(|line| line.len()).unwrap();
        assert!(reply.complete && (bytes..bytes + 500).contains(&longest.len()), "{path}: {}", longest.len());
        let data = longest.strip_prefix("data: ").unwrap();
        assert!(serde_json::from_str::<Value>(data).is_ok(), "{path}");
    }
    let whole = mock.post(CHAT, &ask("event-300000", "")).await;
    assert!(whole.bytes().len() > 300_000 && whole.json()["usage"].is_object());
}
