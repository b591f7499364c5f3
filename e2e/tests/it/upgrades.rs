//! Upgrades in place under load: the new process gets the listening sockets, and the old one drains.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use e2e::database::Database;
use e2e::setup::Folder;
use e2e::wire::Framing;
use e2e::{Call, Gateway, Piece, Setup, Upstream, Wire, commands, eventually_within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::audit::must;
use crate::bodies::{CHAT, Format};

const FILE: &str = "tollgate.yaml";
/// Maximum time until a process that drains has ended.
const DRAINED_WITHIN: Duration = Duration::from_secs(60);
const CLIENTS: usize = 16;
/// WebSockets that are open at a time; 100 in a long run.
const SOCKETS: usize = 10;
/// The credits of the plan, of which the load uses all.
const QUOTA: u64 = 60;

/// Settings of a server whose upstream echoes WebSockets. Drains are long enough for every client to send again.
fn setup(upstream: &Upstream) -> Setup {
    Setup::mocked()
        .plans("{name: some, credits_per_day: 60}")
        .section("upstreams", &format!("[{{name: backend, backends: [{{url: \"http://{}\"}}]}}]", upstream.address()))
        .section("routes", "[{path: /plain, upstreams: backend, upgrades: [websocket], auth: {type: none}}]")
        .section("drain", "{delay: 0s, timeout: 20s}")
        .section("lease", "{ttl: 20s, recall_wait: 10s}")
}

/// An upstream that responds to requests, and echoes the bytes of WebSockets.
async fn echo() -> Upstream {
    Upstream::start(|mut turn| async move {
        if turn.head.header("upgrade").is_none() {
            turn.read_body().await;
            turn.answer("200 OK", b"fine").await;
            return Some(turn);
        }
        let accepted = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        turn.write(accepted.as_bytes()).await;
        while let Piece::Data(byte) = turn.wire.piece(&mut Framing::Length(1)).await {
            if !turn.write(&byte).await {
                break;
            }
        }
        None
    })
    .await
}

async fn start(setup: Setup) -> Gateway {
    Gateway::start_in(on_postgres(), setup).await
}

fn on_postgres() -> Folder {
    Folder::on_postgres(Database::new())
}

/// Clients that send requests until they are stopped. Each failed request ends its client.
struct Load {
    stops: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    clients: JoinSet<Result<(), String>>,
}

impl Load {
    fn start(gateway: &Gateway) -> Self {
        let stops = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(keep_sending(gateway.proxy, stops.clone(), sent.clone()));
        }
        let sockets = if e2e::is_long() { 10 * SOCKETS } else { SOCKETS };
        for _ in 0..sockets {
            clients.spawn(keep_echoing(gateway.proxy, stops.clone()));
        }
        Self { stops, sent, clients }
    }

    /// Waits until each client has sent some requests since now.
    async fn progresses(&self) {
        let before = self.sent.load(Ordering::Relaxed);
        eventually_within(DRAINED_WITHIN, "clients send requests", async || {
            (self.sent.load(Ordering::Relaxed) >= before + 10 * CLIENTS as u64).then_some(())
        })
        .await;
    }

    /// Ends the load, and returns the failures.
    async fn failures(self) -> Vec<String> {
        self.stops.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().filter_map(Result::err).collect()
    }
}

/// Sends requests over a connection, and opens another one when the server announces its end.
async fn keep_sending(to: std::net::SocketAddr, stops: Arc<AtomicBool>, sent: Arc<AtomicU64>) -> Result<(), String> {
    let mut connection = None;
    while !stops.load(Ordering::Relaxed) {
        let (wire, is_reused) = match connection.take() {
            Some(wire) => (wire, true),
            None => (Wire::connect(to).await.map_err(|error| format!("no connection: {error}"))?, false),
        };
        let exchange = match Call::get("/plain").over(wire, to).await {
            Ok(exchange) => exchange,
            // A server may close an idle connection while the next request is on its way; a client repeats it then
            // (RFC 9112, 9.3.1).
            Err(_) if is_reused => continue,
            Err(error) => return Err(format!("no response: {error}")),
        };
        let (answer, wire) = exchange.reuse().await;
        if answer.status() != 200 || answer.text() != "fine" {
            return Err(format!("{} {}", answer.head.first, answer.text()));
        }
        sent.fetch_add(1, Ordering::Relaxed);
        connection = (answer.header("connection") != Some("close")).then_some(wire);
    }
    Ok(())
}

/// Opens a WebSocket of the route.
async fn web_socket(to: std::net::SocketAddr) -> Result<TcpStream, String> {
    let head =
        b"GET /plain HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let failed = |error: std::io::Error| format!("the WebSocket fails: {error}");
    let mut socket = TcpStream::connect(to).await.map_err(failed)?;
    socket.write_all(head).await.map_err(failed)?;
    let mut received = Vec::new();
    while !received.ends_with(b"\r\n\r\n") {
        received.push(socket.read_u8().await.map_err(failed)?);
    }
    if received.starts_with(b"HTTP/1.1 101") {
        Ok(socket)
    } else {
        Err(String::from_utf8_lossy(&received).into_owned())
    }
}

/// Sends a byte over a WebSocket and reads it again, several times, then begins anew: shorter than a drain.
async fn keep_echoing(to: std::net::SocketAddr, stops: Arc<AtomicBool>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the WebSocket fails: {error}");
    while !stops.load(Ordering::Relaxed) {
        let mut socket = web_socket(to).await?;
        for number in 0..100_u8 {
            socket.write_u8(number).await.map_err(failed)?;
            let echoed = socket.read_u8().await.map_err(failed)?;
            if echoed != number {
                return Err(format!("{echoed} in place of {number}"));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            if stops.load(Ordering::Relaxed) {
                break;
            }
        }
    }
    Ok(())
}

/// Waits until the successors of `upgrades` upgrades have settled the slots of the processes before.
async fn has_settled(gateway: &Gateway, upgrades: u64) {
    eventually_within(DRAINED_WITHIN, "the slot is settled", async || {
        let settled = gateway.stderr().matches("the process before the upgrade has ended").count();
        (settled as u64 >= upgrades).then_some(())
    })
    .await;
}

fn chat(key: &str) -> Call {
    Call::json(CHAT, &Format::Chat.body("mock/tokens-1", false)).key(key)
}

#[tokio::test]
async fn upgrades_under_load_fail_no_request_and_exceed_no_budget() {
    upgrades_under_load(on_postgres()).await;
}

#[tokio::test]
async fn upgrades_on_sqlite_fail_no_request_and_exceed_no_budget() {
    upgrades_under_load(Folder::on_sqlite()).await;
}

async fn upgrades_under_load(folder: Folder) {
    let upgrades = if e2e::is_long() { 20 } else { 3 };
    let upstream = echo().await;
    let mut gateway = Gateway::start_in(folder, setup(&upstream)).await;
    let key = gateway.account("some").await.key;
    let load = Load::start(&gateway);
    let per_upgrade = QUOTA / (upgrades + 1);
    let mut passed = 0;
    for upgrade in 1..=upgrades {
        load.progresses().await;
        let to = gateway.proxy;
        let mut spending = JoinSet::new();
        let key = key.clone();
        spending.spawn(async move {
            for _ in 0..per_upgrade {
                chat(&key).send(to).await.expect(200);
            }
        });
        let before = gateway.upgrade(&[]).await.unwrap();
        load.progresses().await;
        spending.join_all().await;
        passed += per_upgrade;
        before.ends_within(DRAINED_WITHIN).await;
        has_settled(&gateway, upgrade).await;
    }
    while passed < QUOTA {
        gateway.call(chat(&key)).await.expect(200);
        passed += 1;
    }
    gateway.call(chat(&key)).await.expect(429);
    let sent = load.sent.clone();
    assert_eq!(load.failures().await, Vec::<String>::new(), "after {} requests", sent.load(Ordering::Relaxed));
    gateway.counted(&key, QUOTA).await;
    let folder = gateway.stop().await.folder;
    must(&folder, &["audit"]).await;
}

/// Writes a script that is started in place of the new binary.
fn script(gateway: &Gateway, name: &str, text: &str) -> PathBuf {
    let path = gateway.folder().write(name, &format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_new_process_that_crashes_hangs_or_refuses_leaves_the_old_one_serving() {
    new_process_fails(on_postgres()).await;
}

#[tokio::test]
async fn a_new_process_that_crashes_hangs_or_refuses_on_sqlite_leaves_the_old_one_serving() {
    new_process_fails(Folder::on_sqlite()).await;
}

async fn new_process_fails(folder: Folder) {
    let upstream = echo().await;
    let mut gateway = Gateway::start_in(folder, setup(&upstream).section("upgrade", "{timeout: 10s}")).await;
    let load = Load::start(&gateway);
    let pid = gateway.process().id();
    let crashes = script(&gateway, "crashes", "kill -9 $$");
    let hangs = script(&gateway, "hangs", "exec sleep 600");
    let binary = |path: &PathBuf| path.to_str().unwrap().to_owned();
    for (flags, code) in [
        (vec!["--binary".to_owned(), binary(&crashes)], "upgrade_ended"),
        (vec!["--binary".to_owned(), binary(&hangs)], "upgrade_timed_out"),
    ] {
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let refused = gateway.upgrade(&flags).await.unwrap_err();
        assert!(refused.contains(code), "{refused}");
        load.progresses().await;
    }
    // Two commands at once.
    let words = ["upgrade", "--config", FILE, "--data", "data"];
    let hanging: Vec<&str> = words.into_iter().chain(["--binary", hangs.to_str().unwrap()]).collect();
    let starts = || gateway.stderr().matches("starting another binary").count();
    let before = starts();
    let (first, second) = tokio::join!(commands::run(gateway.folder(), &hanging), async {
        eventually_within(DRAINED_WITHIN, "the first begins", async || (starts() > before).then_some(())).await;
        commands::run(gateway.folder(), &words).await
    });
    let reason = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let first = reason(first);
    let second = reason(second);
    assert!(first.contains("upgrade_timed_out") && second.contains("upgrade_in_progress"), "{first} {second}");
    // The configuration of the new process is invalid.
    let good = gateway.folder().read(FILE);
    gateway.folder().write(FILE, &format!("{good}upgrade: {{timeout: 0s}}\n"));
    gateway.process().upgrade();
    gateway.logs("upgrade_refused: the new process cannot serve: error[").await;
    gateway.folder().write(FILE, &good);
    assert_eq!(gateway.process().id(), pid);
    gateway.logs("the server was not upgraded; it continues to serve").await;
    // The same server can be upgraded afterwards.
    let before = gateway.upgrade(&[]).await.unwrap();
    assert_ne!(gateway.process().id(), pid);
    before.ends_within(DRAINED_WITHIN).await;
    assert_eq!(load.failures().await, Vec::<String>::new());
}

/// A new process that takes the store and then ends, or hangs.
fn taker(gateway: &Gateway, name: &str, end: &str) -> PathBuf {
    let text = format!(
        "import os, socket, sys, time\n\
         number = [n.startswith('upgrade-') for n in os.environ['LISTEN_FDNAMES'].split(':')].index(True)\n\
         predecessor = socket.socket(fileno=3 + number)\n\
         predecessor.send(b'STORE')\n\
         assert predecessor.recv(2) == b'GO'\n\
         {end}\n"
    );
    let code = gateway.folder().write(&format!("{name}.py"), &text);
    script(gateway, name, &format!("exec python3 {} \"$@\"", code.display()))
}

#[tokio::test]
async fn a_new_process_that_fails_with_the_sqlite_store_gives_it_back() {
    let upstream = echo().await;
    let mut gateway = Gateway::start_in(Folder::on_sqlite(), setup(&upstream)).await;
    let key = gateway.account("some").await.key;
    let load = Load::start(&gateway);
    let pid = gateway.process().id();
    for (name, end, code) in [
        ("ends", "sys.exit(1)", "upgrade_ended"),
        ("lies", "predecessor.send(b'NONE'); time.sleep(600)", "upgrade_ended"),
        ("hangs", "time.sleep(600)", "upgrade_timed_out"),
    ] {
        let binary = taker(&gateway, name, end);
        let refused = gateway.upgrade(&["--binary", binary.to_str().unwrap()]).await.unwrap_err();
        assert!(refused.contains(code), "{name}: {refused}");
        load.progresses().await;
        gateway.call(chat(&key)).await.expect(200);
        assert_eq!(gateway.process().id(), pid);
    }
    let before = gateway.upgrade(&[]).await.unwrap();
    assert_ne!(gateway.process().id(), pid);
    gateway.call(chat(&key)).await.expect(200);
    before.ends_within(DRAINED_WITHIN).await;
    assert_eq!(load.failures().await, Vec::<String>::new());
    gateway.counted(&key, 4).await;
    let folder = gateway.stop().await.folder;
    must(&folder, &["audit"]).await;
    let words = ["upgrade", "--config", FILE, "--data", "data"];
    let ended = commands::run(&folder, &words).await;
    let reason = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.code() == Some(1) && reason.contains("no_server"), "{reason}");
}

#[tokio::test]
async fn on_sqlite_a_server_with_long_requests_continues_with_a_reason() {
    let upstream = echo().await;
    let mut gateway = Gateway::start_in(Folder::on_sqlite(), setup(&upstream)).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("mock/long", true)).key(&key);
    let mut stream = call.open(gateway.proxy).await;
    assert!(matches!(stream.next().await, Piece::Data(_)));
    let refused = gateway.upgrade(&[]).await.unwrap_err();
    assert!(refused.contains("upgrade_reservations: 1 ") && refused.contains("continues to serve"), "{refused}");
    gateway.call(chat(&key)).await.expect(200);
    assert!(matches!(stream.next().await, Piece::Data(_)));
    drop(stream);
    gateway.upgrade(&[]).await.unwrap().ends_within(DRAINED_WITHIN).await;
    gateway.counted(&key, 2).await;
    // The next start settles what both processes leave.
    let folder = gateway.crash().folder;
    let gateway = Gateway::start_in(folder, setup(&upstream)).await;
    gateway.call(chat(&key)).await.expect(200);
    gateway.counted(&key, 3).await;
    must(gateway.folder(), &["audit"]).await;
}

#[tokio::test]
async fn no_table_of_a_running_successor_is_dropped() {
    let upstream = echo().await;
    let mut gateway = Gateway::start_in(Folder::on_sqlite(), setup(&upstream)).await;
    gateway.upgrade(&[]).await.unwrap().ends_within(DRAINED_WITHIN).await;
    has_settled(&gateway, 1).await;
    let refused = commands::run(gateway.folder(), &["migrate", "down", "--yes", "--data", "data"]).await;
    let reason = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && reason.contains("store_in_use"), "{reason}");
    let key = gateway.key().await;
    gateway.call(chat(&key)).await.expect(200);
}

#[tokio::test]
async fn the_first_signal_after_an_upgrade_cuts_no_connection_that_drains() {
    let upstream = echo().await;
    let mut gateway = Gateway::start_in(Folder::on_sqlite(), setup(&upstream)).await;
    let mut socket = web_socket(gateway.proxy).await.unwrap();
    let before = gateway.upgrade(&[]).await.unwrap();
    before.terminate();
    gateway.logs("the process drains already").await;
    socket.write_u8(7).await.unwrap();
    assert_eq!(socket.read_u8().await.unwrap(), 7);
    drop(socket);
    assert_eq!(before.ends_within(DRAINED_WITHIN).await, Some(0));
}

#[tokio::test]
async fn a_signal_alone_upgrades_the_server() {
    let upstream = echo().await;
    let mut gateway = start(setup(&upstream)).await;
    let load = Load::start(&gateway);
    load.progresses().await;
    let before = gateway.process().id();
    gateway.process().upgrade();
    eventually_within(DRAINED_WITHIN, "another process serves", async || {
        let serving = gateway.folder().read("data/server");
        let pid: u32 = serving.split(' ').next()?.parse().ok()?;
        (pid != before).then_some(())
    })
    .await;
    gateway.adopts_successor().ends_within(DRAINED_WITHIN).await;
    load.progresses().await;
    assert_eq!(load.failures().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_is_killed_while_it_drains_loses_no_usage() {
    let upstream = echo().await;
    let mut gateway = start(setup(&upstream)).await;
    let key = gateway.key().await;
    let call = Call::json(CHAT, &Format::Chat.body("mock/long", true)).key(&key);
    let mut stream = call.open(gateway.proxy).await;
    assert!(matches!(stream.next().await, Piece::Data(_)));
    for _ in 0..5 {
        gateway.call(chat(&key)).await.expect(200);
    }
    let mut before = gateway.upgrade(&[]).await.unwrap();
    before.kill();
    has_settled(&gateway, 1).await;
    gateway.counted(&key, 6).await;
    // The next start settles what the successor leaves.
    gateway.call(chat(&key)).await.expect(200);
    let folder = gateway.crash().folder;
    let gateway = Gateway::start_in(folder, setup(&upstream)).await;
    gateway.counted(&key, 7).await;
    must(gateway.folder(), &["audit"]).await;
}
