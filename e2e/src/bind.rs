//! A DNS server (BIND) for one test, whose records the test changes.

use std::fs;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::redis::free_port;
use crate::wait::eventually_within;

const READY: Duration = Duration::from_secs(20);
/// The zone whose records a test changes.
pub const ZONE: &str = "members.test";

/// A server on a port of 127.0.0.1, in a temporary folder; dropping it stops the server and removes the folder.
#[derive(Debug)]
pub struct Bind {
    server: Option<Child>,
    port: u16,
    folder: TempDir,
}

impl Bind {
    /// Starts a server whose zone has no records of members.
    pub async fn start() -> Self {
        let port = free_port().unwrap_or_else(|error| panic!("no free port: {error}"));
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let mut bind = Self { server: None, port, folder };
        bind.write_zone();
        bind.resume().await;
        bind
    }

    /// Returns the address of the server.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    fn write_zone(&self) {
        let zone =
            format!("$TTL 1\n@ IN SOA ns.{ZONE}. admin.{ZONE}. 1 60 60 60 1\n@ IN NS ns.{ZONE}.\nns IN A 127.0.0.1\n");
        self.write("zone.db", &zone);
    }

    fn write(&self, name: &str, text: &str) {
        let written = fs::write(self.folder.path().join(name), text);
        assert!(written.is_ok(), "{written:?}");
    }

    /// Starts the server and waits until it accepts connections.
    pub async fn resume(&mut self) {
        let folder = self.folder.path().display();
        let port = self.port;
        self.write(
            "named.conf",
            &format!(
                "options {{ directory \"{folder}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; \
                 recursion no; dnssec-validation no; max-records-per-type 0; pid-file none; session-keyfile \"{folder}/session.key\"; \
                 lock-file none; }};\ncontrols {{ }};\n\
                 zone \"{ZONE}\" {{ type primary; file \"zone.db\"; allow-update {{ 127.0.0.1; }}; }};\n"
            ),
        );
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("named");
        command.env("PATH", format!("{path}:/usr/sbin")).args(["-f", "-n", "1", "-c"]);
        command.arg(self.folder.path().join("named.conf"));
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(server) => self.server = Some(server),
            Err(error) => panic!("named: {error}. As root: apt-get install -y bind9 bind9-dnsutils"),
        }
        eventually_within(READY, "BIND answers", async || {
            if let Some(Ok(Some(ended))) = self.server.as_mut().map(Child::try_wait) {
                panic!("named ended with {ended}");
            }
            TcpStream::connect(("127.0.0.1", self.port)).await.ok()
        })
        .await;
    }

    /// Changes records with `nsupdate`; each line is one change, such as `update add NAME TTL A ADDRESS`.
    pub fn update(&self, changes: &[String]) {
        // A message has at most 64 KiB.
        for part in changes.chunks(500) {
            let text = format!("server 127.0.0.1 {}\n{}\nsend\n", self.port, part.join("\n"));
            let updating = Command::new("nsupdate").arg("-v").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
            let mut updating = updating.unwrap_or_else(|error| panic!("nsupdate: {error}"));
            let written = updating.stdin.take().map(|mut input| input.write_all(text.as_bytes()));
            assert!(matches!(written, Some(Ok(()))), "{written:?}");
            let output = updating.wait_with_output().unwrap_or_else(|error| panic!("nsupdate: {error}"));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    /// Replaces the addresses of a name.
    pub fn set(&self, name: &str, ttl_s: u32, addresses: &[String]) {
        let name = format!("{name}.{ZONE}.");
        let add = |address: &String| {
            let kind = if address.contains(':') { "AAAA" } else { "A" };
            format!("update add {name} {ttl_s} {kind} {address}")
        };
        let delete = ["A", "AAAA"].map(|kind| format!("update delete {name} {kind}"));
        self.update(&delete.into_iter().chain(addresses.iter().map(add)).collect::<Vec<_>>());
    }

    /// Kills the server; the zone then fails to load, so that it responds with SERVFAIL after [`Bind::resume`].
    pub fn break_zone(&mut self) {
        self.kill();
        for file in ["zone.db", "zone.db.jnl"] {
            let _ = fs::remove_file(self.folder.path().join(file));
        }
    }

    /// Kills the server, and restores the zone without records of members.
    pub fn restore_zone(&mut self) {
        self.kill();
        self.write_zone();
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Stops the server from answering, without closing its sockets.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a paused server continue.
    pub fn unpause(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let sent = self.server.as_ref().map(|server| kill_process(Pid::from_child(server), signal));
        assert_eq!(sent, Some(Ok(())));
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        self.kill();
    }
}
