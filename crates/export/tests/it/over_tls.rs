//! Targets with TLS: only a server whose certificate is of a known authority receives rows and credentials.

use std::sync::{Arc, Mutex};

use export::{ClickHouseTable, EventTarget, NatsStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{Authority, trusting};
use crate::clickhouse::{Insert, OK, read_insert, table};
use crate::nats::{Nats, stream};
use crate::spooled::{Spooled, ids, ids_of, sorted};

const FAILED: &str = "TLS to the target of the export failed";

/// A ClickHouse with TLS that accepts every insert.
struct TlsServer {
    port: u16,
    inserts: Arc<Mutex<Vec<Insert>>>,
    _tasks: JoinSet<()>,
}

impl TlsServer {
    async fn start(authority: &Authority) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(authority.server());
        let inserts = Arc::new(Mutex::new(Vec::new()));
        let received = inserts.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust the certificate ends the handshake.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let insert = read_insert(&mut stream).await;
                received.lock().unwrap().push(insert);
                stream.write_all(OK.as_bytes()).await.unwrap();
                let _ = stream.shutdown().await;
            }
        });
        Self { port, inserts, _tasks: tasks }
    }

    fn target(&self, host: &str, trusted: &[&Authority]) -> EventTarget {
        let host = host.to_owned();
        let tls = trusting(trusted);
        EventTarget::ClickHouse(ClickHouseTable { is_https: true, host, tls, ..table(self.port) })
    }
}

/// Exports to a target whose certificate is not valid for it.
async fn refused(spooled: &mut Spooled, target: EventTarget) {
    let error = spooled.start(target).drain().await.unwrap_err();
    let text = format!("{error} {}", jobs::causes(&error));
    assert!(text.starts_with(FAILED) && !text.contains("S3CRET"), "{text}");
}

#[tokio::test]
async fn clickhouse_receives_rows_over_tls_if_its_certificate_is_valid() {
    let known = Authority::new();
    let unknown = Authority::new();
    let server = TlsServer::start(&known).await;
    let mut spooled = Spooled::new();
    drop(spooled.start(server.target("localhost", &[])));
    spooled.append(0..50);
    for (host, trusted) in [("localhost", vec![]), ("localhost", vec![&unknown]), ("127.0.0.1", vec![&known])] {
        refused(&mut spooled, server.target(host, &trusted)).await;
    }
    assert!(server.inserts.lock().unwrap().is_empty());
    spooled.start(server.target("localhost", &[&unknown, &known])).drain().await.unwrap();
    let inserts = server.inserts.lock().unwrap();
    let received: Vec<String> = inserts.iter().flat_map(|insert| ids_of(&insert.body)).collect();
    assert_eq!(received, ids(0..50));
    assert!(inserts.iter().all(|insert| insert.head.contains("x-clickhouse-key: S3CRET")));
}

#[tokio::test]
async fn nats_receives_rows_over_tls_if_its_certificate_is_valid() {
    let known = Authority::new();
    let unknown = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start_with(&known.nats_settings(folder.path())).await;
    nats.create_stream().await;
    let target = |host: &str, trusted: &[&Authority]| {
        let host = host.to_owned();
        let tls = trusting(trusted);
        EventTarget::Nats(NatsStream { is_tls: true, host, tls, ..stream(nats.port, Some("writer"), Some("S3CRET")) })
    };
    let mut spooled = Spooled::new();
    drop(spooled.start(target("localhost", &[])));
    spooled.append(0..50);
    for (host, trusted) in [("localhost", vec![]), ("localhost", vec![&unknown]), ("127.0.0.1", vec![&known])] {
        refused(&mut spooled, target(host, &trusted)).await;
    }
    assert!(nats.rows().await.is_empty());
    spooled.start(target("localhost", &[&unknown, &known])).drain().await.unwrap();
    let received = nats.rows().await.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sorted(received), sorted(ids(0..50)));
}

/// A server without TLS, or in the middle, receives the beginning of a handshake and no credential.
#[tokio::test]
async fn a_server_without_tls_receives_no_credential() {
    for greeting in ["", "INFO {}\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting.as_bytes()).await.unwrap();
            let mut received = Vec::new();
            stream.read_buf(&mut received).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = stream.read_to_end(&mut received).await;
            received
        });
        let target = if greeting.is_empty() {
            EventTarget::ClickHouse(ClickHouseTable { is_https: true, ..table(port) })
        } else {
            EventTarget::Nats(NatsStream { is_tls: true, ..stream(port, Some("writer"), Some("S3CRET")) })
        };
        let mut spooled = Spooled::new();
        let mut job = spooled.start(target);
        spooled.append(0..5);
        assert_eq!(job.drain().await.unwrap_err().to_string(), FAILED);
        drop(job);
        let received = server.join_next().await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&received);
        assert!(received.first() == Some(&0x16), "no handshake: {text}");
        assert!(!text.contains("S3CRET") && !text.contains("CONNECT") && !text.contains("POST"), "{text}");
    }
}
