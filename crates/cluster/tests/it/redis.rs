//! A Redis server for one test, on a socket in a temporary folder.

use std::process::Stdio;
use std::time::Duration;

use access::Secret;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const READY: Duration = Duration::from_secs(20);

pub(crate) struct Redis {
    server: Option<Child>,
    folder: TempDir,
}

impl Redis {
    pub(crate) async fn start() -> Self {
        let mut redis = Self::away();
        redis.resume().await;
        redis
    }

    /// Prepares a server that does not run yet.
    pub(crate) fn away() -> Self {
        Self { server: None, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn url(&self) -> Secret {
        Secret::new(format!("unix://{}", self.folder.path().join("socket").display()))
    }

    /// Starts the server, empty, and waits until it responds.
    pub(crate) async fn resume(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "socket"]);
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.server = Some(command.spawn().unwrap_or_else(|error| {
            panic!("{error}: this test needs Redis: apt-get install -y redis-server (make test does so)")
        }));
        let until = Instant::now() + READY;
        while self.try_connection().await.is_none() {
            assert!(Instant::now() < until, "Redis does not start");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills the server without warning.
    pub(crate) async fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        server.kill().await.unwrap();
    }

    /// Sends a signal that stops the server's responses without closing a connection, or continues them.
    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.server.as_ref().unwrap().id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        self.try_connection().await.unwrap()
    }

    async fn try_connection(&self) -> Option<MultiplexedConnection> {
        let client = redis::Client::open(self.url().expose()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        redis::cmd("PING").query_async::<String>(&mut connection).await.ok()?;
        Some(connection)
    }
}
