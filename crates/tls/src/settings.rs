//! The TLS settings of one listener.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::certificate::{CertificateFiles, chain, provider};
use crate::error::{CertificateError, FileRole};
use crate::file;

/// The TLS settings of one listener, as its configuration defines them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificates; the first one is the default. Never empty.
    pub certificates: Vec<CertificateFiles>,
    /// The lowest version that clients may use.
    pub min_version: MinVersion,
    /// The certificates of clients; `None` if the listener requests none.
    pub client: Option<ClientCertificates>,
}

/// The lowest version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246) or later.
    Tls12,
    /// TLS 1.3 (RFC 8446) or later.
    Tls13,
}

/// The verification of certificates that clients present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// The certificates that sign those of clients, in PEM.
    pub ca: PathBuf,
    /// Whether clients need a certificate.
    pub mode: ClientMode,
}

/// Whether clients need a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMode {
    /// A client without a certificate is refused.
    Required,
    /// A client may have no certificate.
    Optional,
}

static FROM_TLS12: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];
static FROM_TLS13: [&rustls::SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

impl MinVersion {
    pub(crate) fn versions(self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        match self {
            Self::Tls12 => &FROM_TLS12,
            Self::Tls13 => &FROM_TLS13,
        }
    }
}

impl ClientCertificates {
    /// Reads and checks the certificates that sign those of clients.
    ///
    /// # Errors
    /// The file cannot be read or has no valid certificate.
    pub fn check(&self) -> Result<(), CertificateError> {
        self.verifier(&self.read()?).map(|_| ())
    }

    pub(crate) fn read(&self) -> Result<Vec<u8>, CertificateError> {
        file::read(&self.ca, FileRole::Authorities)
    }

    pub(crate) fn verifier(&self, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
        let malformed =
            |file: &Path| CertificateError::Malformed { file: file.to_owned(), role: FileRole::Authorities };
        let mut roots = RootCertStore::empty();
        for certificate in chain(pem, &self.ca, FileRole::Authorities)? {
            roots.add(certificate).map_err(|_| malformed(&self.ca))?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier = match self.mode {
            ClientMode::Required => verifier,
            ClientMode::Optional => verifier.allow_unauthenticated(),
        };
        verifier.build().map_err(|_| malformed(&self.ca))
    }
}
