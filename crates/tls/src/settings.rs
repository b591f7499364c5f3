//! The TLS settings of one listener.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateRevocationListDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::danger::ClientCertVerifier;

use crate::certificate::{CertificateFiles, chain};
use crate::client_verifier::{ClientMode, ClientVerifier, UnusableFile};
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
    /// The lists of revoked certificates, in PEM; `None` if none is revoked.
    pub crl: Option<PathBuf>,
    /// Whether clients need a certificate.
    pub mode: ClientMode,
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

/// The contents of the files by which certificates of clients are verified, by which a reload detects a change.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ClientFiles {
    authorities: Vec<u8>,
    revocations: Option<Vec<u8>>,
}

impl ClientCertificates {
    /// Reads and checks the certificates that sign those of clients, and the lists of revoked ones.
    ///
    /// # Errors
    /// A file cannot be read, or has no valid certificate or list.
    pub fn check(&self) -> Result<(), CertificateError> {
        self.verifier(&self.read()?).map(|_| ())
    }

    pub(crate) fn read(&self) -> Result<ClientFiles, CertificateError> {
        let authorities = file::read(&self.ca, FileRole::Authorities)?;
        let revocations = self.crl.as_deref().map(|crl| file::read(crl, FileRole::Revocations)).transpose()?;
        Ok(ClientFiles { authorities, revocations })
    }

    pub(crate) fn verifier(&self, files: &ClientFiles) -> Result<Arc<dyn ClientCertVerifier>, CertificateError> {
        let authorities = chain(&files.authorities, &self.ca, FileRole::Authorities)?;
        let revocations = match (&self.crl, &files.revocations) {
            (Some(crl), Some(pem)) => revocations(pem, crl)?,
            (None, _) | (_, None) => Vec::new(),
        };
        let verifier = ClientVerifier::new(authorities, &revocations, self.mode);
        let verifier = verifier.map_err(|unusable| match (unusable, &self.crl) {
            (UnusableFile::Revocations, Some(crl)) => malformed(crl, FileRole::Revocations),
            (UnusableFile::Authorities, _) | (_, None) => malformed(&self.ca, FileRole::Authorities),
        })?;
        Ok(Arc::new(verifier))
    }
}

/// Returns the revocation lists of a file, of which there is at least one.
fn revocations(pem: &[u8], file: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, CertificateError> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let lists = lists.map_err(|_| malformed(file, FileRole::Revocations))?;
    if lists.is_empty() { Err(malformed(file, FileRole::Revocations)) } else { Ok(lists) }
}

fn malformed(file: &Path, role: FileRole) -> CertificateError {
    CertificateError::Malformed { file: file.to_owned(), role }
}
