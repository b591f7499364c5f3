//! One address without a credential: it fills neither the permits of all requests nor the queue of passwords.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use e2e::wire::Wire;
use e2e::{Answer, Call, Exchange, Gateway, Setup, Upstream, eventually, eventually_within};
use tokio::time::Instant;

use crate::bodies::{CHAT, Format};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// A request waits at most this long for the check of its password.
const VERIFY_MAX: Duration = Duration::from_secs(5);
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests on the path `/silent` get no response.
async fn upstream() -> Upstream {
    Upstream::start(|mut turn| async move {
        if turn.head.word(1).starts_with("/silent") {
            std::future::pending::<()>().await;
        }
        turn.answer("200 OK", b"ok").await;
        Some(turn)
    })
    .await
}

/// Routes without authentication, LLM calls with a key, and room for 160 requests in flight, 10 of them of one address
/// without a credential.
fn setup(upstream: &Upstream) -> Setup {
    let routes = "{path: {prefix: /}, upstreams: backend, auth: {type: none}}";
    let setup = Setup::routed(upstream.address(), routes).flag("--mock").section("in_flight", "160");
    setup.section("connections", "{in_flight_per_address: 10}")
}

/// Sends a request from an address, and reads the response.
async fn from(address: IpAddr, gateway: &Gateway, call: &Call) -> Answer {
    let wire = Wire::connect_from(address, gateway.proxy).await.unwrap();
    call.over(wire, gateway.proxy).await.unwrap().rest().await
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Opens an HTTP/2 connection and sends GET requests on `streams` streams.
async fn streams(gateway: &Gateway, path: &str, streams: u32) -> Wire {
    let mut wire = Wire::connect(gateway.proxy).await.unwrap();
    let mut bytes = [PREFACE, &frame(4, 0, 0, &[])].concat();
    // RFC 7541: `:method: GET`, `:scheme: http`, and literal `:authority` and `:path` without indexing.
    let literal = |name: u8, value: &str| [&[name, u8::try_from(value.len()).unwrap()], value.as_bytes()].concat();
    let head = [vec![0x82, 0x86], literal(1, "gateway.test"), literal(4, path)].concat();
    for number in 0..streams {
        bytes.extend(frame(1, 5, 2 * number + 1, &head));
    }
    wire.write(&bytes).await.unwrap();
    wire
}

async fn in_flight(gateway: &Gateway, requests: i64) {
    let reached = async || (gateway.gauge("tollgate_requests_in_flight").await == requests).then_some(());
    eventually("the requests are in flight", reached).await;
}

#[track_caller]
fn is_refused(answer: &Answer, status: u16, code: &str, message: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert!(answer.text().contains(code) && answer.text().contains(message), "{}", answer.text());
}

#[tokio::test]
async fn streams_of_one_address_without_a_credential_leave_room_for_everybody_else() {
    let upstream = upstream().await;
    let gateway = Gateway::start(setup(&upstream)).await;
    let key = gateway.key().await;
    // As many as would fill `in_flight`, over connections of 100 streams.
    let mut attack = Vec::new();
    for _ in 0..3 {
        attack.push(streams(&gateway, "/silent", 100).await);
    }
    eventually("its share is in use", async || (upstream.seen().len() == 10).then_some(())).await;
    in_flight(&gateway, 10).await;
    let llm = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
    let open = Call::get("/other");
    from(THERE, &gateway, &open).await.expect(200);
    for address in [HERE, THERE] {
        from(address, &gateway, &llm).await.expect(200);
        from(address, &gateway, &Call::get("/healthz")).await.expect(200);
    }
    let refused = from(HERE, &gateway, &open).await;
    is_refused(&refused, 429, "rate_limited", "10 requests of this address without a credential are in flight");
    assert_eq!((refused.header("retry-after"), upstream.seen().len()), (Some("1"), 11));
    drop(attack);
    gateway.at_rest().await;
    from(HERE, &gateway, &open).await.expect(200);
}

#[tokio::test]
async fn bodies_without_an_end_count_for_their_address() {
    let upstream = upstream().await;
    let gateway = Gateway::start(setup(&upstream)).await;
    let key = gateway.key().await;
    let post = Call::new("POST", "/silent").header("transfer-encoding", "chunked").head(gateway.proxy);
    let mut attack = Vec::new();
    for _ in 0..40 {
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        wire.write(format!("{post}1\r\nx\r\n").as_bytes()).await.unwrap();
        attack.push(wire);
    }
    in_flight(&gateway, 10).await;
    from(THERE, &gateway, &Call::post("/other", "{}")).await.expect(200);
    let llm = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
    from(HERE, &gateway, &llm).await.expect(200);
    drop(attack);
    gateway.at_rest().await;
}

#[tokio::test]
async fn all_anonymous_requests_together_have_half_of_the_permits() {
    let upstream = upstream().await;
    let gateway = Gateway::start(setup(&upstream).section("in_flight", "32")).await;
    let key = gateway.key().await;
    let mut attack = Vec::new();
    for last in 10..40 {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        let mut wire = Wire::connect_from(address, gateway.proxy).await.unwrap();
        wire.write(b"GET /silent HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        // A reset at its end: the end of one direction alone would leave the response to the client.
        wire.stream().set_zero_linger().unwrap();
        attack.push(wire);
    }
    in_flight(&gateway, 16).await;
    is_refused(&from(THERE, &gateway, &Call::get("/other")).await, 503, "overloaded", "without a credential");
    let llm = Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(&key);
    from(THERE, &gateway, &llm).await.expect(200);
    drop(attack);
    gateway.at_rest().await;
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_have_a_share_each() {
    let upstream = upstream().await;
    let setup =
        setup(&upstream).section("connections", "{in_flight_per_address: 1}").section("trusted_proxies", "[127.0.0.1]");
    let gateway = Gateway::start(setup).await;
    let of = |client: &str, path: &str| Call::get(path).header("x-forwarded-for", client);
    let mut first = Wire::connect(gateway.proxy).await.unwrap();
    first.write(of("203.0.113.1", "/silent").head(gateway.proxy).as_bytes()).await.unwrap();
    in_flight(&gateway, 1).await;
    gateway.call(of("203.0.113.2", "/other")).await.expect(200);
    let refused = gateway.call(of("203.0.113.1", "/other")).await;
    is_refused(&refused, 429, "rate_limited", "1 requests of this address");
    // The same client of one network of IPv6.
    let mut second = Wire::connect(gateway.proxy).await.unwrap();
    second.write(of("2001:db8::1", "/silent").head(gateway.proxy).as_bytes()).await.unwrap();
    in_flight(&gateway, 2).await;
    is_refused(&gateway.call(of("2001:db8::ffff", "/other")).await, 429, "rate_limited", "of this address");
    gateway.call(of("2001:db8:0:1::1", "/other")).await.expect(200);
    for wire in [first, second] {
        wire.stream().set_zero_linger().unwrap();
    }
    gateway.at_rest().await;
}

/// The hash of `open sesame` with bcrypt and a cost of 10, which takes some hundredths of a second.
const HASH: &str = "$2b$10$abcdefghijklmnopqrstuu4SuEsu2LsUrAYUpWQHLMMc4GV5pZTxK";

fn with_password(password: &str) -> Call {
    let credential = Base64::encode_string(format!("ada:{password}").as_bytes());
    Call::get("/other").header("authorization", &format!("Basic {credential}"))
}

#[tokio::test]
async fn wrong_passwords_of_one_address_leave_the_queue_to_others() {
    let upstream = upstream().await;
    let routes = "{path: {prefix: /}, upstreams: backend, auth: {type: basic, use: ops}}";
    let entry = format!("[{{name: ops, type: basic, users: [{{name: ada, hash: \"{HASH}\"}}]}}]");
    let gateway = Gateway::start(Setup::routed(upstream.address(), routes).section("auth", &entry)).await;
    let mut attack = Vec::new();
    for number in 0..80 {
        let mut wire = Wire::connect(gateway.proxy).await.unwrap();
        wire.write(&with_password(&format!("wrong {number}")).bytes(gateway.proxy)).await.unwrap();
        attack.push(wire);
    }
    // A full queue refuses at once. Checks yield to all other work, so on a busy machine one may take longer than it may wait.
    let mut tries = 0;
    eventually_within(Duration::from_secs(120), "a password is checked in time", async || {
        tries += 1;
        let began = Instant::now();
        let answer = from(THERE, &gateway, &with_password("open sesame")).await;
        let is_late = answer.status() == 503 && began.elapsed() >= VERIFY_MAX;
        (!is_late).then(|| answer.expect(200))
    })
    .await;
    let mut statuses = Vec::new();
    for mut wire in attack {
        let head = wire.head().await.unwrap();
        statuses.push(Exchange::new(wire, head, "GET").rest().await.status());
    }
    // Four wait at a time, and the others are asked to come again.
    let verified = statuses.iter().filter(|status| **status == 401).count();
    let busy = statuses.iter().filter(|status| **status == 503).count();
    assert!((verified >= 4 || tries > 1) && busy > 16 && verified + busy == 80, "{statuses:?}");
}
