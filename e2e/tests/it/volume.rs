//! Speed and memory with a large store. `make soak` runs these tests at their full size (`TOLLGATE_TEST_LONG=1`) and asserts
//! their bounds; otherwise they are small, and show that each figure is right. All but upgrades are for SQLite only.

mod billing;
mod days;
mod fill;
mod upgrade;

use std::net::SocketAddr;
use std::time::Duration;

use e2e::setup::Folder;
use e2e::{Canary, Vitals, Wire, commands, is_long, timed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::hostile::say;

/// Requests at a constant rate, whether or not earlier ones have a response.
#[derive(Debug, Clone, Copy)]
struct Load {
    per_second: u32,
    requests: u32,
    connections: u32,
}

impl Load {
    /// Sends a request repeatedly, each with the status 200. Returns the durations from the time at which each was due, in
    /// ascending order.
    async fn run(self, to: SocketAddr, request: String) -> Vec<Duration> {
        let began = Instant::now();
        let mut connections = JoinSet::new();
        for first in 0..self.connections {
            let request = request.clone();
            connections.spawn(async move {
                let mut wire = Wire::connect(to).await.unwrap();
                let mut durations = Vec::new();
                for nth in (first..self.requests).step_by(usize::try_from(self.connections).unwrap()) {
                    let due = began + Duration::from_secs(1) * nth / self.per_second;
                    sleep_until(due).await;
                    wire.write(request.as_bytes()).await.unwrap();
                    let head = wire.head().await.expect("a response");
                    let (body, is_whole) = wire.body(head.framing().unwrap()).await;
                    assert!(is_whole && head.word(1) == "200", "{} {}", head.word(1), String::from_utf8_lossy(&body));
                    durations.push(due.elapsed());
                }
                durations
            });
        }
        let mut durations = connections.join_all().await.concat();
        durations.sort_unstable();
        durations
    }
}

/// A timeout of downloads and commands against hangs only.
const PATIENCE: Duration = Duration::from_secs(900);

/// The time in which control sends the first byte of any response.
const HEAD_MAX: Duration = Duration::from_secs(30);

/// Downloads a file that the server writes at its own pace, by HTTP/1.0, whose responses end with the connection. The caller
/// verifies that the file is whole.
async fn download(to: SocketAddr, line: &str, key: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let head = format!("{line} HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut bytes = vec![0];
    timeout(HEAD_MAX, stream.read_exact(&mut bytes)).await.expect("the response begins in time").unwrap();
    timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the file ends").unwrap();
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let body = bytes.split_off(head + 4);
    let head = String::from_utf8_lossy(&bytes);
    assert!(head.starts_with("HTTP/1") && head.contains(" 200 "), "{head}{}", String::from_utf8_lossy(&body));
    body
}

/// Maximum time of `tollgate verify` for a file of a million requests.
const VERIFY_MAX: Duration = Duration::from_secs(60);
/// Maximum memory of `tollgate verify`.
const VERIFY_BYTES_MAX: u64 = 100 << 20;

/// Runs a command that may take minutes. Returns its output, and the most memory that it had.
async fn completes(folder: &Folder, words: &[&str]) -> (String, u64) {
    let began = Instant::now();
    let mut child = commands::begin(folder, words, &[]);
    let vitals = Vitals::from_id(child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        peak = vitals.peak_bytes_if_running().unwrap_or(0).max(peak);
        assert!(began.elapsed() < PATIENCE, "{words:?} ends");
        sleep(Duration::from_millis(2)).await;
    }
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{words:?}: {printed} {}", String::from_utf8_lossy(&output.stderr));
    (printed, peak)
}

/// Verifies a file with `tollgate verify`, whose time and memory are printed and bounded. Returns its output.
async fn verify(canary: &Canary, what: &str, zip: &[u8]) -> String {
    let folder = Folder::new();
    let path = folder.path().join("evidence.zip").display().to_string();
    std::fs::write(&path, zip).unwrap();
    let ((printed, peak), took) = timed(completes(&folder, &["verify", &path])).await;
    say(&format!("verify of {what}: {peak} bytes of memory"));
    assert!(peak <= VERIFY_BYTES_MAX, "{peak} bytes");
    within(canary, &format!("verify of {what}"), took, VERIFY_MAX);
    printed
}

/// Returns a percentile of durations in ascending order.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

/// Prints a duration, and asserts its bound in long runs. A machine that is busy has more time.
fn within(canary: &Canary, what: &str, measured: Duration, limit: Duration) {
    let allowed = canary.allows(limit);
    say(&format!("{what}: {measured:?}, allowed are {allowed:?}"));
    assert!(!is_long() || measured <= allowed, "{what}: {measured:?}, allowed are {allowed:?}");
}
