//! `GET /api/live`: messages when figures change, and the end of streams.

use std::time::Duration;

use access::{NanoUsd, Role, Timestamp};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::client::{Answer, call, get};
use crate::document;
use crate::person::send;
use crate::world::{NOON, World, event};

/// A timeout against hangs only.
const PATIENCE: Duration = Duration::from_secs(60);

/// A stream that is read piece by piece.
struct Watching {
    stream: TcpStream,
    read: String,
}

impl Watching {
    async fn begin(world: &World, path: &str, credential: &str) -> Self {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{credential}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut watching = Self { stream, read: String::new() };
        let answer = Answer::read(&watching.until("\r\n\r\n").await);
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "text/event-stream"), "{answer:?}");
        document::check(&format!("GET {path}"), &answer);
        watching
    }

    /// Reads until this text, and returns everything up to its end.
    async fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.read.find(text) {
                let rest = self.read.split_off(at + text.len());
                return std::mem::replace(&mut self.read, rest);
            }
            let mut piece = [0; 4096];
            let bytes = timeout(PATIENCE, self.stream.read(&mut piece)).await.expect("a message in time").unwrap();
            assert!(bytes > 0, "the stream ended before {text:?}: {:?}", self.read);
            self.read.push_str(std::str::from_utf8(&piece[..bytes]).unwrap());
        }
    }

    /// Returns the next message.
    async fn message(&mut self) -> Value {
        self.until("data: ").await;
        let json = self.until("\n\n").await;
        serde_json::from_str(json.trim_end()).unwrap()
    }

    async fn ends(mut self) {
        let mut rest = String::new();
        timeout(PATIENCE, self.stream.read_to_string(&mut rest)).await.expect("the stream ends").unwrap();
        assert!(format!("{}{rest}", self.read).ends_with("0\r\n\r\n"), "{rest:?}");
    }
}

/// Lets the next tick of all streams read again.
fn a_second_later(world: &World) {
    world.clock.advance(Duration::from_secs(1));
}

#[tokio::test]
async fn figures_arrive_at_once_and_again_when_they_change() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event(ada.caller, NOON, Some(NanoUsd(1_500)))]).await;
    let mut watching = Watching::begin(&world, "/api/live", &ada.bearer()).await;
    let first = [watching.message().await, watching.message().await, watching.message().await];
    let topics: Vec<_> = first.iter().map(|message| message["topic"].as_str().unwrap()).collect();
    assert_eq!(topics, ["usage", "spend", "refusals"]);
    assert_eq!(first[0]["data"]["requests"], 1, "{}", first[0]);
    assert_eq!(first[1]["data"]["cost"]["amount_nano"], 1_500);
    assert_eq!(first[2]["data"], json!({"date": first[0]["data"]["date"], "succeeded": 1, "refused": 0, "errors": 0}));
    let later = Timestamp(NOON.0 + 1);
    world.record(vec![event(ada.caller, later, Some(NanoUsd(500)))]).await;
    a_second_later(&world);
    assert_eq!(watching.message().await["data"]["requests"], 2);
    assert_eq!(watching.message().await["data"]["cost"]["amount_nano"], 2_000);
    // Only the other topic is sent: the same usage has another result.
    let mut spend = Watching::begin(&world, "/api/live?topics=spend", &ada.bearer()).await;
    assert_eq!(spend.message().await["topic"], "spend");
}

/// The maximum duration of a call does not end a stream, whose messages are at least a second apart.
#[tokio::test]
async fn a_stream_lasts_longer_than_a_call_may() {
    let limits = control::ServerLimits { call: Duration::from_secs(1), ..control::ServerLimits::default() };
    let world = World::start_with("127.0.0.1:0", limits).await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event(ada.caller, NOON, Some(NanoUsd(1_500)))]).await;
    let path = "/api/live?topics=usage";
    let mut events = Watching::begin(&world, path, &ada.bearer()).await;
    let mut frames = socket(&world, path, &ada.bearer()).await;
    assert_eq!(events.message().await["data"]["requests"], 1);
    assert_eq!(text(&mut frames).await["data"]["requests"], 1);
    for requests in 2..=4_u64 {
        world.record(vec![event(ada.caller, Timestamp(NOON.0 + requests), Some(NanoUsd(500)))]).await;
        a_second_later(&world);
        assert_eq!(events.message().await["data"]["requests"], requests);
        assert_eq!(text(&mut frames).await["data"]["requests"], requests);
    }
}

/// A client that has not read for a while gets the newest figures, and not each change.
#[tokio::test]
async fn changes_within_a_second_are_one_message() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event(ada.caller, NOON, Some(NanoUsd(1)))]).await;
    let mut watching = Watching::begin(&world, "/api/live?topics=usage", &ada.bearer()).await;
    assert_eq!(watching.message().await["data"]["requests"], 1);
    let began = tokio::time::Instant::now();
    for nth in 2..=12_u64 {
        world.record(vec![event(ada.caller, Timestamp(NOON.0 + nth), Some(NanoUsd(1)))]).await;
        a_second_later(&world);
        // Another client reads the new figures at once, which wakes the first one.
        let mut other = Watching::begin(&world, "/api/live?topics=usage", &ada.bearer()).await;
        assert_eq!(other.message().await["data"]["requests"], nth);
    }
    let mut messages = 0;
    while watching.message().await["data"]["requests"] != 12 {
        messages += 1;
    }
    let seconds = began.elapsed().as_secs();
    assert!(messages <= seconds + 1, "{messages} messages before the last one in {seconds} s");
}

#[tokio::test]
async fn each_user_watches_only_what_the_user_may_see() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    world.record(vec![event(ada.caller, NOON, None), event(bob.caller, Timestamp(NOON.0 + 1), None)]).await;
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await;
    let requests = async |path: &str, credential: &str| {
        Watching::begin(&world, path, credential).await.message().await["data"]["requests"].clone()
    };
    assert_eq!(requests("/api/live", &ada.bearer()).await, 1);
    assert_eq!(requests("/api/live", &root.bearer()).await, 2);
    assert_eq!(requests(&format!("/api/live?scope=user:{}", bob.user), &root.bearer()).await, 1);
    let mut health = Watching::begin(&world, "/api/live?topics=health", &root.bearer()).await;
    let health = health.message().await;
    assert_eq!((&health["topic"], &health["data"]["ready"]), (&json!("health"), &json!(true)), "{health}");
    let read = async |path: &str| get(world.address, path, &[&ada.bearer()]).await;
    read("/api/live?topics=health").await.refuses(403, "forbidden");
    read("/api/live?scope=all").await.refuses(404, "not_found");
    read(&format!("/api/live?scope=user:{}", bob.user)).await.refuses(404, "not_found");
    read("/api/live?topics=everything").await.refuses(400, "bad_request");
    get(world.address, "/api/live", &[]).await.refuses(401, "unauthorized");
}

#[tokio::test]
async fn streams_end_at_sign_out_after_nine_minutes_and_in_a_drain() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let open = async |credential: &str| {
        let mut watching = Watching::begin(&world, "/api/live", credential).await;
        watching.message().await;
        watching
    };
    let leaving = world.sign_in(&root).await;
    let signed_out = open(&leaving.bearer()).await;
    assert_eq!(send(&world, "/api/auth/logout", &[&leaving.bearer()]).await.status, 200);
    signed_out.ends().await;
    let staying = world.sign_in(&root).await;
    let old = open(&staying.bearer()).await;
    world.clock.advance(Duration::from_secs(541));
    old.ends().await;
    let drained = open(&staying.bearer()).await;
    world.live_state.drain();
    drained.ends().await;
}

#[tokio::test]
async fn the_stream_of_health_ends_with_the_role_that_it_needs() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let fin = world.person("fin").await;
    let root = world.sign_in(&root).await.bearer();
    let session = world.sign_in(&fin).await.bearer();
    let grant = async |grants: Value| {
        let line = format!("PATCH /api/users/{}", fin.user);
        let body = json!({"grants": grants}).to_string();
        assert_eq!(call(world.address, &line, &[&root, "Content-Type: application/json"], &body).await.status, 200);
    };
    grant(json!([{"role": "finance"}])).await;
    let own = format!("/api/live?topics=health&scope=user:{}", fin.user);
    let mut watching = Watching::begin(&world, &own, &session).await;
    watching.message().await;
    grant(json!([])).await;
    watching.ends().await;
}

#[tokio::test]
async fn the_stream_of_a_key_ends_when_invoices_of_its_user_must_be_paid() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let mut watching = Watching::begin(&world, "/api/live", &ada.bearer()).await;
    watching.message().await;
    world.hold(&ada, "starter").await;
    watching.ends().await;
}

/// A WebSocket of live figures.
type Socket = WebSocketStream<TcpStream>;

/// Opens a WebSocket with these header fields; the response if the server refuses it.
async fn open_socket(world: &World, path: &str, fields: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = format!("ws://{}{path}", world.address).into_client_request().unwrap();
    for (name, value) in fields {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(world.address).await.unwrap();
    match client_async(request, stream).await {
        Ok((socket, response)) => {
            assert_eq!(response.status(), 101);
            uuid::Uuid::parse_str(response.headers()["x-request-id"].to_str().unwrap()).unwrap();
            Ok(socket)
        }
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Opens a WebSocket with a bearer token or a key.
async fn socket(world: &World, path: &str, credential: &str) -> Socket {
    let value = credential.strip_prefix("Authorization: ").unwrap();
    open_socket(world, path, &[("authorization", value)]).await.unwrap()
}

/// Reads the next frame.
async fn frame(socket: &mut Socket) -> Message {
    timeout(PATIENCE, socket.next()).await.expect("a frame in time").unwrap().unwrap()
}

async fn text(socket: &mut Socket) -> Value {
    let Message::Text(text) = frame(socket).await else { panic!("a text") };
    serde_json::from_str(&text).unwrap()
}

/// Reads until the server closes the WebSocket, and returns its code.
async fn closed(mut socket: Socket) -> CloseCode {
    loop {
        if let Message::Close(close) = frame(&mut socket).await {
            return close.unwrap().code;
        }
    }
}

#[tokio::test]
async fn a_websocket_has_the_same_messages() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    world.record(vec![event(ada.caller, NOON, Some(NanoUsd(1_500)))]).await;
    let mut watching = socket(&world, "/api/live?topics=usage,spend", &ada.bearer()).await;
    let first = [text(&mut watching).await, text(&mut watching).await];
    assert_eq!((&first[0]["topic"], &first[0]["data"]["requests"]), (&json!("usage"), &json!(1)));
    assert_eq!((&first[1]["topic"], &first[1]["data"]["cost"]["amount_nano"]), (&json!("spend"), &json!(1_500)));
    // A ping is answered, and nothing is sent while no figure changes.
    watching.send(Message::Ping("a".into())).await.unwrap();
    world.clock.advance(Duration::from_secs(15));
    let mut kinds = Vec::new();
    for _ in 0..2 {
        let sent = frame(&mut watching).await;
        if !matches!(sent, Message::Ping(_)) {
            assert_eq!(sent, Message::Pong("a".into()));
        }
        kinds.push(sent.is_ping());
    }
    assert_ne!(kinds[0], kinds[1]);
    world.record(vec![event(ada.caller, Timestamp(NOON.0 + 1), Some(NanoUsd(500)))]).await;
    a_second_later(&world);
    assert_eq!(text(&mut watching).await["data"]["requests"], 2);
    watching.close(None).await.unwrap();
    while let Some(rest) = timeout(PATIENCE, watching.next()).await.expect("the connection ends") {
        let _ = rest;
    }
}

#[tokio::test]
async fn websockets_end_at_sign_out_after_nine_minutes_and_in_a_drain() {
    let world = World::start().await;
    let root = world.person_with("root", Role::Admin).await;
    let leaving = world.sign_in(&root).await;
    let signed_out = socket(&world, "/api/live", &leaving.bearer()).await;
    assert_eq!(send(&world, "/api/auth/logout", &[&leaving.bearer()]).await.status, 200);
    assert_eq!(closed(signed_out).await, CloseCode::Policy);
    let staying = world.sign_in(&root).await;
    let mut old = socket(&world, "/api/live", &staying.bearer()).await;
    text(&mut old).await;
    world.clock.advance(Duration::from_secs(541));
    assert_eq!(closed(old).await, CloseCode::Away);
    let mut talking = socket(&world, "/api/live", &staying.bearer()).await;
    talking.send(Message::text("hello")).await.unwrap();
    assert_eq!(closed(talking).await, CloseCode::Policy);
    let drained = socket(&world, "/api/live", &staying.bearer()).await;
    world.live_state.drain();
    assert_eq!(closed(drained).await, CloseCode::Away);
}

#[tokio::test]
async fn a_websocket_of_a_foreign_page_or_without_a_right_is_refused() {
    let world = World::start().await;
    let ada = world.holder("ada", "starter").await;
    let bob = world.holder("bob", "starter").await;
    let root = world.person_with("root", Role::Admin).await;
    let root = world.sign_in(&root).await;
    let cookie = root.cookie();
    let own = format!("http://{}", world.address);
    let with = async |fields: &[(&'static str, &str)]| open_socket(&world, "/api/live", fields).await.map(|_| ());
    let cookie = ("cookie", cookie.strip_prefix("Cookie: ").unwrap());
    assert_eq!(with(&[cookie, ("origin", &own)]).await, Ok(()));
    for origin in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        assert_eq!(with(&[cookie, origin]).await, Err(403));
    }
    assert_eq!(with(&[cookie]).await, Err(403), "a script sends a token");
    assert_eq!(with(&[]).await, Err(401));
    let bearer = ada.bearer();
    let bearer = bearer.strip_prefix("Authorization: ").unwrap();
    let of_bob = format!("/api/live?scope=user:{}", bob.user);
    assert_eq!(open_socket(&world, &of_bob, &[("authorization", bearer)]).await.map(|_| ()), Err(404));
    let bearer = ada.bearer();
    let with_version =
        async |version: &str| get(world.address, "/api/live", &["Upgrade: websocket", &bearer, version]).await;
    with_version("Sec-WebSocket-Version: 13").await.refuses(400, "bad_request");
    let other = with_version("Sec-WebSocket-Version: 8").await;
    assert_eq!(other.headers["sec-websocket-version"], "13");
    other.refuses(426, "upgrade_required");
}
