//! Many clients of live figures: their memory, and the delay of a message to all of them.

use std::time::Duration;

use e2e::vitals::raise_descriptors;
use e2e::{Call, Canary, Gateway, Setup, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::bodies::{CHAT, Format};
use crate::hostile::say;

/// The number of clients of each kind, server-sent events and WebSockets; in long runs 5,000.
const EACH: usize = 500;
/// Maximum memory of the server per client.
const CLIENT_BYTES_MAX: u64 = 30 * 1024;
/// Maximum time from the first client that has a message to the last one.
const SPREAD_MAX: Duration = Duration::from_secs(1);
/// Maximum time from the stored request to the last client that has its message: figures are read once a second.
const DELAY_MAX: Duration = Duration::from_secs(2);
/// Descriptors for both ends of a thousand connections.
const DESCRIPTORS: u64 = 5_000;
/// The number of clients of each kind that read nothing.
const UNREAD: usize = 100;
/// The window of a client that reads nothing.
const WINDOW_BYTES: u32 = 2_048;
const SOCKET: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A client of live figures, of which only the texts are read.
struct LiveClient {
    stream: TcpStream,
    read: Vec<u8>,
}

impl LiveClient {
    /// Connects, and waits for the first message.
    async fn open(gateway: &Gateway, key: &str, is_socket: bool) -> Self {
        let stream = TcpStream::connect(gateway.control).await.unwrap();
        let mut client = Self { stream, read: Vec::new() };
        client.ask(key, is_socket).await;
        client.until(if is_socket { b"HTTP/1.1 101 " } else { b"HTTP/1.1 200 " }).await;
        client.until(b"\"requests\":0,").await;
        client
    }

    /// Connects with a small window, and reads nothing.
    async fn open_unread(gateway: &Gateway, key: &str, is_socket: bool) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(WINDOW_BYTES).unwrap();
        let mut client = Self { stream: socket.connect(gateway.control).await.unwrap(), read: Vec::new() };
        client.ask(key, is_socket).await;
        client.stream.readable().await.unwrap();
        client
    }

    async fn ask(&mut self, key: &str, is_socket: bool) {
        let upgrade = if is_socket { SOCKET } else { "" };
        let head =
            format!("GET /api/live?topics=usage HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{upgrade}\r\n");
        self.stream.write_all(head.as_bytes()).await.unwrap();
    }

    /// Reads until this text.
    async fn until(&mut self, text: &[u8]) {
        loop {
            if let Some(at) = self.read.windows(text.len()).position(|part| part == text) {
                self.read.drain(..at + text.len());
                return;
            }
            let mut piece = [0; 4096];
            let bytes = self.stream.read(&mut piece).await.unwrap();
            assert!(bytes > 0, "the stream ended: {}", String::from_utf8_lossy(&self.read));
            self.read.extend_from_slice(&piece[..bytes]);
        }
    }
}

#[tokio::test]
async fn a_thousand_live_clients_need_little_memory_and_get_each_message() {
    let each_kind = if e2e::is_long() { 10 * EACH } else { EACH };
    raise_descriptors(if e2e::is_long() { 4 * DESCRIPTORS } else { DESCRIPTORS });
    // A user may have half of three quarters of all connections.
    let gateway =
        Gateway::start(Setup::mocked().section("control", "{connections: {max: 40000, per_address: 40000}}")).await;
    let key = gateway.key().await;
    let mut clients = vec![LiveClient::open(&gateway, &key, true).await, LiveClient::open(&gateway, &key, false).await];
    let before = gateway.vitals().memory_bytes();
    for nth in 0..each_kind * 2 {
        clients.push(LiveClient::open(&gateway, &key, nth % 2 == 0).await);
    }
    let used = gateway.vitals().memory_bytes().saturating_sub(before);
    let each = used / u64::try_from(each_kind * 2).unwrap();
    assert!(each <= CLIENT_BYTES_MAX, "{each} bytes per client");

    // A client gets at most one message a second: the first ones were sent less than a second ago.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let canary = Canary::new();
    gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
    let mut reading = JoinSet::new();
    for mut client in clients {
        reading.spawn(async move {
            client.until(b"\"requests\":1,").await;
            (client, tokio::time::Instant::now())
        });
    }
    gateway.counted(&key, 1).await;
    let stored = canary.elapsed();
    let (clients, times): (Vec<_>, Vec<_>) = reading.join_all().await.into_iter().unzip();
    let delay = canary.elapsed().saturating_sub(stored);
    let spread = *times.iter().max().unwrap() - *times.iter().min().unwrap();
    let [delay_max, spread_max] = [DELAY_MAX, SPREAD_MAX].map(|bound| canary.allows(bound));
    say(&format!("{each} bytes per client; the first to the last message {spread:?}, after the request {delay:?}"));
    assert!(spread <= spread_max, "{spread:?} from the first client to the last one, allowed are {spread_max:?}");
    assert!(delay <= delay_max, "{delay:?} until the last client had the message, allowed are {delay_max:?}");

    // Clients that disconnect leave nothing behind.
    drop(clients);
    eventually("others may watch again", async || {
        let mut client = LiveClient { stream: TcpStream::connect(gateway.control).await.ok()?, read: Vec::new() };
        let head = format!("GET /api/live HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n");
        client.stream.write_all(head.as_bytes()).await.ok()?;
        client.until(b"\"requests\":1,").await;
        Some(())
    })
    .await;
}

#[tokio::test]
async fn clients_that_read_nothing_need_little_memory_and_delay_no_other() {
    let gateway =
        Gateway::start(Setup::mocked().section("control", "{connections: {max: 4000, per_address: 4000}}")).await;
    let key = gateway.key().await;
    let mut reading = [LiveClient::open(&gateway, &key, true).await, LiveClient::open(&gateway, &key, false).await];
    let mut before = 0;
    let mut unread = Vec::new();
    // Each of these figures is a message to all clients. The first request needs memory that further ones use again.
    for requests in 1..=6_u64 {
        gateway.call(Call::json(CHAT, &Format::Chat.body("mock", false)).key(&key)).await.expect(200);
        gateway.counted(&key, requests).await;
        for client in &mut reading {
            client.until(format!("\"requests\":{requests},").as_bytes()).await;
        }
        if requests == 1 {
            before = gateway.vitals().memory_bytes();
            for nth in 0..UNREAD * 2 {
                unread.push(LiveClient::open_unread(&gateway, &key, nth % 2 == 0).await);
            }
        }
    }
    let used = gateway.vitals().memory_bytes().saturating_sub(before);
    let each = used / u64::try_from(UNREAD * 2).unwrap();
    assert!(each <= CLIENT_BYTES_MAX, "{each} bytes per client");
    // A client that reads again finds the newest figures.
    for client in unread.iter_mut().take(2) {
        client.until(b"\"requests\":6,").await;
    }
}
