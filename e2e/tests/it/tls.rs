//! TLS of the built binary: control over TLS, reload of certificates while requests run, and a burst of handshakes.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use e2e::child::Process;
use e2e::gateway::listening;
use e2e::setup::Folder;
use e2e::{Call, Gateway, Setup, commands, eventually_within, vitals};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The pause between two runs of the job, and time for a busy machine.
const RELOADED_WITHIN: Duration = Duration::from_secs(30);
const HANDSHAKES: usize = 1_000;

/// A certificate for 127.0.0.1 in a folder.
struct Identity {
    folder: tempfile::TempDir,
}

impl Identity {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Writes a new certificate and its key, and returns a client that trusts it.
    fn renew(&self) -> (CertificateDer<'static>, TlsConnector) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        // The key is replaced first: between the two, the files do not match and stay unused.
        fs::write(self.path("key.pem"), pem("PRIVATE KEY", &key.serialize_der())).unwrap();
        fs::set_permissions(self.path("key.pem"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(self.path("cert.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        (certificate.der().clone(), TlsConnector::from(Arc::new(config)))
    }

    fn yaml(&self) -> String {
        format!("{{cert: {}, key: {}}}", self.path("cert.pem").display(), self.path("key.pem").display())
    }

    /// A server whose proxy has this certificate.
    fn setup(&self) -> Setup {
        Setup::mocked().section("listen", &format!("[{{address: \"127.0.0.1:0\", tls: {}}}]", self.yaml()))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}

async fn connect(client: &TlsConnector, to: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
    client.connect(ServerName::from(to.ip()), TcpStream::connect(to).await?).await
}

/// Sends a request, and returns the status line of the response, whose content has a length.
async fn get(stream: &mut TlsStream<TcpStream>, path: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(head.lines().next().unwrap_or_default().to_owned())
}

fn leaf(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

#[tokio::test]
async fn control_is_served_over_tls_only() {
    let identity = Identity::new();
    let folder = Folder::new();
    let (_, client) = identity.renew();
    let setup = Setup::mocked().section("control", &format!("{{tls: {}}}", identity.yaml()));
    let _process = Process::new(commands::serve(&folder, &setup));
    let line =
        eventually_within(RELOADED_WITHIN, "the server listens", async || listening(&folder.read("stderr"))).await;
    let control: SocketAddr = line["control"].as_str().unwrap().trim_start_matches("https://").parse().unwrap();
    let ready = eventually_within(RELOADED_WITHIN, "/readyz answers 200 over TLS", async || {
        let mut stream = connect(&client, control).await.ok()?;
        get(&mut stream, "/readyz").await.ok().filter(|status| status.contains(" 200 "))
    });
    ready.await;
    let mut plain = TcpStream::connect(control).await.unwrap();
    plain.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut received = String::new();
    plain.read_to_string(&mut received).await.unwrap();
    assert!(received.starts_with("HTTP/1.1 400") && received.contains("accepts only TLS"), "{received}");
}

/// Starts a provider with the certificate of `identity`, whose response to each request is a chat completion.
async fn provider(identity: &Identity) -> (SocketAddr, JoinSet<()>) {
    let certificate = identity.path("cert.pem");
    let key = identity.path("key.pem");
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut received = vec![0; 64 * 1024];
            let _ = stream.read(&mut received).await;
            let body = r#"{"id":"c","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (address, tasks)
}

#[tokio::test]
async fn a_changed_authority_of_a_provider_is_used_while_requests_run() {
    let identity = Identity::new();
    let other = Identity::new();
    identity.renew();
    other.renew();
    let ca = identity.path("ca.pem");
    fs::copy(other.path("cert.pem"), &ca).unwrap();
    let (address, _provider) = provider(&identity).await;
    let setup = Setup::new().section(
        "providers",
        &format!(
            "[{{name: far, kind: openai, base_url: \"https://{address}/v1\", credential: sk-far, tls: {{ca: {}}}}}]",
            ca.display()
        ),
    );
    let gateway = Gateway::start(setup).await;
    let key = gateway.key().await;
    let body = serde_json::json!({"model": "far/m", "messages": []});
    let status = async || gateway.call(Call::json("/v1/chat/completions", &body).key(&key)).await.status();
    assert_eq!(status().await, 502, "another authority has signed the certificate");
    fs::copy(identity.path("cert.pem"), &ca).unwrap();
    eventually_within(RELOADED_WITHIN, "the changed file is used", async || (status().await == 200).then_some(()))
        .await;
    fs::write(&ca, "no certificate").unwrap();
    let failures = format!("tollgate_tls_reload_failures_total{{file=\"{}\"}}", ca.display());
    eventually_within(RELOADED_WITHIN, "the metric counts the broken file", async || {
        let metrics = gateway.metrics().await;
        let count = metrics.lines().find_map(|line| line.strip_prefix(&failures)?.trim().parse::<u64>().ok());
        count.filter(|count| *count > 0)
    })
    .await;
    assert_eq!(status().await, 200, "the last valid file remains in use");
}

#[tokio::test]
async fn certificate_is_replaced_while_requests_run_and_a_broken_one_is_not_used() {
    let identity = Identity::new();
    let (first, client) = identity.renew();
    let gateway = Gateway::start(identity.setup()).await;
    let proxy = gateway.proxy;
    let is_over = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicU32::new(0));
    let mut requests = JoinSet::new();
    for _ in 0..4 {
        let mut stream = connect(&client, proxy).await.unwrap();
        let is_over = is_over.clone();
        let served = served.clone();
        requests.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                assert!(get(&mut stream, "/").await.unwrap().contains(" 200 "));
                served.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    fs::write(identity.path("cert.pem"), "no certificate").unwrap();
    let failures = format!("tollgate_tls_reload_failures_total{{file=\"{}\"}}", identity.path("cert.pem").display());
    eventually_within(RELOADED_WITHIN, "the metric counts the broken file", async || {
        let metrics = gateway.metrics().await;
        let count = metrics.lines().find_map(|line| line.strip_prefix(&failures)?.trim().parse::<u64>().ok());
        count.filter(|count| *count > 0)
    })
    .await;
    gateway.logs("a changed certificate cannot be used").await;
    assert_eq!(leaf(&connect(&client, proxy).await.unwrap()), first);

    let (second, client) = identity.renew();
    eventually_within(RELOADED_WITHIN, "new connections get the new certificate", async || {
        let stream = connect(&client, proxy).await.ok()?;
        (leaf(&stream) == second).then_some(())
    })
    .await;
    gateway.logs("a changed certificate is in use").await;
    let before = served.load(Ordering::Relaxed);
    eventually_within(RELOADED_WITHIN, "open connections continue", async || {
        (served.load(Ordering::Relaxed) > before + 8).then_some(())
    })
    .await;
    is_over.store(true, Ordering::Relaxed);
    // A request that failed has panicked.
    requests.join_all().await;
}

#[tokio::test]
async fn burst_of_handshakes_is_served_and_leaves_no_descriptor() {
    vitals::raise_descriptors(4_096);
    let identity = Identity::new();
    let (_, client) = identity.renew();
    let gateway = Gateway::start(identity.setup()).await;
    let proxy = gateway.proxy;
    let before = gateway.vitals().descriptors();
    let mut clients = JoinSet::new();
    for _ in 0..HANDSHAKES {
        let client = client.clone();
        clients.spawn(async move {
            let mut stream = connect(&client, proxy).await.ok()?;
            get(&mut stream, "/").await.ok().filter(|status| status.contains(" 200 "))
        });
    }
    let served = clients.join_all().await.into_iter().flatten().count();
    assert_eq!(served, HANDSHAKES);
    eventually_within(RELOADED_WITHIN, "connections are closed", async || {
        (gateway.vitals().descriptors() <= before + 8).then_some(())
    })
    .await;
}

#[tokio::test]
async fn production_refuses_demo_users() {
    let setup = Setup::bare().flag("--demo").section("production", "true");
    let (code, reported) = commands::serve_to_its_end(&Folder::new(), &setup).await;
    assert!(matches!(code, Some(1..)) && reported.contains("demo_keys_in_production"), "{code:?} {reported}");
    assert!(!reported.contains("panicked"), "{reported}");
}
