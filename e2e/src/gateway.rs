//! One running server in a folder of its own; dropped, it is ended and leaves nothing.

use std::net::SocketAddr;
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;

use crate::client::{Answer, Call};
use crate::commands;
use crate::document::Document;
use crate::mock::Mock;
use crate::setup::{Folder, OPEN, Setup};
use crate::vitals::Vitals;
use crate::wait::{eventually, eventually_within};
use crate::wire::patiently;

/// Until a fresh server is ready (a debug build on a busy machine).
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Until a server that was told to end has ended, before it is killed.
const END_TIMEOUT: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(20);

/// A running `tollgate serve`.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    folder: Option<Folder>,
    /// Where callers call.
    pub proxy: SocketAddr,
    /// Where control listens.
    pub control: SocketAddr,
    mock: Option<SocketAddr>,
    accounts: AtomicU32,
}

/// A user with a key.
#[derive(Debug, Clone)]
pub struct Account {
    /// What the commands call the user.
    pub email: String,
    /// Their first key.
    pub key: String,
}

/// A server that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` when a signal killed it.
    pub code: Option<i32>,
    /// What it wrote to stderr.
    pub stderr: String,
    /// Its data, for another start.
    pub folder: Folder,
}

/// A child that does not outlive the test.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Owns `child`.
    #[must_use]
    pub const fn new(child: Child) -> Self {
        Self(child)
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails only when the process has ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// Its exit code if it has ended.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        self.0.try_wait().ok().flatten().map(|status| status.code())
    }
}

impl Drop for Process {
    #[expect(clippy::disallowed_methods, reason = "drop cannot await, and a child must not outlive its test")]
    fn drop(&mut self) {
        // Again and again, because a second signal ends a drain at once: nobody waits for this one.
        for _ in 0..END_TIMEOUT.as_millis() / STEP.as_millis() {
            self.terminate();
            std::thread::sleep(STEP);
            if self.ended().is_some() {
                return;
            }
        }
        self.kill();
    }
}

impl Gateway {
    /// Starts one and waits until it is ready.
    pub async fn start(setup: Setup) -> Self {
        Self::start_in(Folder::new(), setup).await
    }

    /// Starts one in a folder that may have seen others.
    pub async fn start_in(folder: Folder, setup: Setup) -> Self {
        let child = commands::serve(&folder, &setup);
        Self::started(folder, child, "stderr").await
    }

    /// Starts one whose log goes into a pipe that is read until the server listens, and from then on by nobody. The pipe
    /// stays open while its end lives.
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

    /// Around `child`, whose log goes to `log`; waits until it is ready.
    pub async fn started(folder: Folder, child: Child, log: &str) -> Self {
        let mut process = Process::new(child);
        let starting = Starting(&folder, log);
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
        let (Some(proxy), Some(control)) = (address(&line, "proxy"), address(&line, "control")) else {
            panic!("the start names no addresses: {line}");
        };
        let mock = address(&line, "mock");
        let gateway = Self { process, folder: Some(folder), proxy, control, mock, accounts: AtomicU32::new(0) };
        eventually_within(START_TIMEOUT, "/readyz answers 200", async || {
            let answer = Call::get("/readyz").attempt(gateway.control).await.ok()?;
            (answer.status() == 200).then_some(())
        })
        .await;
        gateway
    }

    /// The folder of its data.
    #[must_use]
    pub fn folder(&self) -> &Folder {
        match &self.folder {
            Some(folder) => folder,
            None => panic!("the folder went on to another server"),
        }
    }

    /// The process.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// What its process holds and spends.
    #[must_use]
    pub fn vitals(&self) -> Vitals {
        Vitals::of(self.process.id())
    }

    /// The built-in mock.
    #[must_use]
    pub fn mock(&self) -> Mock {
        match self.mock {
            Some(address) => Mock::at(address),
            None => panic!("the start names no mock: {}", self.stderr()),
        }
    }

    /// What it wrote to stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.folder().read("stderr")
    }

    /// Waits until its log holds `text`: a line is written after the answer that it tells of.
    pub async fn logs(&self, text: &str) {
        eventually(&format!("the log tells of {text:?}"), async || self.stderr().contains(text).then_some(())).await;
    }

    /// What it wrote to stdout so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.folder().read("stdout")
    }

    /// A new user of `plan` with a key, made beside the running server.
    pub async fn account(&self, plan: &str) -> Account {
        let email = format!("user{}@example.com", self.accounts.fetch_add(1, Ordering::Relaxed));
        commands::users_create(self.folder(), &email, plan).await;
        let key = commands::keys_create(self.folder(), &email, "e2e").await;
        Account { email, key }
    }

    /// A key without limits.
    pub async fn key(&self) -> String {
        self.account(OPEN).await.key
    }

    /// Calls the proxy.
    pub async fn call(&self, call: Call) -> Answer {
        call.send(self.proxy).await
    }

    /// Calls control.
    ///
    /// # Panics
    /// The answer is one that `docs/openapi.json` does not list.
    pub async fn ask(&self, call: Call) -> Answer {
        let answer = call.send(self.control).await;
        let (method, target) = call.line();
        if let Err(wrong) = Document::kept().check(method, target, &answer) {
            panic!("{wrong}");
        }
        answer
    }

    /// What `POST /api/auth/validate` says of a key that opens.
    pub async fn validate(&self, key: &str) -> Value {
        self.ask(Call::json("/api/auth/validate", &json!({"token": key}))).await.expect(200).json()
    }

    /// `GET /api/usage/today` of a key.
    pub async fn usage(&self, key: &str) -> Value {
        self.ask(Call::get("/api/usage/today").key(key)).await.expect(200).json()
    }

    /// Credits that a key's user has used today, by the live meter: what is in flight included.
    pub async fn used(&self, key: &str) -> u64 {
        match self.validate(key).await["quota"]["used"].as_u64() {
            Some(used) => used,
            None => panic!("validate tells no quota"),
        }
    }

    /// Waits until a key's user has used so many credits today: of a PostgreSQL that several servers may share, the store says it,
    /// which is a little behind.
    pub async fn uses(&self, key: &str, credits: u64) {
        eventually(&format!("{credits} are used"), async || (self.used(key).await == credits).then_some(())).await;
    }

    /// Usage as soon as the store has seen `requests`.
    pub async fn counted(&self, key: &str, requests: u64) -> Value {
        let mut last = Value::Null;
        eventually(&format!("usage/today counts {requests}"), async || {
            last = self.usage(key).await;
            (last["requests"] == requests).then(|| last.clone())
        })
        .await
    }

    /// `GET /metrics`.
    pub async fn metrics(&self) -> String {
        self.ask(Call::get("/metrics")).await.expect(200).text()
    }

    /// What `/metrics` says of a gauge without labels.
    pub async fn gauge(&self, name: &str) -> i64 {
        let metrics = self.metrics().await;
        let line = metrics.lines().find(|line| line.split([' ', '{']).next() == Some(name));
        match line.and_then(|line| line.rsplit(' ').next()?.parse().ok()) {
            Some(value) => value,
            None => panic!("no gauge {name}: {metrics}"),
        }
    }

    /// Waits until nothing of any request is held: no connection of a caller, no request, no byte.
    pub async fn at_rest(&self) {
        for name in ["tollgate_connections", "tollgate_requests_in_flight", "tollgate_buffered_bytes"] {
            eventually(&format!("{name} is 0"), async || (self.gauge(name).await == 0).then_some(())).await;
        }
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Waits for its end, at most `limit`.
    pub async fn end_within(mut self, limit: Duration) -> Ended {
        let process = &mut self.process;
        let code = eventually_within(limit, "the server ends", async || process.ended()).await;
        self.ended(code)
    }

    /// Ends it and gives back its folder.
    pub async fn stop(self) -> Ended {
        self.terminate();
        self.end_within(END_TIMEOUT).await
    }

    /// Kills it without warning and gives back its folder.
    #[must_use]
    pub fn crash(mut self) -> Ended {
        self.process.kill();
        self.ended(None)
    }

    fn ended(&mut self, code: Option<i32>) -> Ended {
        let stderr = self.stderr();
        no_panic(&stderr);
        match self.folder.take() {
            Some(folder) => Ended { code, stderr, folder },
            None => panic!("the folder went on to another server"),
        }
    }
}

/// A server that does not listen yet: where a test fails over it, its log is told.
struct Starting<'a>(&'a Folder, &'a str);

impl Drop for Starting<'_> {
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

/// Whatever a test is about, the server must not panic in it.
fn no_panic(log: &str) {
    if let Some(line) = log.lines().find(|line| line.contains("panicked")) {
        panic!("the server panicked: {line}");
    }
}

/// The last lines of a log, for who reads a failed test.
#[expect(clippy::print_stderr, reason = "the test harness shows it only where a test failed")]
fn eprint_tail(log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(30)) {
        eprintln!("server: {line}");
    }
}

/// The line of a JSON log that says where the server listens.
#[must_use]
pub fn listening(log: &str) -> Option<Value> {
    log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|line| {
        let fields = if line["fields"].is_object() { line["fields"].clone() } else { line };
        (fields["message"] == "listening").then_some(fields)
    })
}

fn address(line: &Value, name: &str) -> Option<SocketAddr> {
    line[name].as_str()?.trim_start_matches("http://").parse().ok()
}
