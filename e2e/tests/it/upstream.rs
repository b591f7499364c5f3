//! Upstreams that misbehave: the response is clear, and all resources are released.

use std::time::Duration;

use e2e::sse::Event;
use e2e::{Answer, Call, Gateway, Mock, Piece, Setup, Turn, Upstream, eventually, setup, timed};
use tokio::time::sleep;

use crate::bodies::{CHAT, Format};

const ROUTE: &str = "{path: {prefix: /up}, upstreams: backend, auth: {type: none}}";

/// A whole stream of a chat provider.
const SPOKEN: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hello\"}}]}\n\n\
    data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";

/// Timeout after which an abandoned request must have ended, on a busy machine.
const HANGS: Duration = Duration::from_secs(19);

/// Sets one worker, so that there is one connection pool.
pub(crate) fn one_pool(setup: Setup) -> Setup {
    setup.flag("--workers").flag("1")
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// Sends requests to a provider that runs `script`; asserts status and code of the responses, and that they are
/// counted.
async fn check<F>(script: impl Fn(Turn) -> F + Send + Sync + 'static, status: u16, expected: &str)
where
    F: Future<Output = Option<Turn>> + Send + 'static,
{
    let upstream = Upstream::start(script).await;
    let first_byte = if expected == "upstream_timeout" { "700ms" } else { "10m" };
    let ai = format!("{{timeouts: {{first_byte: {first_byte}}}}}");
    for format in [Format::Chat, Format::Messages] {
        let setup = Setup::provider(format.kind(), upstream.address()).section("ai", &ai);
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        for stream in [false, true] {
            let body = format.body("m", stream);
            let answer = gateway.call(Call::json(format.path(), &body).key(&key)).await.expect(status);
            assert_eq!(code(&answer), expected);
            assert!(
                !answer.text().contains(&upstream.address().to_string()),
                "the response must not reveal the provider's address"
            );
        }
        gateway.counted(&key, 2).await;
    }
}

#[tokio::test]
async fn upstream_that_is_down_is_502_upstream_connect_and_not_counted() {
    let closed_port = e2e::ReservedPort::new();
    for format in Format::ALL {
        let gateway = Gateway::start(Setup::provider(format.kind(), closed_port.address())).await;
        let key = gateway.key().await;
        let answer = gateway.call(Call::json(format.path(), &format.body("m", true)).key(&key)).await.expect(502);
        assert_eq!(code(&answer), "upstream_connect");
        assert_eq!(gateway.used(&key).await, 0);
    }
}

#[tokio::test]
async fn upstream_that_does_not_answer_in_time_is_504_and_counted() {
    check(
        |mut turn| async move {
            turn.read_body().await;
            turn.wire.closed().await;
            None
        },
        504,
        "upstream_timeout",
    )
    .await;
}

#[tokio::test]
async fn upstream_that_closes_before_it_answers_is_502_upstream_reset() {
    check(
        |mut turn| async move {
            turn.read_body().await;
            None
        },
        502,
        "upstream_reset",
    )
    .await;
}

#[tokio::test]
async fn upstream_that_does_not_speak_http_is_502_upstream_protocol() {
    check(
        |mut turn| async move {
            turn.read_body().await;
            turn.write(b"220 mail.example.com ESMTP\r\n\r\n").await;
            None
        },
        502,
        "upstream_protocol",
    )
    .await;
}

#[tokio::test]
async fn upstream_that_switches_protocols_unasked_is_502_upstream_protocol() {
    check(
        |mut turn| async move {
            turn.read_body().await;
            turn.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
            turn.wire.closed().await;
            None
        },
        502,
        "upstream_protocol",
    )
    .await;
}

/// Asserts that the stream reports its failure: by an error event, or by ending before its framing does.
#[track_caller]
fn assert_cut(format: Format, answer: &Answer, expected: &str) {
    let events = answer.events();
    let names: Vec<&str> = events.iter().filter_map(|event| event.name.as_deref()).collect();
    let well = match format {
        Format::Chat => events.iter().any(|event| event.data == "[DONE]"),
        Format::Responses => names.contains(&"response.completed"),
        Format::Messages => names.contains(&"message_stop"),
    };
    assert!(!well, "{format:?} {}", answer.text());
    if answer.whole {
        let error = events.iter().map(Event::json).find(|json| json["error"].is_object()).unwrap_or_default();
        assert_eq!(error["error"]["code"], expected, "{format:?} {}", answer.text());
    }
}

#[tokio::test]
async fn stream_that_the_upstream_cuts_does_not_look_whole_and_is_counted() {
    let gateway = Gateway::start(Setup::mocked()).await;
    for format in Format::ALL {
        let key = gateway.key().await;
        let call = |stream| Call::json(format.path(), &format.body("mock/cut", stream)).key(&key);
        let answer = gateway.call(call(true)).await.expect(200);
        assert!(!answer.events().is_empty());
        assert_cut(format, &answer, "upstream_reset");
        let answer = gateway.call(call(false)).await;
        assert!(!answer.whole || answer.status() == 502, "{}", answer.text());
        gateway.counted(&key, 2).await;
    }
}

#[tokio::test]
async fn stream_that_stalls_is_ended_after_the_idle_time() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
        turn.chunk(b"event: x\ndata: {}\n\ndata: {\"unfin").await;
        turn.wire.closed().await;
        None
    })
    .await;
    for format in Format::ALL {
        let setup = Setup::provider(format.kind(), upstream.address()).section("ai", "{timeouts: {idle: 1s}}");
        let gateway = Gateway::start(setup).await;
        let key = gateway.key().await;
        let call = Call::json(format.path(), &format.body("m", true)).key(&key);
        let (answer, took) = timed(gateway.call(call)).await;
        assert!(took > Duration::from_millis(900) && took < HANGS, "{took:?}");
        assert_cut(format, &answer.expect(200), "upstream_timeout");
        gateway.counted(&key, 1).await;
    }
}

#[tokio::test]
async fn clients_get_signs_of_life_while_a_provider_is_silent() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.stream("200 OK\r\ncontent-type: text/event-stream").await;
        sleep(Duration::from_secs(16)).await;
        turn.chunk(SPOKEN.as_bytes()).await;
        turn.chunk(b"").await;
        Some(turn)
    })
    .await;
    let provider = setup::provider("up", "openai", upstream.address()).replace("[responses, chat]", "[chat]");
    let setup = Setup::new()
        .section("providers", &format!("[{provider}]"))
        .section("timeouts", "{idle: 5s}")
        .section("ai", "{timeouts: {first_byte: 1m}}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let silence = async |format: Format| {
        let mut exchange = Call::json(format.path(), &format.body("up/m", true)).key(&key).open(gateway.proxy).await;
        let (first, took) = timed(exchange.next()).await;
        assert_eq!((exchange.status(), took < Duration::from_secs(16)), (200, true), "{format:?} {took:?}");
        assert!(matches!(first, Piece::Data(bytes) if bytes.starts_with(b": keepalive\n\n")), "{format:?}");
        let rest = exchange.rest().await;
        assert!(rest.whole && rest.text().contains("hello"), "{format:?} {}", rest.text());
    };
    tokio::join!(silence(Format::Chat), silence(Format::Messages));
}

#[tokio::test]
async fn slow_answer_arrives_because_llm_routes_wait_longer_for_a_first_byte() {
    let mock = Mock::start().await;
    let setup = Setup::provider("mock", mock.address())
        .section("timeouts", "{first_byte: 1s}")
        .section("ai", "{timeouts: {first_byte: 10s}}");
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("up/slow", false)).key(&key);
    let (answer, took) = timed(gateway.call(call)).await;
    assert_eq!(answer.expect(200).json()["object"], "chat.completion");
    assert!(took > Duration::from_secs(2), "the mock is slow: {took:?}");
}

#[tokio::test]
async fn plain_routes_wait_for_the_first_byte_for_the_general_timeout() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.wire.closed().await;
        None
    })
    .await;
    let setup = Setup::routed(upstream.address(), ROUTE).section("timeouts", "{first_byte: 1s}");
    let gateway = Gateway::start(setup).await;
    let (answer, took) = timed(gateway.call(Call::get("/up"))).await;
    assert_eq!(code(&answer.expect(504)), "upstream_timeout");
    assert!(took > Duration::from_millis(900) && took < HANGS, "{took:?}");
    eventually("the upstream's connection is closed", async || (upstream.closed() == 1).then_some(())).await;
}

#[tokio::test]
async fn early_answer_drops_the_connection() {
    let upstream = Upstream::start(|mut turn| async move {
        if turn.connection == 0 {
            // The request body is still on its way: bytes that follow on this connection are not a request.
            turn.answer("413 No\r\nx-from: upstream", b"too much").await;
            turn.wire.closed().await;
            return None;
        }
        turn.read_body().await;
        turn.answer("200 OK", b"fine").await;
        Some(turn)
    })
    .await;
    let gateway = Gateway::start(one_pool(Setup::routed(upstream.address(), ROUTE))).await;
    let call = Call::new("POST", "/up").header("content-length", "100000").body("x".repeat(1_000));
    let answer = gateway.call(call).await.expect(413);
    assert_eq!((answer.text().as_str(), answer.header("x-from")), ("too much", Some("upstream")));
    eventually("the connection is dropped", async || (upstream.closed() == 1).then_some(())).await;
    for _ in 0..3 {
        gateway.call(Call::new("POST", "/up").body("small")).await.expect(200);
    }
    let connections: Vec<usize> = upstream.seen().iter().map(|seen| seen.connection).collect();
    assert_eq!(connections, [0, 1, 1, 1]);
}

#[tokio::test]
async fn idle_connection_is_used_again() {
    let upstream = Upstream::answering("200 OK", "fine").await;
    let gateway = Gateway::start(one_pool(Setup::routed(upstream.address(), ROUTE))).await;
    for _ in 0..5 {
        gateway.call(Call::new("POST", "/up").body("x")).await.expect(200);
    }
    assert_eq!((upstream.seen().len(), upstream.opened()), (5, 1));
}

#[tokio::test]
async fn closed_idle_connection_is_not_used() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.answer("200 OK", b"fine").await;
        None
    })
    .await;
    let gateway = Gateway::start(one_pool(Setup::routed(upstream.address(), ROUTE))).await;
    for round in 1..=20 {
        gateway.call(Call::new("POST", "/up").body("x")).await.expect(200);
        eventually("the upstream closes", async || (upstream.closed() == round).then_some(())).await;
    }
    assert_eq!(upstream.opened(), 20);
}

#[tokio::test]
async fn second_response_to_one_request_reaches_no_client() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        turn.answer("200 OK", b"fine").await;
        turn.answer("200 OK", b"poison").await;
        Some(turn)
    })
    .await;
    let gateway = Gateway::start(one_pool(Setup::routed(upstream.address(), ROUTE))).await;
    for _ in 0..10 {
        let answer = gateway.call(Call::get("/up")).await.expect(200);
        assert_eq!(answer.text(), "fine");
    }
}

#[tokio::test]
async fn upstream_that_never_reads_is_aborted() {
    let upstream = Upstream::start(|turn| async move {
        std::future::pending::<()>().await;
        Some(turn)
    })
    .await;
    let setup = Setup::routed(upstream.address(), ROUTE).section("timeouts", "{idle: 1s, first_byte: 1s}");
    let gateway = Gateway::start(setup).await;
    let call = Call::new("POST", "/up").body(vec![b'x'; 16 * 1024 * 1024]);
    let (answer, took) = timed(call.attempt(gateway.proxy)).await;
    assert!(took < HANGS, "{took:?}");
    if let Ok(exchange) = answer {
        assert_eq!(code(&exchange.rest().await.expect(504)), "upstream_timeout");
    }
    gateway.at_rest().await;
}

#[tokio::test]
async fn request_that_dies_on_a_reused_connection_is_repeated_only_if_it_can_have_had_no_effect() {
    let upstream = Upstream::start(|mut turn| async move {
        turn.read_body().await;
        // The second request of each connection finds it closed.
        if turn.number == 1 {
            return None;
        }
        turn.answer("200 OK", b"fine").await;
        Some(turn)
    })
    .await;
    let routes = "{path: {prefix: /up}, upstreams: backend}";
    let gateway = Gateway::start(one_pool(Setup::routed(upstream.address(), routes))).await;
    let key = gateway.key().await;
    let call = async |method: &str| gateway.call(Call::new(method, "/up").body("").key(&key)).await;
    call("GET").await.expect(200);
    call("GET").await.expect(200);
    let answer = call("POST").await.expect(502);
    assert_eq!(code(&answer), "upstream_reset");
    let seen: Vec<(String, usize)> =
        upstream.seen().iter().map(|seen| (seen.head.word(0).to_owned(), seen.connection)).collect();
    let get = |connection| ("GET".to_owned(), connection);
    assert_eq!(seen, [get(0), get(0), get(1), ("POST".to_owned(), 1)]);
    assert_eq!(gateway.counted(&key, 3).await["credits"], 3, "a retried request counts once");
}

#[tokio::test]
async fn plain_answer_that_the_upstream_cuts_does_not_look_whole() {
    let upstream = Upstream::start(|mut turn| async move {
        let framing =
            if turn.head.word(1) == "/up/length" { "content-length: 100" } else { "transfer-encoding: chunked" };
        turn.write(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n4\r\nhalf\r\n").as_bytes()).await;
        None
    })
    .await;
    let gateway = Gateway::start(Setup::routed(upstream.address(), ROUTE)).await;
    for path in ["/up/length", "/up/chunked"] {
        let answer = gateway.call(Call::get(path)).await.expect(200);
        assert!(!answer.whole && answer.text().contains("half"), "{path} {}", answer.text());
    }
}
