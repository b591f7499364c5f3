//! The test of a credential whose provider has `tls`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::*;

/// Writes the certificate of an authority (ca.pem), and one for `llm.internal` that it has signed (me.pem, me.key).
fn write(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(folder.join("ca.pem"), pem("CERTIFICATE", params.self_signed(&key).unwrap().der())).unwrap();
    let certificate = CertificateParams::new(["llm.internal".to_owned()]).unwrap();
    let certificate = certificate.signed_by(&own, &Issuer::new(params, key)).unwrap();
    fs::write(folder.join("me.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
    fs::write(folder.join("me.key"), pem("PRIVATE KEY", &own.serialize_der())).unwrap();
    fs::set_permissions(folder.join("me.key"), fs::Permissions::from_mode(0o600)).unwrap();
}

/// Starts a provider with the certificate for `llm.internal` that accepts any credential over HTTP/1.1, from clients with a
/// certificate of the authority. It prefers HTTP/2. Returns its port.
async fn start(folder: &Path, tasks: &mut JoinSet<()>) -> u16 {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap()).unwrap();
    let crypto = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), crypto.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(crypto).with_safe_default_protocol_versions().unwrap();
    let certificate = CertificateDer::from_pem_file(folder.join("me.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("me.key")).unwrap();
    let mut config = config.with_client_cert_verifier(verifier).with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") && stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {}
            let status = if stream.get_ref().1.alpn_protocol() == Some(b"h2") { "500 Oops" } else { "200 OK" };
            let _ = stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn a_credential_is_tested_with_the_private_roots_and_the_client_certificate_of_its_provider() {
    let folder = tempfile::tempdir().unwrap();
    let mut tasks = JoinSet::new();
    write(folder.path());
    let port = start(folder.path(), &mut tasks).await;
    let path = folder.path().display();
    let roots = format!("ca: {path}/ca.pem, server_name: llm.internal");
    for (tls, says) in [
        (format!("{roots}, cert: {path}/me.pem, key: {path}/me.key"), "the provider accepts this credential"),
        (roots, "no response from the provider"),
        ("server_name: llm.internal".to_owned(), "its TLS handshake failed; check its base_url and tls"),
        (format!("ca: {path}/ca.pem, server_name: x.internal"), "its TLS handshake failed; check its base_url and tls"),
    ] {
        let provider = format!(
            "{{name: openai, kind: openai, base_url: 'https://localhost:{port}/v1', credential: vault, tls: {{{tls}}}}}"
        );
        let world = world(&provider).await;
        let ada = world.holder("ada", "starter").await;
        let created = id(&create(&world, &ada.bearer(), &new("work")).await);
        let tested = call(world.address, &format!("POST {PATH}/{created}/test"), &[&ada.bearer()], "").await.json();
        assert_eq!(tested["ok"], json!(says.contains("accepts")), "{tls} {tested}");
        assert!(tested["message"].as_str().unwrap().contains(says), "{tls} {tested}");
    }
}

/// Returns the text of a file in PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}
