//! Deliveries to receivers with TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use billing::rules::webhook_event::WebhookEvents;
use billing::webhook::{WebhookDelivery, WebhookUrl};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Announcing, BOUNDS, BY, is_whole, trust};

/// A certification authority in PEM, and the TLS of a server whose certificate it has signed.
struct Authority {
    pem: String,
    server: Arc<ServerConfig>,
}

impl Authority {
    /// Returns an authority with a certificate for `name`.
    fn for_name(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap();
        let pem = Base64::encode_string(der.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n");
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
        let certificate = CertificateDer::from(certificate.der().to_vec());
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(own.serialize_der()));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let server = server.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
        Self { pem, server: Arc::new(server) }
    }
}

/// Accepts deliveries over TLS; returns the address and the requests.
async fn receiver(of: &Authority, tasks: &mut JoinSet<()>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = TlsAcceptor::from(of.server.clone());
    let (sender, requests) = mpsc::unbounded_channel();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = Vec::new();
            let mut part = [0; 4096];
            while !is_whole(&bytes) {
                let count = stream.read(&mut part).await.unwrap_or(0);
                if count == 0 {
                    break;
                }
                bytes.extend_from_slice(&part[..count]);
            }
            if is_whole(&bytes) {
                sender.send(String::from_utf8(bytes).unwrap()).unwrap();
                stream.write_all(b"HTTP/1.1 204 x\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    });
    (address, requests)
}

/// Adds a webhook at a receiver, and sends one delivery with a job that trusts `ca`. Returns its state and its error.
async fn delivered(url: &str, ca: &str) -> (String, String) {
    let mut all = Announcing::open().await;
    let url = WebhookUrl::parse(url).unwrap();
    let events = WebhookEvents::all();
    let webhook = all.shop.books.create_webhook(BY, &all.vault, &url, &events).await.unwrap().0.id;
    all.job = WebhookDelivery::new(all.shop.store().clone(), all.vault.clone(), trust(ca), BOUNDS).unwrap();
    let ada = all.shop.user("ada").await;
    all.shop.books.subscribe(BY, ada, "pro").await.unwrap();
    all.run().await;
    let first = all.deliveries(webhook).await.remove(0);
    (first.state, first.error)
}

#[tokio::test]
async fn a_receiver_of_a_private_authority_receives_deliveries_over_tls() {
    let authority = Authority::for_name("localhost");
    let mut tasks = JoinSet::new();
    let (address, mut requests) = receiver(&authority, &mut tasks).await;
    let url = format!("https://localhost:{}/hook", address.port());
    assert_eq!(delivered(&url, &authority.pem).await, ("delivered".to_owned(), String::new()));
    let request = requests.recv().await.unwrap();
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n") && request.contains("webhook-signature: v1,"), "{request}");
}

#[tokio::test]
async fn a_receiver_that_no_authority_vouches_for_receives_nothing() {
    let authority = Authority::for_name("localhost");
    let mut tasks = JoinSet::new();
    let (address, mut requests) = receiver(&authority, &mut tasks).await;
    let url = format!("https://localhost:{}/hook", address.port());
    let refused = ("waiting".to_owned(), "TLS to the receiver failed".to_owned());
    let other = Authority::for_name("localhost");
    for ca in ["", &other.pem] {
        assert_eq!(delivered(&url, ca).await, refused, "{ca}");
    }
    // The certificate has another name.
    let url = format!("https://127.0.0.1:{}/hook", address.port());
    assert_eq!(delivered(&url, &authority.pem).await, refused);
    assert!(requests.try_recv().is_err(), "a receiver without a valid certificate received a delivery");
}

#[tokio::test]
async fn a_file_without_certificates_is_refused() {
    let all = Announcing::open().await;
    for ca in ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(WebhookDelivery::new(all.shop.store().clone(), all.vault.clone(), trust(ca), BOUNDS).is_err(), "{ca}");
    }
}
