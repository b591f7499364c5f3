//! Listeners with TLS: certificates, versions, handshakes, and what clients without TLS receive.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::Clock;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client_http2::StreamClient;
use crate::frames::{PROTOCOL_ERROR, SETTINGS, frame, goaway};
use crate::gateway::Gateway;
use crate::raw::Raw;
use crate::upstream::Authority;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const BODY_BYTES: usize = 3 * 1024 * 1024;

/// A folder with certificates of one authority.
pub(crate) struct Certificates {
    pub(crate) authority: Authority,
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        Self { authority: Authority::new(), folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a certificate into NAME.pem and its key into NAME.key. Returns the keys of the configuration.
    pub(crate) fn write(&self, name: &str, names: &[&str], until: i32) -> String {
        let (certificate, key) = self.authority.certify(names, until);
        fs::write(self.path(&format!("{name}.pem")), certificate).unwrap();
        self.write_key(name, &key);
        let folder = self.folder.path().display();
        format!("cert: {folder}/{name}.pem, key: {folder}/{name}.key")
    }

    fn write_key(&self, name: &str, key: &str) {
        let path = self.path(&format!("{name}.key"));
        fs::write(&path, key).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub(crate) fn client(&self) -> TlsConnector {
        self.client_of(&[])
    }

    /// Returns a client that offers these protocols.
    fn client_of(&self, protocols: &[&[u8]]) -> TlsConnector {
        let mut config = ClientConfig::clone(&self.authority.trusted());
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsConnector::from(Arc::new(config))
    }
}

/// Starts a gateway whose listener has `tls`, before an upstream that responds with the head and the body that it received.
pub(crate) async fn start(tls: &str, more: &str) -> (Gateway, Raw) {
    start_with(&format!("tls: {{{tls}}}"), more).await
}

/// Starts the same with other keys of the listener.
pub(crate) async fn start_with(listener: &str, more: &str) -> (Gateway, Raw) {
    let upstream = Raw::start(|mut conn| async move {
        loop {
            let mut read = Vec::new();
            while !read.ends_with(b"\r\n\r\n") {
                let Ok(byte) = conn.stream.read_u8().await else { return };
                read.push(byte);
            }
            let head = String::from_utf8(read.clone()).unwrap().to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut body = vec![0; length.unwrap_or(0)];
            conn.stream.read_exact(&mut body).await.unwrap();
            read.extend_from_slice(&body);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", read.len());
            if !conn.say(head).await || !conn.say(read).await {
                return;
            }
        }
    })
    .await;
    let yaml = format!(
        "listen: [{{address: \"127.0.0.1:0\", {listener}}}]\nai: {{enabled: false}}\n{more}\
         upstreams: [{{name: up, backends: [{{url: \"http://{}\"}}]}}]\n\
         routes: [{{path: {{prefix: /}}, auth: {{type: none}}, upstreams: up}}]\n",
        upstream.address
    );
    (Gateway::plain(&yaml), upstream)
}

pub(crate) async fn connect(
    gateway: &Gateway,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_over(gateway.caller().connect().await, connector, name).await
}

/// Begins TLS on a connection.
pub(crate) async fn connect_over(
    stream: TcpStream,
    connector: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    timeout(PATIENCE, connector.connect(name, stream)).await.expect("the handshake ends")
}

/// Sends a request that ends the connection, and returns all that the client receives.
pub(crate) async fn get(stream: &mut TlsStream<TcpStream>, fields: &str) -> std::io::Result<String> {
    get_of(stream, "a.test", fields).await
}

/// Sends a request to this host with these fields, and returns the response.
async fn get_of(stream: &mut TlsStream<TcpStream>, host: &str, fields: &str) -> std::io::Result<String> {
    let request = format!("GET /a HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut received = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection ends")?;
    Ok(String::from_utf8(received).unwrap())
}

#[tokio::test]
async fn alpn_selects_http2_if_the_client_offers_it() {
    let certificates = Certificates::new();
    let (gateway, _upstream) = start(&certificates.write("a", &["a.test"], 2100), "").await;
    for (offered, selected) in [
        (&[][..], None),
        (&[&b"http/1.1"[..]], Some(&b"http/1.1"[..])),
        (&[b"http/1.1", b"h2"], Some(b"h2")),
        (&[b"h2"], Some(b"h2")),
    ] {
        let mut stream = connect(&gateway, &certificates.client_of(offered), "a.test").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), selected, "{offered:?}");
        let received = if selected == Some(b"h2") {
            let answer = StreamClient::over(stream, &h2::client::Builder::new()).await.get("/a").await;
            assert_eq!(answer.status, 200);
            answer.body
        } else {
            get(&mut stream, "").await.unwrap()
        };
        assert!(received.to_ascii_lowercase().contains("\r\nx-forwarded-proto: https\r\n"), "{received}");
    }
}

/// Sends bytes after the handshake of `client`. Returns all that the client receives.
async fn sent_after_alpn(gateway: &Gateway, client: &TlsConnector, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect(gateway, client, "a.test").await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut received = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection ends").unwrap();
    received
}

#[tokio::test]
async fn alpn_decides_which_protocol_is_served() {
    let certificates = Certificates::new();
    let (gateway, _upstream) = start(&certificates.write("a", &["a.test"], 2100), "").await;
    let goaway = goaway(0, PROTOCOL_ERROR);
    for preface in
        [&b"GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"[..], b"INVALID CONNECTION PREFACE\r\n\r\n"]
    {
        let received = sent_after_alpn(&gateway, &certificates.client_of(&[b"h2"]), preface).await;
        assert_eq!(received.get(3), Some(&SETTINGS), "the gateway begins with SETTINGS: {received:?}");
        assert!(received.ends_with(&goaway), "{received:?}");
    }
    let preface = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &frame(SETTINGS, 0, 0, [])[..]].concat();
    let received = sent_after_alpn(&gateway, &certificates.client_of(&[b"http/1.1"]), &preface).await;
    assert!(received.starts_with(b"HTTP/1.1 400 Bad Request\r\n"), "{received:?}");
}

fn leaf(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test]
async fn request_over_tls_reaches_the_upstream_as_https() {
    let certificates = Certificates::new();
    let (gateway, _upstream) = start(&certificates.write("a", &["a.test"], 2100), "").await;
    let mut stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
    let received = get(&mut stream, "X-Forwarded-Proto: http\r\n").await.unwrap().to_ascii_lowercase();
    assert!(received.starts_with("http/1.1 200 ok\r\n"), "{received}");
    assert!(received.contains("\r\nx-forwarded-proto: https\r\n"), "{received}");
    assert!(!received.contains("x-forwarded-proto: http\r\n"), "{received}");
}

#[tokio::test]
async fn trusted_proxy_reports_the_scheme() {
    let certificates = Certificates::new();
    let tls = certificates.write("a", &["a.test"], 2100);
    let (gateway, _upstream) = start(&tls, "trusted_proxies: 127.0.0.1\n").await;
    for (fields, expected) in
        [("X-Forwarded-Proto: http\r\n", "http"), ("", "https"), ("X-Forwarded-Proto: x\r\n", "https")]
    {
        let mut stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
        let received = get(&mut stream, fields).await.unwrap().to_ascii_lowercase();
        assert!(received.contains(&format!("\r\nx-forwarded-proto: {expected}\r\n")), "{fields} {received}");
    }
}

#[tokio::test]
async fn large_bodies_pass_in_both_directions_on_one_connection() {
    let certificates = Certificates::new();
    let (gateway, _upstream) = start(&certificates.write("a", &["a.test"], 2100), "").await;
    let stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
    let body: Vec<u8> = (0..BODY_BYTES).map(|at| b'a' + u8::try_from(at % 23).unwrap()).collect();
    let (mut from, mut to) = tokio::io::split(stream);
    for _ in 0..2 {
        let head = format!("POST /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: {BODY_BYTES}\r\n\r\n");
        let write = async {
            to.write_all(head.as_bytes()).await.unwrap();
            to.write_all(&body).await.unwrap();
        };
        let read = async {
            let mut received = Vec::new();
            // The end of the body repeats within it, so that the number of bytes decides, too.
            while received.len() <= BODY_BYTES || !received.ends_with(&body[body.len() - 1024..]) {
                let mut piece = vec![0; 1 << 20];
                let bytes = from.read(&mut piece).await.unwrap();
                assert!(bytes > 0);
                received.extend_from_slice(&piece[..bytes]);
            }
            received
        };
        let (received, ()) = timeout(PATIENCE, async { tokio::join!(read, write) }).await.expect("the body passes");
        assert!(received.ends_with(&body));
    }
}

#[tokio::test]
async fn server_name_selects_the_certificate_and_the_first_is_the_default() {
    let certificates = Certificates::new();
    let each = [("a", "a.test"), ("b", "b.test"), ("c", "*.c.test")].map(|(file, name)| {
        let keys = certificates.write(file, &[name], 2100);
        format!("{{{keys}}}")
    });
    let (gateway, _upstream) = start(&format!("certificates: [{}]", each.join(", ")), "").await;
    let mut leaves = Vec::new();
    for name in ["a.test", "b.test", "B.TEST", "x.c.test", "y.c.test"] {
        let mut stream = connect(&gateway, &certificates.client(), name).await.unwrap();
        leaves.push(leaf(&stream));
        assert!(get_of(&mut stream, name, "").await.unwrap().starts_with("HTTP/1.1 200"), "{name}");
    }
    // The host of another certificate needs a connection with its name (RFC 9110, 7.4).
    let mut stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
    assert!(get_of(&mut stream, "x.c.test", "").await.unwrap().starts_with("HTTP/1.1 421"));
    assert!(leaves[0] != leaves[1] && leaves[1] == leaves[2] && leaves[3] == leaves[4] && leaves[3] != leaves[0]);
    for name in ["c.test", "x.y.c.test", "unknown.test", "127.0.0.1"] {
        let error = connect(&gateway, &certificates.client(), name).await.unwrap_err().to_string();
        assert!(error.contains("a.test") && error.contains("not valid for name"), "{name}: {error}");
    }
}

#[tokio::test]
async fn reloaded_certificate_serves_new_connections_while_requests_run() {
    let certificates = Certificates::new();
    let (gateway, _upstream) = start(&certificates.write("a", &["a.test"], 2100), "").await;
    let now = Clock::system().now();
    let mut open = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
    let first = leaf(&open);

    // No content that cannot be used replaces the first one.
    let good = fs::read(certificates.path("a.pem")).unwrap();
    let good_key = fs::read_to_string(certificates.path("a.key")).unwrap();
    let spoil: [&dyn Fn(); 5] = [
        &|| _ = certificates.write("a", &["a.test"], 2020),
        &|| certificates.write_key("a", &certificates.authority.certify(&["a.test"], 2100).1),
        &|| fs::write(certificates.path("a.pem"), "no certificate").unwrap(),
        &|| fs::remove_file(certificates.path("a.pem")).unwrap(),
        &|| fs::set_permissions(certificates.path("a.key"), fs::Permissions::from_mode(0o644)).unwrap(),
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        fs::write(certificates.path("a.pem"), &good).unwrap();
        certificates.write_key("a", &good_key);
        assert!(!gateway.tls().reload(now)[0].has_failed, "{number}");
        spoil();
        assert!(gateway.tls().reload(now)[0].has_failed, "{number}");
        let mut stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
        assert!(leaf(&stream) == first, "{number}");
        assert!(get(&mut stream, "").await.unwrap().starts_with("HTTP/1.1 200"), "{number}");
    }

    certificates.write("a", &["a.test"], 2101);
    assert!(!gateway.tls().reload(now)[0].has_failed);
    let mut stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
    assert!(leaf(&stream) != first);
    assert!(get(&mut stream, "").await.unwrap().starts_with("HTTP/1.1 200"));
    // The connection from before continues.
    assert!(get(&mut open, "").await.unwrap().starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn sessions_are_resumed() {
    let certificates = Certificates::new();
    let (gateway, _upstream) = start(&certificates.write("a", &["a.test"], 2100), "").await;
    let client = certificates.client();
    for expected in [rustls::HandshakeKind::Full, rustls::HandshakeKind::Resumed] {
        let mut stream = connect(&gateway, &client, "a.test").await.unwrap();
        assert!(get(&mut stream, "").await.unwrap().starts_with("HTTP/1.1 200"));
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(expected));
    }
}

#[tokio::test]
async fn lowest_version_is_configured() {
    let certificates = Certificates::new();
    let tls = certificates.write("a", &["a.test"], 2100);
    for (min, has_tls12) in [("", true), (", min_version: \"1.2\"", true), (", min_version: \"1.3\"", false)] {
        let (gateway, _upstream) = start(&format!("{tls}{min}"), "").await;
        for (version, works) in [(&rustls::version::TLS12, has_tls12), (&rustls::version::TLS13, true)] {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(certificates.authority.certificate()).unwrap();
            let config = ClientConfig::builder_with_protocol_versions(&[version]);
            let config = config.with_root_certificates(roots).with_no_client_auth();
            let connected = connect(&gateway, &TlsConnector::from(Arc::new(config)), "a.test").await;
            assert_eq!(connected.is_ok(), works, "{min} {version:?}");
            if let Ok(mut stream) = connected {
                assert!(get(&mut stream, "").await.unwrap().starts_with("HTTP/1.1 200"));
            }
        }
    }
}

#[tokio::test]
async fn http_without_tls_gets_a_clear_400() {
    let certificates = Certificates::new();
    let (gateway, _upstream) = start(&certificates.write("a", &["a.test"], 2100), "").await;
    for sent in ["GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", "G", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = gateway.caller().connect().await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut received = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut received)).await.unwrap().unwrap();
        assert!(received.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{received}");
        assert!(received.ends_with("\r\n\r\nThis port accepts only TLS: use https:// in the URL.\r\n"), "{received}");
    }
}

#[tokio::test]
async fn tls_without_a_tls_listener_is_refused_at_once() {
    let gateway = Gateway::plain("ai: {enabled: false}\n");
    let since = Instant::now();
    let error = connect(&gateway, &Certificates::new().client(), "a.test").await.unwrap_err();
    // Otherwise, it would end after a minute.
    assert!(since.elapsed() < PATIENCE, "{:?}", since.elapsed());
    assert!(error.to_string().contains("corrupt message"), "{error}");
    let mut stream = gateway.caller().connect().await;
    // The beginning of a ClientHello, after which a client waits.
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
    let mut received = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut received)).await.unwrap().unwrap();
    assert!(received.starts_with("HTTP/1.1 400 Bad Request\r\n") && received.contains("\"code\":"), "{received}");
}

#[tokio::test]
async fn handshake_that_trickles_or_stops_is_cut_while_others_are_served() {
    let certificates = Certificates::new();
    let tls = certificates.write("a", &["a.test"], 2100);
    let (gateway, _upstream) = start(&tls, "timeouts: {connect: 1s, idle: 600ms}\n").await;
    let slow = async |pace: Option<Duration>| {
        let since = Instant::now();
        let mut stream = gateway.caller().connect().await;
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").await.unwrap();
        let (mut from, mut to) = stream.split();
        let write = async {
            while let Some(pace) = pace {
                sleep(pace).await;
                if to.write_all(b"\x00").await.is_err() {
                    break;
                }
            }
            std::future::pending::<()>().await;
        };
        let mut received = Vec::new();
        tokio::select! {
            () = write => {}
            _ = timeout(PATIENCE, from.read_to_end(&mut received)) => {}
        }
        since.elapsed()
    };
    // A handshake that is dropped would count as failed, so the others end by themselves.
    let is_over = Cell::new(false);
    let others = async {
        while !is_over.get() {
            let mut stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
            assert!(get(&mut stream, "").await.unwrap().starts_with("HTTP/1.1 200"));
            sleep(Duration::from_millis(50)).await;
        }
    };
    let both = async {
        let times = tokio::join!(slow(None), slow(Some(Duration::from_millis(50))));
        is_over.set(true);
        times
    };
    let ((stopped, trickled), ()) = tokio::join!(both, others);
    assert!(stopped < PATIENCE && trickled < PATIENCE, "{stopped:?} {trickled:?}");
    let metrics = gateway.metrics();
    assert!(metrics.contains("tollgate_tls_handshake_failures_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn burst_of_handshakes_is_bounded_and_served_afterwards() {
    let certificates = Certificates::new();
    let tls = certificates.write("a", &["a.test"], 2100);
    let (gateway, _upstream) = start(&tls, "connections: {max: 20}\n").await;
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let caller = gateway.caller();
        let connector = certificates.client();
        clients.spawn(async move {
            let name = ServerName::try_from("a.test").unwrap();
            let mut stream = connector.connect(name, caller.connect().await).await.ok()?;
            // Other clients come while this one keeps its connection.
            sleep(Duration::from_millis(300)).await;
            get(&mut stream, "").await.ok().filter(|received| received.starts_with("HTTP/1.1 200"))
        });
    }
    let served = timeout(PATIENCE, clients.join_all()).await.unwrap().into_iter().flatten().count();
    assert!((1..200).contains(&served), "{served}");
    let mut stream = connect(&gateway, &certificates.client(), "a.test").await.unwrap();
    assert!(get(&mut stream, "").await.unwrap().starts_with("HTTP/1.1 200"));
}
