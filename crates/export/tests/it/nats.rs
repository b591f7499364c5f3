//! A real NATS server with JetStream, and servers that fail.

use std::collections::BTreeSet;
use std::net::TcpListener as PortProbe;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use access::Secret;
use export::{EventTarget, NatsStream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::certificates::trusting;
use crate::spooled::{NODE, Spooled, ids, parsed, sorted};

/// Returns a stream at this port, without TLS.
pub(crate) fn stream(port: u16, user: Option<&str>, password: Option<&str>) -> NatsStream {
    NatsStream {
        is_tls: false,
        host: "127.0.0.1".to_owned(),
        port,
        subject: "usage".to_owned(),
        user: user.map(str::to_owned),
        password: password.map(|password| Secret::new(password.to_owned())),
        tls: trusting(&[]),
    }
}

fn target(port: u16, user: Option<&str>, password: Option<&str>) -> EventTarget {
    EventTarget::Nats(stream(port, user, password))
}

/// A server that the test may kill and start again.
pub(crate) struct Nats {
    folder: TempDir,
    pub(crate) port: u16,
    /// Lines that are added to the configuration.
    settings: String,
    child: Child,
}

impl Nats {
    async fn start() -> Self {
        Self::start_with("").await
    }

    pub(crate) async fn start_with(settings: &str) -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let child = launch(&folder, port, settings).await;
        Self { folder, port, settings: settings.to_owned(), child }
    }

    /// Creates the stream of the export.
    pub(crate) async fn create_stream(&self) {
        let stream = json!({
            "name": "USAGE", "subjects": ["usage.>"], "storage": "file", "retention": "limits",
            "duplicate_window": 120_000_000_000_u64,
        });
        let created = self.client().await.ask("$JS.API.STREAM.CREATE.USAGE", &stream).await;
        assert!(created["error"].is_null(), "{created}");
    }

    /// The rows in the stream, in its order.
    pub(crate) async fn rows(&self) -> Vec<Value> {
        self.client().await.rows().await
    }

    async fn client(&self) -> Client {
        Client::connect(self.port).await.unwrap()
    }

    async fn restart(&mut self) {
        self.kill();
        self.child = launch(&self.folder, self.port, &self.settings).await;
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Returns a free port below those that connections have at their own end: while the server is down, its port stays free.
fn free_port() -> u16 {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    loop {
        let nth = std::process::id().wrapping_mul(16).wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(nth % 20_000).unwrap();
        if PortProbe::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

async fn launch(folder: &TempDir, port: u16, settings: &str) -> Child {
    let config = folder.path().join("nats.conf");
    let store = folder.path().join("store");
    let text = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{store_dir: \"{}\"}}\n\
         authorization {{user: writer, password: S3CRET}}\n{settings}\n",
        store.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("nats-server");
    command.arg("-c").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => panic!("nats-server: {error}. As root: apt-get install -y nats-server"),
    };
    for _ in 0..600 {
        if Client::connect(port).await.is_some() {
            return child;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nats-server does not start");
}

/// A client of the test, independent of the one under test.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(port: u16) -> Option<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let mut client = Self(BufReader::new(stream));
        client.line().await?;
        client.send("CONNECT {\"verbose\":false,\"user\":\"writer\",\"pass\":\"S3CRET\"}\r\nPING\r\n").await;
        (client.line().await?.trim() == "PONG").then_some(client)
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).await.ok()? > 0).then_some(line)
    }

    /// Sends a request of the API of JetStream.
    async fn ask(&mut self, subject: &str, body: &Value) -> Value {
        let body = body.to_string();
        self.send(&format!("SUB reply 7\r\nPUB {subject} reply {}\r\n{body}\r\nUNSUB 7 1\r\n", body.len())).await;
        loop {
            let line = self.line().await.unwrap();
            if !line.starts_with("MSG reply ") {
                continue;
            }
            let length: usize = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
            let mut content = vec![0; length + 2];
            self.0.read_exact(&mut content).await.unwrap();
            return serde_json::from_slice(&content[..length]).unwrap();
        }
    }

    async fn rows(&mut self) -> Vec<Value> {
        let info = self.ask("$JS.API.STREAM.INFO.USAGE", &json!({})).await;
        let mut rows = Vec::new();
        for sequence in 1..=info["state"]["last_seq"].as_u64().unwrap() {
            let message = self.ask("$JS.API.STREAM.MSG.GET.USAGE", &json!({"seq": sequence})).await;
            let data = message["message"]["data"].as_str().unwrap();
            rows.push(parsed(&String::from_utf8(decoded(data)).unwrap()));
        }
        rows
    }
}

/// Decodes a text in Base64.
fn decoded(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let mut bits = 0_u32;
    let mut count = 0;
    for letter in text.bytes().filter(|letter| *letter != b'=') {
        let value = LETTERS.iter().position(|known| *known == letter).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).unwrap());
        }
    }
    bytes
}

#[tokio::test]
async fn rows_are_in_the_stream_once_although_batches_are_repeated() {
    let mut nats = Nats::start().await;
    let mut spooled = Spooled::new();
    let mut job = spooled.start(target(nats.port, Some("writer"), Some("S3CRET")));
    spooled.append(0..20);
    let error = job.drain().await.unwrap_err();
    assert_eq!(error.to_string(), "no stream of JetStream has the subject of the export: create it");
    nats.create_stream().await;
    spooled.append(20..300);
    job.drain().await.unwrap();
    nats.kill();
    spooled.append(300..400);
    assert_eq!(job.drain().await.unwrap_err().to_string(), "the target of the export cannot be reached");
    nats.restart().await;
    job.drain().await.unwrap();
    drop(job);
    // Without its position, the export repeats what the spool still has.
    std::fs::remove_file(spooled.folder().path().join("export/positions")).unwrap();
    let mut job = spooled.start(target(nats.port, Some("writer"), Some("S3CRET")));
    job.drain().await.unwrap();
    let rows = nats.rows().await;
    let received: Vec<String> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sorted(received), sorted(ids(0..400)));
    let sum: u64 = rows.iter().map(|row| row["requests"].as_u64().unwrap()).sum();
    assert_eq!(sum, 360 + 40 * 10);
    assert!(rows.iter().all(|row| row["node"] == json!(NODE)));
}

#[tokio::test]
async fn a_server_that_is_away_for_a_day_gets_the_newest_rows_and_the_others_are_counted() {
    const KEPT: u64 = 64 * 1024;
    let mut nats = Nats::start().await;
    nats.create_stream().await;
    nats.kill();
    let mut spooled = Spooled::new();
    spooled.size_bytes_max = KEPT;
    let mut job = spooled.start(target(nats.port, Some("writer"), Some("S3CRET")));
    for hour in 0..24 {
        spooled.append(hour * 100..hour * 100 + 100);
        assert_eq!(job.drain().await.unwrap_err().to_string(), "the target of the export cannot be reached");
        // Nothing waits for the store.
        spooled.ingest();
        assert!(spooled.waiting_bytes() <= KEPT + 100);
        spooled.clock.advance(Duration::from_hours(1));
    }
    nats.restart().await;
    // A batch whose segments are gone is given up.
    let _ = job.drain().await;
    job.drain().await.unwrap();
    let all = ids(0..2_400);
    let rows = nats.rows().await;
    let received: BTreeSet<String> = rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    let newest = &all[all.len() - 100..];
    assert!(newest.iter().all(|id| received.contains(id)) && received.len() < all.len(), "{} rows", received.len());
    let counted = received.len() as u64 + spooled.skipped_rows();
    assert!(spooled.skipped_rows() > 0 && counted >= all.len() as u64, "{counted} of {} rows", all.len());
}

#[tokio::test]
async fn a_wrong_password_is_an_error_without_it() {
    let nats = Nats::start().await;
    let mut spooled = Spooled::new();
    let mut job = spooled.start(target(nats.port, Some("writer"), Some("WR0NG")));
    spooled.append(0..5);
    let error = job.drain().await.unwrap_err();
    let text = format!("{error} {} {job:?}", jobs::causes(&error));
    assert!(text.contains("Authorization Violation"), "{text}");
    assert!(!text.contains("WR0NG"), "{text}");
}

#[tokio::test]
async fn what_is_no_nats_server_is_an_error() {
    for (answer, expected) in [
        ("HTTP/1.1 400 Bad Request\r\n\r\n", "not valid in the protocol"),
        ("INFO {}\r\nMSG a 1 99999999\r\n", "not valid in the protocol"),
        ("INFO {}\r\nMSG a 1 x\r\n", "not valid in the protocol"),
        ("INFO {}\r\nMSG a 1 3\r\n???\r\n", "not valid in the protocol"),
        ("INFO {}\r\nwhat\r\n", "not valid in the protocol"),
        ("INFO {}\r\n-ERR 'maximum connections exceeded'\r\n", "maximum connections exceeded"),
        ("INFO {}\r\n", "cannot be reached"),
        ("", "cannot be reached"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        });
        let mut spooled = Spooled::new();
        let mut job = spooled.start(target(port, None, Some("t0ken")));
        spooled.append(0..5);
        let error = job.drain().await.unwrap_err();
        assert!(error.to_string().contains(expected), "{answer}: {error}");
        drop(job);
        server.join_next().await.unwrap().unwrap();
    }
}
