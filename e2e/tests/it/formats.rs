//! Responses of the LLM endpoints in each format.

use e2e::{Answer, Call, Gateway, Mock, Setup, Upstream, is_uuid_v7, setup};
use serde_json::{Value, json};

use crate::bodies::{CHAT, Format, MESSAGES};

async fn ask(gateway: &Gateway, key: &str, format: Format, body: &Value) -> Answer {
    gateway.call(Call::json(format.path(), body).key(key)).await.expect(200)
}

/// Asserts that the response has Tollgate's request id in two header fields.
fn check_ids(answer: &Answer) {
    let id = answer.header("x-request-id").unwrap();
    assert!(is_uuid_v7(id), "{id}");
    assert_eq!(answer.header("request-id"), Some(id));
}

#[tokio::test]
async fn whole_answers_have_their_formats_shape() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for format in Format::ALL {
        let answer = ask(&gateway, &key, format, &format.body("mock", false)).await;
        check_ids(&answer);
        let body = answer.json();
        let (kind, text, tokens) = match format {
            Format::Chat => {
                ("chat.completion", &body["choices"][0]["message"]["content"], &body["usage"]["total_tokens"])
            }
            Format::Responses => {
                let items = body["output"].as_array().unwrap();
                let message = items.iter().find(|item| item["type"] == "message").unwrap();
                ("response", &message["content"][0]["text"], &body["usage"]["total_tokens"])
            }
            Format::Messages => {
                let parts = body["content"].as_array().unwrap();
                let text = parts.iter().find(|part| part["type"] == "text").unwrap();
                ("message", &text["text"], &body["usage"]["output_tokens"])
            }
        };
        let field = if format == Format::Messages { "type" } else { "object" };
        assert_eq!(body[field], kind, "{body}");
        assert!(text.as_str().is_some_and(|text| !text.is_empty()), "{body}");
        assert!(tokens.as_u64().is_some_and(|tokens| tokens > 0), "{body}");
    }
}

#[tokio::test]
async fn streams_end_as_their_format_requires() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    for format in Format::ALL {
        let answer = ask(&gateway, &key, format, &format.body("mock", true)).await;
        check_ids(&answer);
        assert!(answer.whole);
        assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
        assert_eq!(answer.header("x-accel-buffering"), Some("no"));
        assert!(answer.header("content-encoding").is_none());
        let events = answer.events();
        assert!(events.len() > 3, "{events:?}");
        let last = events.last().unwrap();
        match format {
            Format::Chat => assert_eq!(last.data, "[DONE]"),
            Format::Responses => assert_eq!(last.name.as_deref(), Some("response.completed")),
            Format::Messages => assert_eq!(last.name.as_deref(), Some("message_stop")),
        }
    }
}

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    // The upstream sends its second event only after the client has read the first.
    let (first_read, wait) = tokio::sync::watch::channel(false);
    let upstream = Upstream::start(move |mut turn| {
        let mut wait = wait.clone();
        async move {
            turn.read_body().await;
            turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
            turn.chunk(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n").await;
            wait.wait_for(|read| *read).await.ok()?;
            turn.chunk(b"data: [DONE]\n\n").await;
            turn.chunk(b"").await;
            Some(turn)
        }
    })
    .await;
    let gateway = Gateway::start(Setup::provider("openai", upstream.address())).await;
    let key = gateway.key().await;
    let mut exchange = Call::json(CHAT, &Format::Chat.body("up/m", true)).key(&key).open(gateway.proxy).await;
    assert!(matches!(exchange.next().await, e2e::Piece::Data(data) if data.starts_with(b"data: {")));
    first_read.send(true).unwrap();
    assert!(exchange.rest().await.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_the_asking_client() {
    let models = "[{name: fast, targets: [{provider: up, model: gpt-x}]}]";
    let upstream = Upstream::json(&json!({})).await;
    let setup = Setup::provider("openai", upstream.address()).section("models", models);
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;

    let list = gateway.call(Call::get("/v1/models").key(&key)).await.expect(200).json();
    assert_eq!(list["object"], "list");
    let fast = list["data"].as_array().unwrap().iter().find(|model| model["id"] == "fast").unwrap();
    assert_eq!(fast["object"], "model");

    let call = Call::get("/v1/models?limit=1000").header("x-api-key", &key).header("anthropic-version", "2023-06-01");
    let list = gateway.call(call).await.expect(200).json();
    let fast = list["data"].as_array().unwrap().iter().find(|model| model["id"] == "fast").unwrap();
    assert_eq!(fast["type"], "model");
    assert!(fast["display_name"].is_string() && fast["created_at"].is_string(), "{fast}");
    assert_eq!(list["has_more"], false);
    assert_eq!(list["first_id"], list["data"][0]["id"]);
    assert!(list["last_id"].is_string());

    gateway.call(Call::get("/v1/models")).await.expect(401);
    assert!(upstream.seen().is_empty(), "Tollgate answers the list without the provider");
}

#[tokio::test]
async fn names_with_a_star_are_routed_and_counted_with_the_credits_of_their_entry() {
    let mock = Mock::start().await;
    let setup = Setup::provider("mock", mock.address())
        .section("models", "[{name: 'x/*', credits: 3, targets: [{provider: up, model: '*'}]}]")
        .plans("{name: small, credits_per_day: 7}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.account("small").await.key;
    let call = |model: &str| Call::json(Format::Chat.path(), &Format::Chat.body(model, false)).key(&key);
    gateway.call(call("x/foo")).await.expect(200);
    gateway.call(call("x/bar/baz")).await.expect(200);
    assert_eq!((mock.requests("foo").await, mock.requests("bar/baz").await), (1, 1));
    gateway.uses(&key, 6).await;
    gateway.call(call("x/foo")).await.expect(429);
    let list = gateway.call(Call::get("/v1/models").key(&key)).await.expect(200).json();
    let mut listed = list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str());
    assert!(listed.all(|name| !name.contains('*')), "clients take each id for a model: {list}");
    gateway.call(Call::get("/v1/models/x/foo").key(&key)).await.expect(200);
}

#[tokio::test]
async fn root_answers_without_a_key_and_is_no_failure_of_authentication() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let head = gateway.call(Call::new("HEAD", "/")).await.expect(200);
    assert!(head.body.is_empty());
    gateway.call(Call::get("/")).await.expect(200);
}

#[tokio::test]
async fn websocket_upgrade_is_answered_426() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let upgrade = Call::get("/v1/responses")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = gateway.call(upgrade.key(&key)).await.expect(426);
    assert_eq!(answer.json()["error"]["code"], "upgrade_required");
    assert_eq!(gateway.used(&key).await, 0);
}

#[tokio::test]
async fn query_is_ignored_in_routing_and_known_parameters_are_forwarded() {
    let upstream = Upstream::json(&json!({"type": "message"})).await;
    let gateway = Gateway::start(Setup::provider("anthropic", upstream.address())).await;
    let key = gateway.key().await;
    let target = format!("{MESSAGES}?key={key}&beta=true&x=a%20b");
    gateway.call(Call::json(&target, &Format::Messages.body("up/m", false)).key(&key)).await.expect(200);
    assert_eq!(upstream.only().head.first, format!("POST {MESSAGES}?beta=true HTTP/1.1"));
    let raw = String::from_utf8_lossy(&upstream.only().head.raw).into_owned();
    assert!(!raw.contains(&key), "{raw}");
}

#[tokio::test]
async fn endpoints_are_served_below_the_prefix() {
    let upstream = Upstream::json(&json!({"object": "chat.completion"})).await;
    let setup = Setup::provider("openai", upstream.address()).section("ai", "{prefix: /llm}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let body = Format::Chat.body("up/m", false);
    gateway.call(Call::json("/llm/v1/chat/completions", &body).key(&key)).await.expect(200);
    assert_eq!(upstream.only().head.word(1), CHAT);
    gateway.call(Call::json(CHAT, &body).key(&key)).await.expect(404);
}

#[tokio::test]
async fn model_is_looked_up_by_name_then_provider_then_format() {
    let openai = Upstream::json(&json!({})).await;
    let anthropic = Upstream::json(&json!({})).await;
    let providers =
        [setup::provider("oa", "openai", openai.address()), setup::provider("an", "anthropic", anthropic.address())];
    let setup = Setup::new()
        .section("providers", &format!("[{}]", providers.join(", ")))
        .section("models", "[{name: fast, credits: 3, targets: [{provider: oa, model: gpt-x}]}]");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let check = async |format: Format, model: &str, upstream: &Upstream, requested: &str| {
        gateway.call(Call::json(format.path(), &format.body(model, false)).key(&key)).await.expect(200);
        let body: Value = serde_json::from_slice(&upstream.seen().last().unwrap().body).unwrap();
        assert_eq!(body["model"], requested, "{model}");
    };
    check(Format::Chat, "fast", &openai, "gpt-x").await;
    check(Format::Chat, "oa/gpt-y", &openai, "gpt-y").await;
    check(Format::Responses, "bare-name", &openai, "bare-name").await;
    check(Format::Messages, "an/claude", &anthropic, "claude").await;
    check(Format::Messages, "claude", &anthropic, "claude").await;
    assert_eq!((openai.seen().len(), anthropic.seen().len()), (3, 2));
    let usage = gateway.counted(&key, 5).await;
    assert_eq!(usage["credits"], 3 + 4, "the model's own credits are charged");
}

#[tokio::test]
async fn key_is_read_from_each_of_three_headers() {
    let gateway = Gateway::start(Setup::mocked()).await;
    let key = gateway.key().await;
    let bearer = format!("Bearer {key}");
    let lowercase = format!("bearer {key}");
    for (name, value) in [
        ("Authorization", &bearer),
        ("authorization", &lowercase),
        ("x-api-key", &key),
        ("X-Api-Key", &key),
        ("api-key", &key),
    ] {
        let call = Call::json(CHAT, &Format::Chat.body("mock", false)).header(name, value);
        gateway.call(call).await.expect(200);
    }
    let both = Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key).header("x-api-key", &key);
    gateway.call(both).await.expect(200);
}

#[tokio::test]
async fn mock_in_a_process_of_its_own_is_a_provider_like_any_other() {
    let mock = Mock::start().await;
    let setup = Setup::provider("mock", mock.address());
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    for format in Format::ALL {
        ask(&gateway, &key, format, &format.body("up/echo", false)).await;
    }
    gateway.counted(&key, 3).await;
}

#[tokio::test]
async fn routes_precede_equally_specific_endpoints() {
    let upstream = Upstream::answering("200 OK", "a route's").await;
    let open = "upstreams: backend, auth: {type: none}";
    let routes = format!("{{path: /v1/models, {open}}}, {{path: {{prefix: /}}, {open}}}");
    let gateway = Gateway::start(Setup::routed(upstream.address(), &routes).flag("--mock")).await;
    let key = gateway.key().await;
    for path in ["/v1/models", "/v1/embeddings", "/else"] {
        assert_eq!(gateway.call(Call::get(path)).await.expect(200).text(), "a route's", "{path}");
    }
    ask(&gateway, &key, Format::Chat, &Format::Chat.body("mock", false)).await;
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn disabled_endpoints_are_not_found() {
    let upstream = Upstream::answering("200 OK", "a route's").await;
    let setup = Setup::routed(upstream.address(), "{path: /r, upstreams: backend}").section("ai", "{enabled: false}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let answer = gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(404);
    assert_eq!(answer.json()["error"]["code"], "route_not_found");
    gateway.call(Call::get("/r").key(&key)).await.expect(200);
}
