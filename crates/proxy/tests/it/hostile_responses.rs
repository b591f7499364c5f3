//! Hostile responses, and the bytes that a client reads of them: a refusal, a whole response or a clean cut. The next
//! client of the same worker gets its own response.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::gateway::Gateway;
use crate::raw::{Conn, Raw};
use crate::wire::{Client, Framing, Received, answer, before, configured};

/// The response that a client must receive.
#[derive(Debug, Clone, Copy)]
enum ExpectedResponse {
    /// A refusal with 502 and this code.
    Refused(&'static str),
    /// A whole response with this status and body.
    Whole(u16, &'static str),
    /// A response whose end is missing, with this beginning of a body.
    Cut(&'static str),
}
use ExpectedResponse::{Cut, Refused, Whole};

const PROTOCOL: ExpectedResponse = Refused("upstream_protocol");
const RESET: ExpectedResponse = Refused("upstream_reset");

/// Name, what the upstream writes in response to a GET, whether it then closes, and what the client must see.
const RESPONSES: &[(&str, &[u8], bool, ExpectedResponse)] = &[
    // The version and the status.
    ("HTTP/0.9", b"<html>hello</html>", true, PROTOCOL),
    ("HTTP/0.9 in lines", b"<html>\r\nhello\r\n</html>\r\n\r\n", false, PROTOCOL),
    ("status of no digits", b"HTTP/1.1 OK\r\n\r\n", false, PROTOCOL),
    ("status with a sign", b"HTTP/1.1 +20 OK\r\n\r\n", false, PROTOCOL),
    ("status 000", b"HTTP/1.1 000 Zero\r\n\r\n", false, PROTOCOL),
    ("status with a point", b"HTTP/1.1 20.0 OK\r\n\r\n", false, PROTOCOL),
    ("status in hex", b"HTTP/1.1 0xC8 OK\r\n\r\n", false, PROTOCOL),
    ("version with another digit", b"HTTP/1.10 200 OK\r\n\r\n", false, PROTOCOL),
    ("version 3", b"HTTP/3 200 OK\r\n\r\n", false, PROTOCOL),
    ("space before the version", b" HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("name of another protocol", b"ICY 200 OK\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("request instead of a response", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", false, PROTOCOL),
    ("byte order mark", b"\xef\xbb\xbfHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("NUL before the version", b"\0HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("NUL in the reason", b"HTTP/1.1 200 O\0K\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("lone CR in the reason", b"HTTP/1.1 200 OK\rx: y\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("lone LF in the reason", b"HTTP/1.1 200 OK\nx: y\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("status over 599", b"HTTP/1.1 799 Odd\r\ncontent-length: 2\r\n\r\nok", false, Whole(799, "ok")),
    ("interim status that nobody knows", b"HTTP/1.1 199 x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false,
        Whole(200, "ok")),
    ("interim response and the end", b"HTTP/1.1 100 Continue\r\n\r\n", true, RESET),
    ("part of an interim response and the end", b"HTTP/1.1 100 Cont", true, RESET),
    ("interim response with chunks", b"HTTP/1.1 103 x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false, PROTOCOL),
    ("interim response that smuggles a field", b"HTTP/1.1 103 x\r\na: b\nc: d\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", false,
        PROTOCOL),
    ("switch after an interim response", b"HTTP/1.1 100 x\r\n\r\nHTTP/1.1 101 y\r\nupgrade: z\r\n\r\n", false, PROTOCOL),
    ("switch without a protocol", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", false, PROTOCOL),
    ("switch and a response", b"HTTP/1.1 101 x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", false, PROTOCOL),
    // Fields.
    ("field injected by a lone LF", b"HTTP/1.1 200 OK\r\na: b\nset-cookie: evil=1\r\ncontent-length: 0\r\n\r\n", false,
        PROTOCOL),
    ("field injected by a lone CR", b"HTTP/1.1 200 OK\r\na: b\rset-cookie: evil=1\r\ncontent-length: 0\r\n\r\n", false,
        PROTOCOL),
    ("response injected by LF LF", b"HTTP/1.1 200 OK\r\na: b\n\nHTTP/1.1 200 OK\r\n\r\n", false, PROTOCOL),
    ("head that ends with CRLF LF", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\n", false, PROTOCOL),
    ("head that ends with LF CRLF", b"HTTP/1.1 200 OK\r\ncontent-length: 0\n\r\n", false, PROTOCOL),
    ("fold with a tab", b"HTTP/1.1 200 OK\r\na: b\r\n\tc\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("fold of the length", b"HTTP/1.1 200 OK\r\ncontent-length:\r\n 2\r\n\r\nok", false, PROTOCOL),
    ("space before the colon of the length", b"HTTP/1.1 200 OK\r\ncontent-length : 2\r\n\r\nok", false,
        Whole(200, "ok")),
    ("tab before the colon of the coding", b"HTTP/1.1 200 OK\r\ntransfer-encoding\t: chunked\r\n\r\n0\r\n\r\n", false,
        Whole(200, "")),
    ("byte over 127 in a name", b"HTTP/1.1 200 OK\r\na\xe9: b\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("escape in a value", b"HTTP/1.1 200 OK\r\na: \x1b[2J\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    ("vertical tab before the length", b"HTTP/1.1 200 OK\r\ncontent-length:\x0b2\r\n\r\nok", false, PROTOCOL),
    ("status line among the fields", b"HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", false, PROTOCOL),
    // Framing.
    ("two lengths apart", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\na: b\r\ncontent-length: 0\r\n\r\nok", false, PROTOCOL),
    ("length and an odd coding", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: x\r\n\r\nok", false, PROTOCOL),
    ("two codings in two fields", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        false, PROTOCOL),
    ("empty coding", b"HTTP/1.1 200 OK\r\ntransfer-encoding:\r\n\r\n0\r\n\r\n", false, PROTOCOL),
    ("coding in quotes", b"HTTP/1.1 200 OK\r\ntransfer-encoding: \"chunked\"\r\n\r\n0\r\n\r\n", false, PROTOCOL),
    ("coding with a parameter", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked;a=b\r\n\r\n0\r\n\r\n", false, PROTOCOL),
    ("coding behind a comma", b"HTTP/1.1 200 OK\r\ntransfer-encoding: ,chunked\r\n\r\n0\r\n\r\n", false, PROTOCOL),
    ("length with a byte over 127", b"HTTP/1.1 200 OK\r\ncontent-length: 2\xa0\r\n\r\nok", false, PROTOCOL),
    ("length of 2 to 64", b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551616\r\n\r\nok", false, PROTOCOL),
    ("length just below 2 to 63 and the end", b"HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\nok", true,
        Cut("ok")),
    ("length in 204", b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello", false, Whole(204, "")),
    ("coding in 204", b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", false, Whole(204, "")),
    ("two lengths in 304", b"HTTP/1.1 304 x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", false, Whole(304, "")),
    ("later minor version", b"HTTP/1.2 200 OK\r\ncontent-length: 2\r\n\r\nok", false, Whole(200, "ok")),
    ("coding in other case", b"HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false,
        Whole(200, "ok")),
    ("length with blanks", b"HTTP/1.1 200 OK\r\ncontent-length: \t2 \t\r\n\r\nok", false, Whole(200, "ok")),
    ("body behind 304", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 4\r\n\r\nevil", false, Whole(304, "")),
    ("response behind 304", b"HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", false,
        Whole(304, "")),
    ("body behind an empty body", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nevil", false, Whole(200, "")),
    ("response behind a chunked one",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        false, Whole(200, "ok")),
    ("one byte behind a response", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r", false, Whole(200, "ok")),
    ("empty line behind a response", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r\n", false, Whole(200, "ok")),
    ("response that says close and goes on",
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil",
        false, Whole(200, "ok")),
    // Chunks.
    ("size of a chunk below zero", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n", false, Cut("")),
    ("size of a chunk with an underscore", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0_2\r\nok\r\n0\r\n\r\n", false,
        Cut("")),
    ("size of a chunk of 2 to 64", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000000000000002\r\nok\r\n0\r\n\r\n",
        false, Cut("")),
    ("size of 17 digits", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n00000000000000002\r\nok\r\n0\r\n\r\n", false,
        Cut("")),
    ("lone CR behind a size", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\rok\r\n0\r\n\r\n", false, Cut("")),
    ("no size", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\nok\r\n0\r\n\r\n", false, Cut("")),
    ("lone LF in an extension", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a\nok\r\n0\r\n\r\n", false, Cut("")),
    ("NUL in an extension", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a\0\r\nok\r\n0\r\n\r\n", false, Cut("")),
    ("NUL in a trailer", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\na: \0\r\n\r\n", false, Cut("ok")),
    ("fold in a trailer", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\na: b\r\n c\r\n\r\n", false,
        Cut("ok")),
    ("response in the trailers",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHTTP/1.1 200 OK\r\n\r\n", false, Cut("ok")),
    ("coding in a trailer", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\ntransfer-encoding: x\r\n\r\n",
        false, Whole(200, "ok")),
    ("space in a trailer's name", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\na b: c\r\n\r\n", false,
        Cut("ok")),
    ("end without the last chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", true, Cut("ok")),
    ("end in the size of the last chunk", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0", true, Cut("ok")),
    ("end in the trailers", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\na: b\r\n", true, Cut("ok")),
];

/// Responds to the first request as `script` does, and to every later one with `own`.
async fn hostile<F>(script: impl Fn(Conn) -> F + Clone + Send + 'static) -> Raw
where
    F: Future<Output = Option<Conn>> + Send + 'static,
{
    Raw::start(move |mut conn: Conn| {
        let script = script.clone();
        async move {
            let mut conn = if conn.number == 1 {
                match script(conn).await {
                    Some(conn) => conn,
                    None => return,
                }
            } else {
                let Some(sent) = conn.request().await else { return };
                conn.note(&sent.summary());
                conn.say(answer("own")).await;
                conn
            };
            while let Some(sent) = conn.request().await {
                conn.note(&sent.summary());
                conn.say(answer("own")).await;
            }
        }
    })
    .await
}

async fn writes(bytes: Vec<u8>, ends: bool) -> Raw {
    hostile(move |mut conn| {
        let bytes = bytes.clone();
        async move {
            let sent = conn.request().await?;
            conn.note(&sent.summary());
            conn.say(bytes).await;
            (!ends).then_some(conn)
        }
    })
    .await
}

/// Asserts what a client sees, and that what follows on its connection is its own. The client continues when `sent` is
/// done: bytes that the upstream sends after its response, and after the next request, break the next response.
async fn check(gateway: &Gateway, name: &str, seen: ExpectedResponse, sent: impl Future<Output = ()>) {
    let mut client = Client::sending(gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let received = client.response("GET").await;
    judge(&received, name, seen);
    sent.await;
    if received.framing == Framing::Cut || received.closes() {
        assert_eq!(client.end().await.rest, "", "{name}");
    } else {
        client.call("GET /api/y HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
    }
    next_client_is_served(gateway).await;
}

#[track_caller]
fn judge(received: &Received, name: &str, seen: ExpectedResponse) {
    assert!(!format!("{received:?}").contains("evil"), "{name}: {received:?}");
    match seen {
        Refused(code) => {
            assert_eq!((received.status, received.code()), (502, Some(code)), "{name}: {received:?}");
            assert_eq!(received.framing, Framing::Length, "{name}");
        }
        Whole(status, body) => {
            assert_eq!((received.status, received.body.as_str()), (status, body), "{name}: {received:?}");
            assert_ne!(received.framing, Framing::Cut, "{name}");
        }
        Cut(body) => {
            assert_eq!((received.status, received.framing), (200, Framing::Cut), "{name}: {received:?}");
            // Of a cut chunked body the client here keeps the bytes of the last chunk only.
            assert!(body.contains(received.body.as_str()) || received.body.contains(body), "{name}: {received:?}");
        }
    }
}

async fn next_client_is_served(gateway: &Gateway) {
    let mut client = Client::connect(gateway).await;
    for _ in 0..2 {
        client.call("GET /api/next HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
    }
}

#[tokio::test]
async fn hostile_responses_are_refused_or_read_in_one_way() {
    assert!(RESPONSES.len() > 60, "{}", RESPONSES.len());
    for (name, bytes, ends, seen) in RESPONSES {
        let raw = writes(bytes.to_vec(), *ends).await;
        check(&before(&raw), name, *seen, std::future::ready(())).await;
    }
}

#[tokio::test]
async fn hostile_responses_are_so_byte_by_byte() {
    for (name, bytes, ends, seen) in RESPONSES {
        let (has_sent, mut sent) = tokio::sync::watch::channel(false);
        let raw = hostile(move |mut conn| {
            let has_sent = has_sent.clone();
            async move {
                let request = conn.request().await?;
                conn.note(&request.summary());
                for byte in *bytes {
                    if !conn.say([*byte]).await {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                has_sent.send_replace(true);
                (!ends).then_some(conn)
            }
        })
        .await;
        let sent = async {
            sent.wait_for(|is_sent| *is_sent).await.unwrap();
        };
        check(&before(&raw), name, *seen, sent).await;
    }
}

#[tokio::test]
async fn response_that_ends_anywhere_is_refused_or_cut() {
    for response in [
        "HTTP/1.1 200 OK\r\na: b\r\ncontent-length: 5\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\nhel\r\n2\r\nlo\r\n0\r\nt: v\r\n\r\n",
    ] {
        let head_end = response.rfind("\r\n\r\nh").or(response.find("\r\n\r\n3")).unwrap() + 4;
        for at in 0..response.len() {
            let raw = writes(response.as_bytes()[..at].to_vec(), true).await;
            let gateway = before(&raw);
            let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
            let received = client.response("GET").await;
            let name = format!("{:?}", &response[..at]);
            if at < head_end {
                judge(&received, &name, RESET);
            } else {
                assert_eq!((received.status, received.framing), (200, Framing::Cut), "{name}: {received:?}");
                assert_eq!(client.end().await.rest, "", "{name}");
            }
            next_client_is_served(&gateway).await;
        }
    }
}

#[tokio::test]
async fn response_before_its_request_is_no_other_clients() {
    // The upstream speaks first; a connection that was used before gets a second response while it rests.
    let raw = hostile(|mut conn| async move {
        conn.say(answer("first")).await;
        let sent = conn.request().await?;
        conn.note(&sent.summary());
        Some(conn)
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let received = client.response("GET").await;
    assert!(received.body == "first" || received.status == 502, "{received:?}");
    next_client_is_served(&gateway).await;
}

#[tokio::test]
async fn response_before_the_end_of_its_request_is_no_other_clients() {
    let raw = hostile(|mut conn| async move {
        use tokio::io::AsyncReadExt;
        let mut read = Vec::new();
        while !read.ends_with(b"begin") {
            read.push(conn.stream.read_u8().await.ok()?);
        }
        conn.say(answer("early")).await;
        conn.say(answer("evil")).await;
        conn.linger().await;
        None
    })
    .await;
    let gateway = before(&raw);
    let mut client =
        Client::sending(&gateway, "POST /api/x HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nbegin").await;
    let received = client.response("POST").await;
    received.is_answer("early");
    if client.try_send(" end").await && !received.closes() {
        client.call("GET /api/y HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
    }
    next_client_is_served(&gateway).await;
}

#[tokio::test]
async fn response_after_its_client_gave_up_is_no_other_clients() {
    let is_gone = Arc::new(Semaphore::new(0));
    let gone = Arc::clone(&is_gone);
    let raw = hostile(move |mut conn| {
        let gone = Arc::clone(&gone);
        async move {
            let sent = conn.request().await?;
            conn.note(&sent.summary());
            gone.acquire().await.unwrap().forget();
            conn.say(answer("evil")).await;
            Some(conn)
        }
    })
    .await;
    let gateway = before(&raw);
    let client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    while raw.asked().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    // A close could be one of the sending side only, whose client still reads.
    client.stream.set_zero_linger().unwrap();
    drop(client);
    while gateway.in_flight() > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    is_gone.add_permits(1);
    next_client_is_served(&gateway).await;
    sleep(Duration::from_millis(50)).await;
    next_client_is_served(&gateway).await;
    assert_eq!(raw.asked().iter().filter(|(number, _)| *number == 1).count(), 1, "that connection is not used again");
}

#[tokio::test]
async fn response_after_the_deadline_is_no_other_clients() {
    let raw = hostile(|mut conn| async move {
        let sent = conn.request().await?;
        conn.note(&sent.summary());
        sleep(Duration::from_millis(1_200)).await;
        conn.say(answer("evil")).await;
        Some(conn)
    })
    .await;
    let gateway = configured(&raw, "timeouts: {connect: 1s, first_byte: 600ms}\n");
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let received = client.response("GET").await;
    received.is_refusal(504, "upstream_timeout");
    next_client_is_served(&gateway).await;
    sleep(Duration::from_millis(1_200)).await;
    next_client_is_served(&gateway).await;
    client.call("GET /api/y HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
}

#[tokio::test]
async fn unasked_response_on_a_resting_connection_is_nobodys() {
    for late in [0_u64, 1, 5, 50] {
        let raw = hostile(move |mut conn| async move {
            let sent = conn.request().await?;
            conn.note(&sent.summary());
            conn.say(answer("own")).await;
            sleep(Duration::from_millis(late)).await;
            conn.say(answer("evil")).await;
            Some(conn)
        })
        .await;
        let gateway = before(&raw);
        let mut client = Client::connect(&gateway).await;
        client.call("GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
        sleep(Duration::from_millis(late + 20)).await;
        client.call("GET /api/y HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
        next_client_is_served(&gateway).await;
    }
}

#[tokio::test]
async fn upstream_that_closes_after_each_response_without_saying_so_serves_everybody() {
    let raw = crate::wire::upstream(|_| (answer("own"), true)).await;
    let gateway = before(&raw);
    for _ in 0..10 {
        next_client_is_served(&gateway).await;
    }
}

#[tokio::test]
async fn body_of_a_head_is_nobodys_response() {
    let raw = writes(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil".to_vec(), false).await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "HEAD /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(client.response("HEAD").await.one("content-length"), Some("4"));
    client.call("GET /api/y HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
    next_client_is_served(&gateway).await;
}

#[tokio::test]
async fn reset_after_a_whole_response_leaves_it_whole() {
    let raw = hostile(|mut conn| async move {
        let sent = conn.request().await?;
        conn.note(&sent.summary());
        conn.say(answer("own")).await;
        conn.is_read().await;
        conn.reset();
        None
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.response("GET").await.is_answer("own");
    sleep(Duration::from_millis(150)).await;
    next_client_is_served(&gateway).await;
    client.call("GET /api/y HTTP/1.1\r\nhost: x\r\n\r\n").await.is_answer("own");
}

#[tokio::test]
async fn flood_behind_a_response_is_not_read_without_end() {
    let raw = hostile(|mut conn| async move {
        let sent = conn.request().await?;
        conn.note(&sent.summary());
        conn.say(answer("own")).await;
        let evil = answer("evil").repeat(1_000);
        while conn.say(&evil).await {}
        None
    })
    .await;
    let gateway = before(&raw);
    let mut client = Client::sending(&gateway, "GET /api/x HTTP/1.1\r\nhost: x\r\n\r\n").await;
    client.response("GET").await.is_answer("own");
    for _ in 0..5 {
        next_client_is_served(&gateway).await;
    }
}
