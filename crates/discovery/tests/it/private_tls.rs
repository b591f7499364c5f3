//! A private authority, the TLS of a server with its certificate, and the files with which a client trusts it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use access::Clock;
use base64ct::{Base64, Encoding as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;
use tls::{CertificateFiles, UpstreamTls, UpstreamTlsSettings};

/// The files of an authority (ca.pem), and of a certificate that it has signed (me.pem, me.key).
pub(crate) struct PrivateTls {
    folder: TempDir,
}

impl PrivateTls {
    /// Creates an authority with a certificate for `name`, which serves servers and clients.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = pem("CERTIFICATE", params.self_signed(&key).unwrap().der());
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
        let tls = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(tls.path("ca.pem"), authority).unwrap();
        fs::write(tls.path("me.pem"), pem("CERTIFICATE", certificate.der())).unwrap();
        fs::write(tls.path("me.key"), pem("PRIVATE KEY", &own.serialize_der())).unwrap();
        fs::set_permissions(tls.path("me.key"), fs::Permissions::from_mode(0o600)).unwrap();
        tls
    }

    /// Returns the TLS of a server, which may require a client certificate of the authority.
    pub(crate) fn server(&self, requires_certificate: bool) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = if requires_certificate {
            config.with_client_cert_verifier(verifier)
        } else {
            config.with_no_client_auth()
        };
        let certificate = CertificateDer::from_pem_file(self.path("me.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.path("me.key")).unwrap();
        config.with_single_cert(vec![certificate], key).unwrap()
    }

    /// Returns the TLS of a client that trusts the authority, and that may have its certificate.
    pub(crate) fn upstream_tls(&self, server_name: Option<&str>, has_identity: bool) -> Arc<UpstreamTls> {
        let files = || CertificateFiles { certificate: self.path("me.pem"), key: self.path("me.key") };
        let settings = UpstreamTlsSettings {
            ca: Some(self.path("ca.pem")),
            identity: has_identity.then(files),
            server_name: server_name.map(str::to_owned),
        };
        Arc::new(UpstreamTls::load(settings, Clock::system().now()).unwrap())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

/// Returns the text of a file in PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}
