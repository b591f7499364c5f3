//! Streams that a provider cuts: each ends with the error of its format, and its usage event has the outcome
//! `upstream_cut`.

use std::rc::Rc;

use e2e::{Answer, Call, Gateway, Setup, Upstream};
use serde_json::{Value, json};

use super::asks::{Ask, Dialect, EndpointServer, each};
use crate::store;

/// The endpoints whose responses are streams.
const STREAMS: [&str; 5] =
    ["responses-events", "speech-events", "transcriptions-events", "gemini-events", "gemini-array"];

/// Returns the error at the end of the stream as JSON.
fn last(ask: &Ask, answer: &Answer) -> Value {
    if ask.name == "gemini-array" {
        return answer.json().as_array().unwrap().last().unwrap().clone();
    }
    let events = answer.events();
    let is_error = |event: &&e2e::sse::Event| !event.json()["error"].is_null();
    let error = events.iter().rev().find(is_error).unwrap_or_else(|| panic!("{}: {}", ask.name, answer.text()));
    if ask.dialect == Dialect::OpenAi && ask.format != "completions" {
        assert_eq!(error.name.as_deref(), Some("error"), "{}", ask.name);
    }
    error.json()
}

#[tokio::test]
async fn cut_stream_ends_with_an_error_of_its_format_and_the_outcome_upstream_cut() {
    let line = Rc::new(EndpointServer::new().await);
    let key = line.gateway.key().await;
    let checked = each(STREAMS.map(Ask::named), |ask| {
        let line = Rc::clone(&line);
        let key = key.clone();
        Box::pin(async move { check_cut(&ask, line.send(&ask, "cut", &key).await, &line.gateway).await })
    });
    checked.await;
    let body = json!({"model": "up/cut", "prompt": "hi", "stream": true});
    let answer = line.gateway.call(Call::json("/v1/completions", &body).key(&key)).await;
    check_cut(&Ask::named("completions"), answer, &line.gateway).await;
    let all = STREAMS.len() as u64 + 1;
    assert_eq!(line.gateway.counted(&key, all).await["credits"], all);
}

async fn check_cut(ask: &Ask, answer: Answer, gateway: &Gateway) {
    let name = ask.name;
    let answer = answer.expect(200);
    assert!(answer.whole, "{name}: the body must end cleanly for the client");
    let error = &last(ask, &answer)["error"];
    let word = match ask.dialect {
        Dialect::Google => &error["details"][0]["reason"],
        Dialect::OpenAi | Dialect::Azure | Dialect::Anthropic => &error["code"],
    };
    assert_eq!(word, "upstream_reset", "{name}: {}", answer.text());
    let row = store::row(gateway.folder(), &answer).await;
    let reported = (&row["status"], &row["outcome"], &row["credits"], &row["streamed"]);
    assert_eq!(reported, (&json!(200), &json!("upstream_cut"), &json!(1), &json!(1)), "{name} {row}");
}

#[tokio::test]
async fn cut_stream_of_images_ends_with_an_error_and_no_half_of_a_picture() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
        turn.chunk(b"event: image_generation.partial_image\ndata: {\"b64_json\":\"iVBO\"}\n\n").await;
        turn.chunk(b"event: image_generation.completed\ndata: {\"b64_json\":\"iV").await;
        None
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let ask = Ask::named("images-events");
    let answer = gateway.call(ask.with_key("up/m", &gateway.key().await)).await;
    assert!(!answer.text().contains("completed"), "{}", answer.text());
    check_cut(&ask, answer, &gateway).await;
}

/// Clients take the end of the body for success, so Tollgate must add an error.
#[tokio::test]
async fn stream_that_its_upstream_ends_early_ends_with_its_formats_error() {
    let line = Rc::new(EndpointServer::new().await);
    let key = line.gateway.key().await;
    let checked = each(STREAMS.map(Ask::named), |ask| {
        let line = Rc::clone(&line);
        let key = key.clone();
        Box::pin(async move { check_cut(&ask, line.send(&ask, "unfinished", &key).await, &line.gateway).await })
    });
    checked.await;
    for (path, body) in [
        ("/v1/chat/completions", json!({"model": "up/unfinished", "messages": [], "stream": true})),
        ("/v1/completions", json!({"model": "up/unfinished", "prompt": "hi", "stream": true})),
    ] {
        let answer = line.gateway.call(Call::json(path, &body).key(&key)).await;
        check_cut(&Ask::named("completions"), answer, &line.gateway).await;
    }
    let body = json!({"model": "up/unfinished", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], "stream": true});
    let answer = line.gateway.call(Call::json("/v1/messages", &body).key(&key)).await.expect(200);
    let events = answer.events();
    let error = events.last().unwrap();
    assert_eq!((error.name.as_deref(), &error.json()["error"]["code"]), (Some("error"), &json!("upstream_reset")));
}

/// An SSE stream may have a `content-length`, which the added error exceeds.
#[tokio::test]
async fn error_of_a_stream_with_a_length_is_whole() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.answer(
            "200 OK\r\ncontent-type: text/event-stream",
            b"data: {\"choices\":[{\"index\":0,\"delta\":{}}]}\n\n",
        )
        .await;
        Some(turn)
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let body = json!({"model": "up/m", "messages": [], "stream": true});
    let answer = gateway.call(Call::json("/v1/chat/completions", &body).key(&gateway.key().await)).await.expect(200);
    assert_eq!(answer.header("content-length"), None);
    assert!(answer.whole);
    assert_eq!(answer.events().last().unwrap().json()["error"]["code"], "upstream_reset", "{}", answer.text());
}

#[tokio::test]
async fn providers_own_error_event_ends_a_stream_alone() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for name in ["responses-events", "gemini-events", "speech-events"] {
        let ask = Ask::named(name);
        let answer = line.send(&ask, "error-event", &key).await.expect(200);
        assert!(!answer.text().contains("upstream_reset"), "{name}: {}", answer.text());
    }
}

/// Google's Node SDK ignores an error in an event and raises an exception for an error outside of events.
#[tokio::test]
async fn googles_events_end_with_a_bare_error_too() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    let answer = line.send(&Ask::named("gemini-events"), "cut", &key).await.expect(200);
    let text = answer.text();
    let (_, bare) = text.rsplit_once("\n\n").unwrap();
    let bare: Value = serde_json::from_str(bare).unwrap();
    assert_eq!((&bare["error"]["code"], &bare["error"]["status"]), (&json!(502), &json!("UNAVAILABLE")));
    assert!(!text.contains("\n:"), "the stream must contain no comments");
}

#[tokio::test]
async fn cut_body_is_shorter_than_its_length_and_has_the_outcome_upstream_cut() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for name in ["embeddings", "speech", "transcriptions", "gemini", "azure-chat"] {
        let answer = line.send(&Ask::named(name), "cut", &key).await;
        assert!(!answer.whole, "{name}: {}", answer.text());
        let row = store::row(line.gateway.folder(), &answer).await;
        assert_eq!((&row["outcome"], &row["credits"]), (&json!("upstream_cut"), &json!(1)), "{name} {row}");
    }
}

#[tokio::test]
async fn providers_own_error_passes_as_it_is_and_is_counted() {
    let line = EndpointServer::new().await;
    let key = line.gateway.key().await;
    for name in ["embeddings", "speech", "transcriptions", "gemini", "gemini-events", "gemini-array", "embed"] {
        let ask = Ask::named(name);
        let answer = line.send(&ask, "500", &key).await.expect(500);
        let own = ask.call("500").send(line.mock.address()).await.expect(500);
        assert_eq!((answer.text(), answer.header("content-type")), (own.text(), own.header("content-type")), "{name}");
        let row = store::row(line.gateway.folder(), &answer).await;
        assert_eq!((&row["status"], &row["outcome"]), (&json!(500), &json!("completed")), "{name} {row}");
    }
}
