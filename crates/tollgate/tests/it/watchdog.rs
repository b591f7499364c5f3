//! The signs of life for the watchdog of the service manager.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::net::UnixDatagram;

use crate::server::{HANGS, Server};

/// Much longer than the interval of signs below.
const SILENCE: Duration = Duration::from_secs(2);

/// A server, and the socket of its service manager.
struct WatchedServer {
    server: Server,
    manager: UnixDatagram,
    _folder: TempDir,
}

impl WatchedServer {
    fn start(watchdog: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = folder.path().join("notify");
        let manager = UnixDatagram::bind(&address).unwrap();
        let mut env = vec![("NOTIFY_SOCKET", address.to_str().unwrap())];
        env.extend(watchdog);
        let server = Server::serve_with(folder.path(), "0s", [Stdio::null(), Stdio::null()], &env);
        Self { server, manager, _folder: folder }
    }

    /// Returns the next message; `None` if the time passes without one.
    async fn message(&self, within: Duration) -> Option<String> {
        let mut bytes = [0; 512];
        let received = tokio::time::timeout(within, self.manager.recv(&mut bytes)).await.ok()?.unwrap();
        Some(String::from_utf8(bytes.get(..received)?.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_server_gives_signs_of_life_until_it_hangs() {
    let watched = WatchedServer::start(&[("WATCHDOG_USEC", "600000")]);
    let mut messages = Vec::new();
    while messages.len() < 4 {
        messages.push(watched.message(HANGS).await.expect("no message"));
    }
    assert!(messages[0].contains("READY=1"), "{messages:?}");
    assert!(messages[1..].iter().all(|message| message == "WATCHDOG=1\n"), "{messages:?}");
    watched.server.signal(Signal::STOP);
    // Those that were sent before.
    while watched.message(SILENCE).await.is_some() {}
    watched.server.signal(Signal::CONT);
    assert_eq!(watched.message(HANGS).await.as_deref(), Some("WATCHDOG=1\n"));
}

#[tokio::test]
async fn without_a_watchdog_or_with_that_of_another_process_no_signs_are_given() {
    for watchdog in [&[][..], &[("WATCHDOG_USEC", "0")], &[("WATCHDOG_USEC", "600000"), ("WATCHDOG_PID", "1")]] {
        let watched = WatchedServer::start(watchdog);
        let first = watched.message(HANGS).await.expect("no message");
        assert!(first.contains("READY=1"), "{first}");
        assert_eq!(watched.message(SILENCE).await, None, "{watchdog:?}");
    }
}
