//! Authorities that sign the certificates of servers, and clients that trust them.

use std::path::Path;
use std::sync::Arc;

use base64ct::{Base64, Encoding as _};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// An authority, and a certificate for `localhost` that it has signed.
pub(crate) struct Authority {
    root: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = CertificateDer::from(params.self_signed(&key).unwrap().der().to_vec());
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&own, &issuer).unwrap();
        Self { root, certificate: CertificateDer::from(certificate.der().to_vec()), key: own.serialize_der() }
    }

    /// Returns the TLS of a server with the certificate.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.key.clone()));
        Arc::new(config.with_no_client_auth().with_single_cert(vec![self.certificate.clone()], key).unwrap())
    }

    /// Writes the certificate and its key; returns the settings of a NATS server that offers TLS with them.
    pub(crate) fn nats_settings(&self, folder: &Path) -> String {
        let certificate = folder.join("me.pem");
        let key = folder.join("me.key");
        std::fs::write(&certificate, pem("CERTIFICATE", &self.certificate)).unwrap();
        std::fs::write(&key, pem("PRIVATE KEY", &self.key)).unwrap();
        // The client of the test has no TLS.
        let certificate = certificate.display();
        let key = key.display();
        format!("tls {{cert_file: \"{certificate}\", key_file: \"{key}\"}}\nallow_non_tls: true")
    }
}

/// Returns the text of a file in PEM (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", Base64::encode_string(der))
}

/// Returns the TLS of a client that trusts these authorities only.
pub(crate) fn trusting(authorities: &[&Authority]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.root.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}
