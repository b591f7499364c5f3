//! A Redis server for one test, with or without TLS, which the test may fill, kill, pause and restart.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::eventually_within;

const READY: Duration = Duration::from_secs(20);
/// Settings without persistence: each start is empty.
const SETTINGS: [&str; 8] = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"];

/// A server on a port of 127.0.0.1, in a temporary folder; dropping it stops the server and removes the folder.
#[derive(Debug)]
pub struct Redis {
    server: Option<Child>,
    port: u16,
    /// The port on which the servers of a Redis Cluster reach one another.
    cluster_port: Option<u16>,
    /// Whether the server accepts TLS only, with `cert.pem` and `key.pem` of the folder.
    tls: bool,
    folder: TempDir,
}

impl Redis {
    /// Starts a server without TLS.
    pub async fn start() -> Self {
        let mut redis = Self::new(false);
        redis.resume().await;
        redis
    }

    /// Starts a server that accepts TLS only, with this certificate and key (DER).
    pub async fn with_tls(cert: &[u8], key: &[u8]) -> Self {
        let mut redis = Self::new(true);
        for (name, label, der) in [("cert.pem", "CERTIFICATE", cert), ("key.pem", "PRIVATE KEY", key)] {
            let written = fs::write(redis.folder.path().join(name), pem(label, der));
            assert!(written.is_ok(), "{written:?}");
        }
        redis.resume().await;
        redis
    }

    /// Starts a Redis Cluster of three servers without replicas, each with a third of the slots.
    pub async fn cluster() -> [Self; 3] {
        let mut servers = [Self::new(false), Self::new(false), Self::new(false)];
        for server in &mut servers {
            server.cluster_port = free_port().ok();
            server.resume().await;
        }
        for (server, slots) in servers.iter().zip(["0 5460", "5461 10922", "10923 16383"]) {
            server.ask(&format!("CLUSTER ADDSLOTSRANGE {slots}")).await;
        }
        let [first, others @ ..] = &servers;
        for Self { port, cluster_port, .. } in others {
            let cluster_port = cluster_port.unwrap_or_default();
            first.ask(&format!("CLUSTER MEET 127.0.0.1 {port} {cluster_port}")).await;
        }
        for server in &servers {
            eventually_within(READY, "the servers form a cluster", async || {
                let info = server.ask("CLUSTER INFO").await;
                (info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")).then_some(())
            })
            .await;
        }
        servers
    }

    fn new(tls: bool) -> Self {
        match (tempfile::Builder::new().prefix("tollgate-redis-").tempdir(), free_port()) {
            (Ok(folder), Ok(port)) => Self { server: None, port, cluster_port: None, tls, folder },
            failed => panic!("no folder or no port for a Redis: {failed:?}"),
        }
    }

    /// Returns the URL of the server.
    #[must_use]
    pub fn url(&self) -> String {
        if self.tls { format!("rediss://localhost:{}", self.port) } else { format!("redis://127.0.0.1:{}", self.port) }
    }

    /// Returns the path of the server's certificate.
    #[must_use]
    pub fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// Starts the server, which is empty, and waits until it answers.
    pub async fn resume(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(SETTINGS).current_dir(self.folder.path());
        let port = self.port.to_string();
        if self.tls {
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            command.args([
                "--tls-cert-file",
                "cert.pem",
                "--tls-key-file",
                "key.pem",
                "--tls-ca-cert-file",
                "cert.pem",
            ]);
        } else {
            command.args(["--port", &port]);
        }
        if let Some(port) = self.cluster_port {
            command.args(["--cluster-enabled", "yes", "--cluster-port", &port.to_string()]);
        }
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(server) => self.server = Some(server),
            Err(error) => panic!("redis-server: {error}. As root: apt-get install -y redis-server"),
        }
        eventually_within(READY, "Redis answers", async || {
            if let Some(Ok(Some(ended))) = self.server.as_mut().map(Child::try_wait) {
                panic!("Redis ended with {ended}");
            }
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
            if self.tls {
                return Some(());
            }
            stream.write_all(b"PING\r\n").await.ok()?;
            let mut answer = [0; 7];
            stream.read_exact(&mut answer).await.ok()?;
            (answer == *b"+PONG\r\n").then_some(())
        })
        .await;
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Pauses the server without closing connections, or resumes it.
    pub fn freeze(&self, frozen: bool) {
        let id = self.server.as_ref().and_then(|server| Pid::from_raw(server.id().cast_signed()));
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        let sent = id.map(|id| kill_process(id, signal));
        assert!(matches!(sent, Some(Ok(()))), "{sent:?}");
    }

    /// Returns the times in milliseconds at which the nodes of Tollgate that serve requests last reported it. In a
    /// cluster, another server may have them.
    pub async fn beats(&self) -> Vec<u64> {
        const COMMAND: &str = "ZRANGE tollgate:{tollgate}:nodes 0 -1 WITHSCORES";
        let mut reply = self.ask(COMMAND).await;
        let moved = reply.lines().next().filter(|line| line.starts_with("-MOVED "));
        if let Some(port) = moved.and_then(|line| line.rsplit_once(':')?.1.parse().ok()) {
            reply = request(port, COMMAND).await;
        }
        // The ids of nodes are no numbers.
        reply.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Returns every key and value of Tollgate in the server, as text.
    pub async fn dump(&self) -> String {
        let mut text = String::new();
        for key in self.ask("KEYS *").await.lines().filter(|line| line.starts_with("tollgate")) {
            text.push_str(key);
            text.push_str(&self.ask(&format!("HGETALL {key}")).await);
            text.push_str(&self.ask(&format!("GET {key}")).await);
        }
        text
    }

    /// Returns the names of all values.
    pub async fn names(&self) -> String {
        self.ask("KEYS *").await
    }

    /// Sets a value without a single quote. Returns whether it is stored: the server may not have the slot of its name.
    pub async fn set(&self, name: &str, value: &str) -> bool {
        self.ask(&format!("SET {name} '{value}'")).await.starts_with("+OK")
    }

    /// Removes a value that the server has.
    pub async fn remove(&self, name: &str) {
        let reply = self.ask(&format!("DEL {name}")).await;
        assert!(reply.starts_with(":1"), "{reply}");
    }

    async fn ask(&self, command: &str) -> String {
        request(self.port, command).await
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a command to a server without TLS, and returns its reply.
async fn request(port: u16, command: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
        let requested = stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await;
        let read = stream.read_to_end(&mut bytes).await;
        assert!(requested.is_ok() && read.is_ok(), "{requested:?} {read:?}");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns a TCP port of 127.0.0.1 that nothing uses. It is below the ports that the system gives to connections and to listeners
/// that name none, so it stays free while its server is down.
///
/// # Errors
/// No port of a hundred was free.
pub fn free_port() -> std::io::Result<u16> {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let mut last = std::io::ErrorKind::AddrInUse.into();
    for _ in 0..100 {
        let nth = std::process::id().wrapping_mul(16).wrapping_add(ASKED.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(nth % 20_000).unwrap_or(0);
        match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => return Ok(port),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Encodes DER as PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut lines = format!("-----BEGIN {label}-----");
    for (nth, three) in der.chunks(3).enumerate() {
        if nth % 16 == 0 {
            lines.push('\n');
        }
        let bits = three.iter().fold(0_u32, |bits, byte| (bits << 8) | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let sextet = usize::try_from((bits >> (18 - 6 * place)) & 63).unwrap_or(0);
            lines.push(if place > three.len() { '=' } else { char::from(ALPHABET[sextet]) });
        }
    }
    format!("{lines}\n-----END {label}-----\n")
}
