//! A running server with its own folder; dropping it ends the server and removes the folder.

use std::net::SocketAddr;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;

use crate::child::{END_TIMEOUT, Process};
use crate::client::{Answer, Call};
use crate::commands;
use crate::document::Document;
use crate::mock::Mock;
use crate::setup::{Folder, OPEN, Setup};
use crate::vitals::Vitals;
use crate::wait::{eventually, eventually_within, with_progress};
use crate::wire::patiently;

/// Maximum time until a new server is ready (a debug build on a busy machine).
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A running `tollgate serve` process.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    folder: Option<Folder>,
    /// The address of the proxy's first listener.
    pub proxy: SocketAddr,
    /// The addresses of all listeners of the proxy, in the order of the configuration.
    pub listeners: Vec<SocketAddr>,
    /// The address of control's listener.
    pub control: SocketAddr,
    mock: Option<SocketAddr>,
    accounts: AtomicU32,
}

/// A user with one key.
#[derive(Debug, Clone)]
pub struct Account {
    /// The user's e-mail address, which commands use to select the user.
    pub email: String,
    /// The user's first key.
    pub key: String,
}

/// A server that has ended.
#[derive(Debug)]
pub struct ServerExit {
    /// The exit code; `None` if a signal killed the server.
    pub code: Option<i32>,
    /// The server's output on stderr.
    pub stderr: String,
    /// The folder with the server's data, for another start.
    pub folder: Folder,
}

impl Gateway {
    /// Starts a server and waits until it is ready.
    pub async fn start(setup: Setup) -> Self {
        Self::start_in(Folder::new().with_tables(), setup).await
    }

    /// Starts a server in a folder that earlier servers may have used.
    pub async fn start_in(folder: Folder, setup: Setup) -> Self {
        let child = commands::serve(&folder, &setup);
        Self::started(folder, child, "stderr").await
    }

    /// Starts a server whose log goes into a pipe. The pipe is read until the server listens and not afterwards; it
    /// stays open while the returned end exists.
    pub async fn start_unread(setup: Setup) -> (Self, ChildStderr) {
        let folder = Folder::new();
        let mut child = commands::serve_into_a_pipe(&folder, &setup);
        let pipe = child.stderr.take().map(ChildStderr::from_std);
        let Some(Ok(mut pipe)) = pipe else { panic!("no pipe: {pipe:?}") };
        let mut log = Vec::new();
        let listens = async {
            while listening(&String::from_utf8_lossy(&log)).is_none() {
                assert!(
                    matches!(pipe.read_buf(&mut log).await, Ok(1..)),
                    "the log ends: {}",
                    String::from_utf8_lossy(&log)
                );
            }
        };
        patiently("the server listens", listens).await;
        folder.write("stderr", &String::from_utf8_lossy(&log));
        (Self::started(folder, child, "stderr").await, pipe)
    }

    /// Wraps `child`, whose log is the file `log`, and waits until the server is ready.
    pub async fn started(folder: Folder, child: Child, log: &str) -> Self {
        let mut process = Process::new(child);
        let starting = StartupLogGuard(&folder, log);
        let line = eventually_within(START_TIMEOUT, "the server listens", async || {
            let line = listening(&folder.read(log));
            if line.is_none()
                && let Some(code) = process.ended()
            {
                panic!("the server ended with {code:?}: {}{}", folder.read("stdout"), folder.read(log));
            }
            line
        })
        .await;
        drop(starting);
        let listeners = addresses(&line, "proxy");
        let Some(&proxy) = listeners.first() else {
            panic!("the log line lacks an address: {line}");
        };
        let Some(control) = address(&line, "control") else {
            panic!("the log line lacks an address: {line}");
        };
        let mock = address(&line, "mock");
        let gateway =
            Self { process, folder: Some(folder), proxy, listeners, control, mock, accounts: AtomicU32::new(0) };
        eventually_within(START_TIMEOUT, "/readyz answers 200", async || {
            let answer = Call::get("/readyz").attempt(gateway.control).await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
        gateway
    }

    /// Returns the folder with the server's data.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        match &self.folder {
            Some(folder) => folder,
            None => panic!("the folder was passed to another server"),
        }
    }

    /// Returns the server's process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// Returns the resource measurements of the server's process.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        Vitals::from_id(self.process.id())
    }

    /// Returns the built-in mock; panics if it is off.
    #[must_use]
    pub fn mock(&self) -> Mock {
        match self.mock {
            Some(address) => Mock::from_address(address),
            None => panic!("the log contains no address of a mock: {}", self.stderr()),
        }
    }

    /// Returns the server's output on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.folder().read("stderr")
    }

    /// Waits until the log contains `text`: a log line may be written after its response.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("the log contains {text:?}"), async || self.stderr().contains(text).then_some(())).await;
    }

    /// Returns the server's output on stdout so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.folder().read("stdout")
    }

    /// Creates a user of `plan` with a key, by command, while the server runs.
    pub async fn account(&self, plan: &str) -> Account {
        let email = format!("user{}@example.com", self.accounts.fetch_add(1, Ordering::Relaxed));
        commands::users_create(self.folder(), &email, plan).await;
        let key = commands::keys_create(self.folder(), &email, "e2e").await;
        Account { email, key }
    }

    /// Creates a user without limits and returns the key.
    pub async fn key(&self) -> String {
        self.account(OPEN).await.key
    }

    /// Sends a request to the proxy.
    pub async fn call(&self, call: Call) -> Answer {
        call.send(self.proxy).await
    }

    /// Sends a request to control.
    ///
    /// # Panics
    /// `docs/openapi.json` does not list the response.
    pub async fn ask(&self, call: Call) -> Answer {
        let answer = call.send(self.control).await;
        let (method, target) = call.line();
        if let Err(wrong) = Document::committed().check(method, target, &answer) {
            panic!("{wrong}");
        }
        answer
    }

    /// Returns the response of `POST /api/auth/validate` for a valid key.
    pub async fn validate(&self, key: &str) -> Value {
        self.ask(Call::json("/api/auth/validate", &json!({"token": key}))).await.expect(200).json()
    }

    /// Returns `GET /api/usage/today` of a key.
    pub async fn usage(&self, key: &str) -> Value {
        self.ask(Call::get("/api/usage/today").key(key)).await.expect(200).json()
    }

    /// Returns the credits that the key's user has used today, requests in flight included.
    pub async fn used(&self, key: &str) -> u64 {
        match self.validate(key).await["quota"]["used"].as_u64() {
            Some(used) => used,
            None => panic!("the response of validate contains no quota"),
        }
    }

    /// Waits until the key's user has used exactly `credits` credits today. With PostgreSQL, which servers may share,
    /// the number comes from the store and is slightly late.
    pub async fn uses(&self, key: &str, credits: u64) {
        eventually(&format!("{credits} are used"), async || (self.used(key).await == credits).then_some(())).await;
    }

    /// Waits until the store has counted `requests` requests; returns the usage of today.
    pub async fn counted(&self, key: &str, requests: u64) -> Value {
        let mut last = Value::Null;
        eventually(&format!("usage/today counts {requests}"), async || {
            last = self.usage(key).await;
            (last["requests"] == requests).then(|| last.clone())
        })
        .await
    }

    /// Returns the text of `GET /metrics`.
    pub async fn metrics(&self) -> String {
        self.ask(Call::get("/metrics")).await.expect(200).text()
    }

    /// Returns the value of a gauge without labels.
    pub async fn gauge(&self, name: &str) -> i64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find(|line| line.split([' ', '{']).next() == Some(name));
        match line.and_then(|line| line.rsplit(' ').next()?.parse().ok()) {
            Some(value) => value,
            None => panic!("no gauge {name}: {metrics}"),
        }
    }

    /// Waits until the proxy has no connection, no request in flight and no buffered byte.
    pub async fn at_rest(&self) {
        for name in ["tollgate_connections", "tollgate_requests_in_flight", "tollgate_buffered_bytes"] {
            self.empties(name).await;
        }
    }

    /// Waits until a gauge is 0, for as long as it changes.
    pub async fn empties(&self, name: &str) {
        with_progress(&format!("{name} is 0"), async || match self.gauge(name).await {
            0 => Ok(()),
            left => Err(left),
        })
        .await;
    }

    /// Replaces the server by another process with `tollgate upgrade` and these flags. Returns the process before, which
    /// drains.
    ///
    /// # Errors
    /// The reason why the server continues.
    pub async fn upgrade(&mut self, flags: &[&str]) -> Result<Process, String> {
        let words = ["upgrade", "--config", "tollgate.yaml", "--data", "data"];
        let words: Vec<&str> = words.into_iter().chain(flags.iter().copied()).collect();
        let output = commands::run(self.folder(), &words).await;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(self.adopts_successor())
    }

    /// Continues with the process that the data folder names, and returns the one before.
    pub fn adopts_successor(&mut self) -> Process {
        let serving = self.folder().read("data/server");
        match serving.split(' ').next().and_then(|pid| pid.parse().ok()) {
            Some(pid) => std::mem::replace(&mut self.process, Process::adopted(pid)),
            None => panic!("the data folder names no process: {serving}"),
        }
    }

    /// Sends SIGTERM to the server.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits at most `limit` until the server has ended.
    pub async fn end_within(mut self, limit: Duration) -> ServerExit {
        let process = &mut self.process;
        let code = eventually_within(limit, "the server ends", async || process.ended()).await;
        self.ended(code)
    }

    /// Ends the server with SIGTERM and returns its folder.
    pub async fn stop(self) -> ServerExit {
        self.terminate();
        self.end_within(END_TIMEOUT).await
    }

    /// Kills the server with SIGKILL and returns its folder.
    #[must_use]
    pub fn crash(mut self) -> ServerExit {
        self.process.kill();
        self.ended(None)
    }

    fn ended(&mut self, code: Option<i32>) -> ServerExit {
        let stderr = self.stderr();
        no_panic(&stderr);
        match self.folder.take() {
            Some(folder) => ServerExit { code, stderr, folder },
            None => panic!("the folder was passed to another server"),
        }
    }
}

/// A server that does not listen yet; if the test fails meanwhile, the log's tail is printed.
struct StartupLogGuard<'a>(&'a Folder, &'a str);

impl Drop for StartupLogGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprint_tail(&self.0.read(self.1));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let Some(folder) = &self.folder else { return };
        let stderr = folder.read("stderr");
        if std::thread::panicking() {
            eprint_tail(&stderr);
        } else {
            no_panic(&stderr);
        }
    }
}

/// Panics if the server has panicked, whatever the test checks.
fn no_panic(log: &str) {
    if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
        panic!("the server panicked: {line}");
    }
}

/// Prints the last lines of a log for the reader of a failed test.
#[expect(clippy::print_stderr, reason = "the test harness shows it only where a test failed")]
fn eprint_tail(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(30)) {
        eprintln!("server: {line}");
    }
}

/// Returns the line of a JSON log that contains the server's addresses.
#[must_use]
pub fn listening(log: &str) -> Option<Value> {
    log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|line| {
        let fields = if line["fields"].is_object() { line["fields"].clone() } else { line };
        (fields["message"] == "listening").then_some(fields)
    })
}

fn address(line: &Value, name: &str) -> Option<SocketAddr> {
    addresses(line, name).into_iter().next()
}

fn addresses(line: &Value, name: &str) -> Vec<SocketAddr> {
    let texts = line[name].as_str().unwrap_or_default().split(", ");
    texts.filter_map(|text| text.trim_start_matches("http://").parse().ok()).collect()
}
