//! Trailers of requests and responses, between HTTP/1.1 clients and upstreams of either protocol.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::streams::{Plan, Server, StreamRequest};
use crate::wire::{Client, Framing, Received, always, answer, before, upstream, yaml};

const GET: &str = "GET /api/x HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: te\r\n\r\n";
/// A chunked response without its trailers.
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n5\r\nhello\r\n0\r\n";
/// The head of a chunked request.
const POST: &str = "POST /api/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n";

/// An upstream that responds with a report of the request: the fields of the connection, the body, and the trailers.
async fn reporting() -> Raw {
    upstream(|sent| {
        let fields = ["te", "connection", "trailer"].map(|name| {
            let all = sent.fields.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str());
            all.collect::<Vec<_>>().join("+")
        });
        (answer(&format!("[{}] {} [{}]", fields.join("|"), sent.body, sent.trailers.join("|"))), false)
    })
    .await
}

#[track_caller]
fn is_hello(received: &Received, framing: Framing, trailers: &[&str]) {
    received.is_answer("hello");
    let texts: Vec<&str> = received.trailers.iter().map(String::as_str).collect();
    assert_eq!((received.framing, &texts[..]), (framing, trailers), "{received:?}");
}

#[tokio::test]
async fn response_trailers_reach_a_client_that_accepts_them() {
    let raw = upstream(|_| (format!("{CHUNKED}X-T: v\r\nX-U: w\r\nx-t: 2\r\n\r\n"), false)).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        let received = client.call(GET).await;
        is_hello(&received, Framing::Chunked, &["x-t: v", "x-t: 2", "x-u: w"]);
        assert_eq!((received.one("trailer"), received.closes()), (Some("x-t"), false));
    }
    // A client need not name `TE` in `Connection`.
    let received = client.call("GET /api/x HTTP/1.1\r\nhost: x\r\nTE: deflate;q=0.5 ,Trailers\r\n\r\n").await;
    assert_eq!(received.trailers.len(), 3);
    assert!(raw.asked().iter().all(|(connection, _)| *connection == 1), "the upstream's connection is reused");
}

#[tokio::test]
async fn clients_that_do_not_accept_trailers_get_none() {
    let raw = always(format!("{CHUNKED}x-t: v\r\n\r\n"), false).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for te in ["", "te: deflate\r\n", "te:\r\n", "te: trailersx\r\n"] {
        let received = client.call(format!("GET /api/x HTTP/1.1\r\nhost: x\r\n{te}\r\n")).await;
        is_hello(&received, Framing::Chunked, &[]);
        assert_eq!(received.one("trailer"), None, "{te}");
    }
    let mut old = Client::sending(&gateway, "GET /api/x HTTP/1.0\r\nhost: x\r\nte: trailers\r\n\r\n").await;
    let received = old.response("GET").await;
    is_hello(&received, Framing::UntilClose, &[]);
    assert_eq!(received.one("trailer"), None);
    assert!(raw.asked().iter().all(|(connection, _)| *connection == 1), "the upstream's connection is reused");
}

#[tokio::test]
async fn upstreams_learn_whether_the_client_accepts_trailers() {
    let raw = reporting().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for (fields, expected) in [
        ("te: trailers\r\nconnection: te\r\n", "[trailers|te|]  []"),
        ("te: trailers, deflate\r\n", "[trailers|te|]  []"),
        ("te: deflate\r\nconnection: te, x\r\ntrailer: x\r\n", "[||]  []"),
    ] {
        let received = client.call(format!("GET /api/x HTTP/1.1\r\nhost: x\r\n{fields}\r\n")).await;
        received.is_answer(expected);
    }
    let mut old = Client::sending(&gateway, "GET /api/x HTTP/1.0\r\nhost: x\r\nte: trailers\r\n\r\n").await;
    old.response("GET").await.is_answer("[||]  []");
}

#[tokio::test]
async fn responses_without_chunks_have_no_trailers() {
    let raw = always("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntrailer: x-t\r\n\r\nhello", false).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    let received = client.call(GET).await;
    is_hello(&received, Framing::Length, &[]);
    assert_eq!(received.one("trailer"), None);
    let raw = always("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n", false).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        client.send(GET.replace("GET", "HEAD")).await;
        let received = client.response("HEAD").await;
        assert_eq!((received.status, received.one("trailer"), received.closes()), (200, None, false));
    }
}

#[tokio::test]
async fn trailers_that_are_forbidden_or_belong_to_the_connection_are_dropped() {
    let fields = "if-match: y\r\nage: 9\r\ncontent-language: x\r\nset-cookie2: a=b\r\nx-once: 1\r\n\
        x-request-id: z\r\naccept-ranges: none\r\nsec-x: z\r\nproxy-status: x\r\n";
    let response = CHUNKED.replace("trailer: x-t\r\n", "connection: X-Once, keep-alive\r\n");
    // A request with these is refused.
    let framing = "Content-Length: 0\r\ntransfer-encoding: chunked\r\nContent-Type: text/plain\r\nset-cookie: a=b\r\n\
        Host : a\r\nconnection: close\r\nContent_Length: 5\r\nauthorization: x\r\nX-Forwarded-For: 1\r\n";
    let raw = always(format!("{response}{framing}{fields}x-t: v\r\n\r\n"), false).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        is_hello(&client.call(GET).await, Framing::Chunked, &["x-t: v"]);
    }
    let raw = always(format!("{response}{fields}\r\n"), false).await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    is_hello(&client.call(GET).await, Framing::Chunked, &[]);

    let raw = reporting().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    // Names that backends trust are no trailers either.
    let trusted = "x-remote-user: root\r\nX_Original_Url: /admin\r\n";
    for (trailers, received) in [("x-t: v\r\n", "x-t: v"), ("", "")] {
        let request = format!("{POST}connection: x-once\r\n\r\n2\r\nhi\r\n0\r\n{fields}{trusted}{trailers}\r\n");
        client.call(request).await.is_answer(&format!("[||x-t] hi [{received}]"));
    }
    client.call("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("[||]  []");
    assert!(raw.asked().iter().all(|(connection, _)| *connection == 1), "the upstream's connection is reused");
}

#[tokio::test]
async fn request_trailers_reach_the_upstream() {
    let raw = reporting().await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for (content, expected) in [
        ("2\r\nhi\r\n0\r\nX-T: v\r\nx-u:\r\n\r\n", "[||x-t] hi [x-t: v|x-u: ]"),
        ("0\r\nx-t: v\r\n\r\n", "[||x-t]  [x-t: v]"),
        ("2\r\nhi\r\n0\r\n\r\n", "[||x-t] hi []"),
    ] {
        client.call(format!("{POST}\r\n{content}")).await.is_answer(expected);
        // Byte by byte, so that the end of the content arrives after the content.
        client.send(format!("{POST}\r\n")).await;
        for byte in content.bytes() {
            client.send([byte]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client.response("POST").await.is_answer(expected);
    }
    assert!(raw.asked().iter().all(|(connection, _)| *connection == 1), "the upstream's connection is reused");
}

#[tokio::test]
async fn response_trailers_may_arrive_byte_by_byte() {
    let raw = Raw::start(|mut conn: Conn| async move {
        while conn.request().await.is_some() {
            for byte in format!("{CHUNKED}x-t: v\r\nx-u: w\r\n\r\n").bytes() {
                conn.say([byte]).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        is_hello(&client.call(GET).await, Framing::Chunked, &["x-t: v", "x-u: w"]);
    }
}

#[tokio::test]
async fn response_that_ends_before_its_trailers_is_cut() {
    for part in ["", "x-t: v\r\n", "x-t: v\r\n\r", "x-t"] {
        let raw = always(format!("{CHUNKED}{part}"), true).await;
        let gateway = before(&raw);
        let mut client = Client::connect(&gateway).await;
        let received = client.call(GET).await;
        assert_eq!((received.framing, received.trailers), (Framing::Cut, Vec::new()), "{part}");
    }
}

#[tokio::test]
async fn request_that_ends_before_its_trailers_is_not_complete() {
    let raw = reporting().await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, format!("{POST}\r\n2\r\nhi\r\n0\r\nx-t: v\r\n")).await;
    client.half_close().await;
    client.end().await;
    assert_eq!(raw.asked(), []);
}

#[tokio::test]
async fn llm_responses_have_no_trailers() {
    let body = r#"{"id":"a","usage":{"prompt_tokens":1,"completion_tokens":1}}"#;
    let raw = always(
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n\
             {:x}\r\n{body}\r\n0\r\nx-t: v\r\n\r\n",
            body.len()
        ),
        false,
    )
    .await;
    let gateway = Gateway::before_llm(&format!("http://{}", raw.address));
    let mut client = Client::connect(&gateway).await;
    let call = r#"{"model":"m","messages":[]}"#;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\nte: trailers\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        gateway.caller().authorization()
    );
    for _ in 0..2 {
        // The trailers of the request are dropped too.
        let received = client.call(format!("{head}{:x}\r\n{call}\r\n0\r\nx-t: v\r\n\r\n", call.len())).await;
        received.is_answer(body);
        assert_eq!((received.one("trailer"), &received.trailers[..]), (None, &[][..]));
    }
}

fn map<const N: usize>(fields: [(&'static str, &'static str); N]) -> HeaderMap {
    fields.into_iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
}

/// A gateway before an upstream of HTTP/2, with an open route.
fn before_http2(server: &Server) -> Gateway {
    Gateway::plain(&yaml(server.address, "timeouts: {connect: 15s}\n").replace("http://", "h2c://"))
}

/// Responds as a gRPC server does: the status is a trailer.
async fn grpc(mut asked: StreamRequest) {
    let body = asked.read().await;
    let mut to = asked.reply.send_response(Response::new(()), false).unwrap();
    to.send_data(body.into(), false).unwrap();
    let received = asked.body.trailers().await.unwrap().unwrap_or_default();
    let mut trailers = map([("grpc-status", "0"), ("set-cookie", "a=b"), ("x-forwarded-for", "192.0.2.1")]);
    for (name, value) in &received {
        let name = HeaderName::try_from(format!("seen-{name}")).unwrap();
        trailers.append(name, value.clone());
    }
    to.send_trailers(trailers).unwrap();
}

#[tokio::test]
async fn trailers_pass_to_http2_and_back() {
    let server = Server::start(Plan::streams(100), grpc).await;
    let gateway = before_http2(&server);
    let mut client = Client::connect(&gateway).await;
    let post = format!("{POST}te: trailers\r\n\r\n5\r\nhello\r\n0\r\n");
    let received = client.call(format!("{post}x-t: v\r\nage: 1\r\nX-T: w\r\n\r\n")).await;
    is_hello(&received, Framing::Chunked, &["grpc-status: 0", "seen-x-t: v", "seen-x-t: w"]);
    is_hello(&client.call(format!("{post}\r\n")).await, Framing::Chunked, &["grpc-status: 0"]);
    let received = client.call(format!("{post}x-t: v\r\n\r\n").replace("te: trailers\r\n", "")).await;
    is_hello(&received, Framing::Chunked, &[]);
    let heads = std::mem::take(&mut *server.seen.heads.lock().unwrap());
    let te: Vec<_> = heads.iter().map(|head| head.headers.get("te").map(HeaderValue::as_bytes)).collect();
    assert_eq!(te, [Some(&b"trailers"[..]), Some(b"trailers"), None]);
    for head in heads {
        assert_eq!((head.headers.get("connection"), head.headers["trailer"].as_bytes()), (None, &b"x-t"[..]));
    }
}

#[tokio::test]
async fn request_trailers_are_sent_again_after_a_refused_stream() {
    let server = Server::start(Plan::streams(100), |mut asked: StreamRequest| async move {
        if asked.seen.streams.load(std::sync::atomic::Ordering::Relaxed) == 1 {
            asked.read().await;
            asked.body.trailers().await.unwrap();
            asked.reply.send_reset(Reason::REFUSED_STREAM);
        } else {
            grpc(asked).await;
        }
    })
    .await;
    let gateway = before_http2(&server);
    let mut client = Client::connect(&gateway).await;
    let received = client.call(format!("{POST}te: trailers\r\n\r\n5\r\nhello\r\n0\r\nx-t: v\r\n\r\n")).await;
    is_hello(&received, Framing::Chunked, &["grpc-status: 0", "seen-x-t: v"]);
    assert_eq!(server.seen.heads.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn response_of_trailers_only_is_a_head() {
    let server = Server::start(Plan::streams(100), |mut asked: StreamRequest| async move {
        let mut head = Response::new(());
        *head.headers_mut() = map([("content-type", "application/grpc"), ("grpc-status", "12")]);
        asked.reply.send_response(head, true).unwrap();
    })
    .await;
    let gateway = before_http2(&server);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..2 {
        let received = client.call(GET).await;
        received.is_answer("");
        assert_eq!((received.framing, received.one("grpc-status")), (Framing::Length, Some("12")), "{received:?}");
    }
}

#[tokio::test]
async fn response_of_known_length_over_http2_is_whole_without_its_trailers() {
    let server = Server::start(Plan::streams(100), |mut asked: StreamRequest| async move {
        let mut head = Response::new(());
        *head.headers_mut() = map([("content-length", "5"), ("trailer", "x-t")]);
        let mut to = asked.reply.send_response(head, false).unwrap();
        to.send_data(Bytes::from("hello"), false).unwrap();
        to.send_trailers(map([("x-t", "v")])).unwrap();
    })
    .await;
    let gateway = before_http2(&server);
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        let received = client.call(GET).await;
        is_hello(&received, Framing::Length, &[]);
        assert_eq!((received.one("trailer"), received.closes()), (None, false));
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn stream_that_is_reset_before_its_trailers_is_cut() {
    let server = Server::start(Plan::streams(100), |mut asked: StreamRequest| async move {
        let mut to = asked.reply.send_response(Response::new(()), false).unwrap();
        to.send_data(Bytes::from("hello"), false).unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        to.send_reset(Reason::INTERNAL_ERROR);
    })
    .await;
    let gateway = before_http2(&server);
    let mut client = Client::connect(&gateway).await;
    let received = client.call(GET).await;
    assert_eq!((received.status, received.framing), (StatusCode::OK.as_u16(), Framing::Cut), "{received:?}");
}
