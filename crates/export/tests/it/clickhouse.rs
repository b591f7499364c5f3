//! A ClickHouse that fails in many ways.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use access::Secret;
use export::{ClickHouseTable, EventTarget};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::certificates::trusting;
use crate::spooled::{Spooled, ids, ids_of};

/// A request that the server received.
#[derive(Debug, Clone)]
pub(crate) struct Insert {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Reads a whole request.
pub(crate) async fn read_insert(stream: &mut (impl AsyncRead + Unpin)) -> Insert {
    let mut bytes = Vec::new();
    loop {
        assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            return Insert { head: head.to_owned(), body: body.to_owned() };
        }
    }
}

/// Answers one connection after another with the given bytes; without any, it closes the connection.
struct Server {
    port: u16,
    inserts: Arc<Mutex<Vec<Insert>>>,
    tasks: JoinSet<()>,
}

impl Server {
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inserts = Arc::new(Mutex::new(Vec::new()));
        let received = inserts.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            for answer in answers.iter().chain(std::iter::repeat(&OK)) {
                let (mut stream, _) = listener.accept().await.unwrap();
                let insert = read_insert(&mut stream).await;
                received.lock().unwrap().push(insert);
                if *answer == HANG {
                    // The client ends the connection.
                    let _ = stream.read_buf(&mut Vec::new()).await;
                    continue;
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        Self { port, inserts, tasks }
    }

    fn inserts(&self) -> Vec<Insert> {
        self.inserts.lock().unwrap().clone()
    }
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const HANG: &str = "hang";

/// Returns a table at this port, without TLS.
pub(crate) fn table(port: u16) -> ClickHouseTable {
    ClickHouseTable {
        is_https: false,
        host: "127.0.0.1".to_owned(),
        port,
        authority: format!("127.0.0.1:{port}"),
        path: "/ch".to_owned(),
        database: "logs".to_owned(),
        table: "tollgate_events".to_owned(),
        user: "writer".to_owned(),
        password: Some(Secret::new("S3CRET".to_owned())),
        tls: trusting(&[]),
    }
}

fn target(port: u16) -> EventTarget {
    EventTarget::ClickHouse(table(port))
}

#[tokio::test]
async fn a_batch_is_one_insert_that_names_its_content() {
    let server = Server::start(&[]).await;
    let mut spooled = Spooled::new();
    let mut job = spooled.start(target(server.port));
    spooled.append(0..300);
    job.drain().await.unwrap();
    let inserts = server.inserts();
    let [insert] = &inserts[..] else { panic!("{} inserts", inserts.len()) };
    assert_eq!(ids_of(&insert.body), ids(0..300));
    let line = insert.head.lines().next().unwrap();
    assert!(
        line.starts_with("POST /ch/?query=INSERT%20INTO%20logs%2Etollgate%5Fevents%20FORMAT%20JSONEachRow&"),
        "{line}"
    );
    assert!(line.contains("&insert_deduplication_token=") && line.contains("&wait_end_of_query=1"), "{line}");
    assert!(insert.head.contains("\r\nx-clickhouse-user: writer\r\nx-clickhouse-key: S3CRET"), "{}", insert.head);
    assert!(!line.contains("S3CRET"));
    drop(server);
}

/// Each failure is repeated with the same rows and the same token.
#[tokio::test]
async fn a_failed_insert_is_repeated_unchanged() {
    let failures: &[(&str, &str)] = &[
        (
            "HTTP/1.1 500 Oops\r\nx-clickhouse-exception-code: 241\r\ncontent-length: 8\r\n\r\nrow: PII",
            "status 500, error code 241",
        ),
        ("HTTP/1.1 404 Not Found\r\nx-clickhouse-exception-code: 60\r\ncontent-length: 0\r\n\r\n", "error code 60"),
        ("HTTP/1.1 200 OK\r\nx-clickhouse-exception-code: 27\r\ncontent-length: 0\r\n\r\n", "error code 27"),
        ("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n", "status 302"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf", "no complete response"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal", "no complete response"),
        ("", "no complete response"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "no complete response"),
    ];
    static ANSWERS: &[&str] = &[
        "HTTP/1.1 500 Oops\r\nx-clickhouse-exception-code: 241\r\ncontent-length: 8\r\n\r\nrow: PII",
        "HTTP/1.1 404 Not Found\r\nx-clickhouse-exception-code: 60\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx-clickhouse-exception-code: 27\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
        "",
        "SSH-2.0-OpenSSH\r\n\r\n",
    ];
    let server = Server::start(ANSWERS).await;
    let mut spooled = Spooled::new();
    let mut job = spooled.start(target(server.port));
    spooled.append(0..50);
    for (answer, expected) in failures {
        let error = job.drain().await.unwrap_err();
        let text = format!("{error} {}", jobs::causes(&error));
        assert!(text.contains(expected), "{answer}: {text}");
        assert!(!text.contains("S3CRET") && !text.contains("PII"), "{text}");
        spooled.append(50..60);
        spooled.ingest();
    }
    job.drain().await.unwrap();
    let inserts = server.inserts();
    let (first, repeated) = inserts.split_first().unwrap();
    for again in &repeated[..failures.len()] {
        assert_eq!((&again.body, &again.head), (&first.body, &first.head));
    }
    assert_eq!(ids_of(&first.body), ids(0..50));
    assert_eq!(job.stats().failures.load(std::sync::atomic::Ordering::Relaxed), failures.len() as u64);
    drop(server);
}

#[tokio::test]
async fn a_hanging_server_ends_the_attempt_and_ingest_continues() {
    let server = Server::start(&[HANG]).await;
    let mut spooled = Spooled::new();
    let mut job = spooled.start(target(server.port));
    spooled.append(0..50);
    let inserts = server.inserts.clone();
    let mut attempt = JoinSet::new();
    attempt.spawn(async move { (job.drain().await, job) });
    while inserts.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    spooled.append(50..400);
    spooled.ingest();
    // All other timers of the test are those of the attempt.
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(31)).await;
    let (result, mut job) = attempt.join_next().await.unwrap().unwrap();
    tokio::time::resume();
    assert_eq!(result.unwrap_err().to_string(), "the target of the export did not respond in time");
    job.drain().await.unwrap();
    let received: Vec<String> = server.inserts().iter().skip(1).flat_map(|insert| ids_of(&insert.body)).collect();
    assert_eq!(received, ids(0..400));
    drop(server);
}

#[tokio::test]
async fn a_dead_server_is_an_error_that_names_no_credential() {
    let mut server = Server::start(&[]).await;
    server.tasks.shutdown().await;
    let mut spooled = Spooled::new();
    let mut job = spooled.start(target(server.port));
    spooled.append(0..5);
    let error = job.drain().await.unwrap_err();
    assert_eq!(error.to_string(), "the target of the export cannot be reached");
    assert!(!format!("{job:?} {error:?}").contains("S3CRET"));
}

#[tokio::test]
async fn a_server_that_accepts_nothing_for_a_day_gets_the_newest_rows_and_the_others_are_counted() {
    static DOWN: [&str; 24] = ["HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"; 24];
    const KEPT: u64 = 64 * 1024;
    let server = Server::start(&DOWN).await;
    let mut spooled = Spooled::new();
    spooled.size_bytes_max = KEPT;
    let mut job = spooled.start(target(server.port));
    for hour in 0..24 {
        spooled.append(hour * 100..hour * 100 + 100);
        assert!(job.drain().await.unwrap_err().to_string().contains("status 503"));
        // Nothing waits for the store.
        spooled.ingest();
        assert!(spooled.waiting_bytes() <= KEPT + 100);
        spooled.clock.advance(Duration::from_hours(1));
    }
    assert_eq!(job.stats().failures.load(Ordering::Relaxed), 24);
    // A batch whose segments are gone is given up.
    let _ = job.drain().await;
    job.drain().await.unwrap();
    let all = ids(0..2_400);
    let inserts = server.inserts();
    let received: BTreeSet<String> = inserts[DOWN.len()..].iter().flat_map(|insert| ids_of(&insert.body)).collect();
    let newest = &all[all.len() - 100..];
    assert!(newest.iter().all(|id| received.contains(id)) && received.len() < all.len(), "{} rows", received.len());
    let counted = received.len() as u64 + spooled.skipped_rows();
    assert!(spooled.skipped_rows() > 0 && counted >= all.len() as u64, "{counted} of {} rows", all.len());
    drop(server);
}
