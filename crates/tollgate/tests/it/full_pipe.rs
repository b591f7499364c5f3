//! Unread output: a pipe that takes stdout and stderr is full, as its reader reads the greeting and nothing more; a full disk;
//! a closed pipe.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{HANGS, Server, tollgate};

/// Number of requests, which is more than the number of log lines that wait for stderr.
const REQUESTS: usize = 10_000;
/// Requests that are sent before their responses are read.
const AHEAD: usize = 100;
/// The pipe is considered full if no byte could be written for this time.
const FULL_AFTER: Duration = Duration::from_millis(200);

/// A server whose output is no longer read.
struct Unread {
    server: Server,
    proxy: SocketAddr,
    control: SocketAddr,
    _pipe: BufReader<PipeReader>,
}

async fn start(folder: &Path, delay: &str) -> Unread {
    let (reader, writer) = std::io::pipe().unwrap();
    let server = Server::serve(folder, delay, [(); 2].map(|()| writer.try_clone().unwrap().into()));
    let greeting = tokio::task::spawn_blocking(move || {
        let mut pipe = BufReader::new(reader);
        let addresses = ["  proxy    http://", "  control  http://"].map(|start| address(&mut pipe, start));
        (pipe, addresses)
    });
    let (pipe, [proxy, control]) = tokio::time::timeout(HANGS, greeting).await.expect("no greeting").unwrap();
    fill(writer).await;
    Unread { server, proxy, control, _pipe: pipe }
}

fn address(pipe: &mut BufReader<PipeReader>, start: &str) -> SocketAddr {
    let mut lines = pipe.lines().map(Result::unwrap);
    lines.find_map(|line| line.strip_prefix(start).map(|address| address.parse().unwrap())).unwrap()
}

/// Writes until the pipe is full, and fills it again until the reader is dropped.
async fn fill(mut pipe: PipeWriter) {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    std::thread::spawn(move || {
        while pipe.write_all(b"x").is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut seen = 0;
    loop {
        tokio::time::sleep(FULL_AFTER).await;
        let now = written.load(Ordering::Relaxed);
        if now == seen {
            return;
        }
        seen = now;
    }
}

/// Requests a missing path [`REQUESTS`] times; each request writes a log line.
async fn ask(proxy: SocketAddr) {
    let request = "GET /nowhere HTTP/1.1\r\nhost: gateway\r\n\r\n";
    let mut connection = TcpStream::connect(proxy).await.unwrap();
    let mut buffer = vec![0; 64 * 1024];
    for _ in 0..REQUESTS / AHEAD {
        connection.write_all(request.repeat(AHEAD).as_bytes()).await.unwrap();
        let mut answers = Vec::new();
        while count(&answers, b"HTTP/1.1 404") < AHEAD {
            let bytes = connection.read(&mut buffer).await.unwrap();
            assert!(bytes > 0, "{}", String::from_utf8_lossy(&answers));
            answers.extend_from_slice(buffer.get(..bytes).unwrap());
        }
    }
}

fn count(bytes: &[u8], word: &[u8]) -> usize {
    bytes.windows(word.len()).filter(|window| *window == word).count()
}

async fn get(control: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let mut connection = TcpStream::connect(control).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = connection.read_to_string(&mut answer);
    tokio::time::timeout(HANGS, read).await.expect("control waits for the log").unwrap();
    answer
}

/// A server that responds although its log is blocked.
async fn stuck(folder: &Path, delay: &str) -> Unread {
    let unread = start(folder, delay).await;
    tokio::time::timeout(HANGS, ask(unread.proxy)).await.expect("requests wait for the log");
    let metrics = get(unread.control, "/metrics").await;
    let lost = metrics.lines().find_map(|line| line.strip_prefix("tollgate_log_lines_dropped_total "));
    let lost: usize = lost.unwrap_or_else(|| panic!("{metrics}")).trim().parse().unwrap();
    assert!((1..REQUESTS).contains(&lost), "{lost}");
    unread
}

#[tokio::test]
async fn a_full_pipe_stops_neither_answers_nor_the_drain() {
    let folder = tempfile::tempdir().unwrap();
    let mut unread = stuck(folder.path(), "0s").await;
    unread.server.signal(Signal::TERM);
    assert_eq!(unread.server.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_full_pipe_does_not_stop_the_second_signal() {
    let folder = tempfile::tempdir().unwrap();
    let mut unread = stuck(folder.path(), "1h").await;
    unread.server.signal(Signal::TERM);
    let draining = async { while !get(unread.control, "/readyz").await.starts_with("HTTP/1.1 503") {} };
    tokio::time::timeout(HANGS, draining).await.expect("the first signal was not heard");
    unread.server.signal(Signal::INT);
    assert_eq!(unread.server.ended().await.code(), Some(130));
}

#[tokio::test]
async fn a_full_pipe_does_not_stop_a_command_that_fails() {
    let (reader, writer) = std::io::pipe().unwrap();
    fill(writer.try_clone().unwrap()).await;
    let mut child = tollgate().args(["check", "missing.yaml"]).stderr(writer).spawn().unwrap();
    let ended = tokio::time::timeout(HANGS, child.wait()).await.expect("it does not end").unwrap();
    assert_eq!(ended.code(), Some(2));
    drop(reader);
}

#[tokio::test]
async fn a_command_whose_output_is_lost_fails_and_one_whose_reader_has_enough_does_not() {
    for words in [&["schema"][..], &["generate", "completions", "bash"]] {
        let run = async |stdout: Stdio| {
            let child = tollgate().args(words).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
            let output =
                tokio::time::timeout(HANGS, child.wait_with_output()).await.expect("the process does not end").unwrap();
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let (code, reported) = run(full.into()).await;
        assert!(code == Some(1) && reported.starts_with("error: the output of this command is lost"), "{reported}");
        let (reader, closed) = std::io::pipe().unwrap();
        drop(reader);
        assert_eq!(run(closed.into()).await, (Some(0), String::new()), "{words:?}");
    }
}
