//! A certificate with its private key, as two files contain it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use access::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use crate::error::{CertificateError, FileRole};
use crate::file;

/// The files of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, followed by its intermediate certificates, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM.
    pub key: PathBuf,
}

/// A certificate that was valid when its files were read.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    /// The DNS names for which it is valid, in lowercase; a wildcard is `*.example.com`.
    pub(crate) names: Vec<String>,
    /// The end of its validity, in seconds of the Unix time.
    pub(crate) expires_at: i64,
}

/// The bytes of the files of a certificate, by which a reload detects a change.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct CertificateBytes {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl CertificateFiles {
    /// Reads and checks the certificate and its key.
    ///
    /// # Errors
    /// A file cannot be read or is invalid, the key belongs to another certificate, or the certificate is not valid at
    /// `now`.
    pub fn load(&self, now: Timestamp) -> Result<Certificate, CertificateError> {
        self.parse(&self.read()?, now)
    }

    pub(crate) fn read(&self) -> Result<CertificateBytes, CertificateError> {
        Ok(CertificateBytes {
            certificate: file::read(&self.certificate, FileRole::Certificate)?,
            key: file::read(&self.key, FileRole::Key)?,
        })
    }

    pub(crate) fn parse(&self, bytes: &CertificateBytes, now: Timestamp) -> Result<Certificate, CertificateError> {
        let malformed = |role, file: &Path| CertificateError::Malformed { file: file.to_owned(), role };
        let chain = chain(&bytes.certificate, &self.certificate, FileRole::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes.key).map_err(|_| malformed(FileRole::Key, &self.key))?;
        let first = chain.first().ok_or_else(|| malformed(FileRole::Certificate, &self.certificate))?;
        let (names, expires_at) = self.describe(first, now)?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                CertificateError::Mismatch { certificate: self.certificate.clone(), key: self.key.clone() }
            } else if matches!(error, rustls::Error::InvalidCertificate(_)) {
                malformed(FileRole::Certificate, &self.certificate)
            } else {
                malformed(FileRole::Key, &self.key)
            }
        })?;
        Ok(Certificate { key: Arc::new(key), names, expires_at })
    }

    /// Returns the names and the end of a certificate that is valid now.
    fn describe(&self, der: &CertificateDer<'_>, now: Timestamp) -> Result<(Vec<String>, i64), CertificateError> {
        let file = || self.certificate.clone();
        let malformed = || CertificateError::Malformed { file: file(), role: FileRole::Certificate };
        let (_, parsed) = parse_x509_certificate(der).map_err(|_| malformed())?;
        let now = i64::try_from(now.unix_seconds()).unwrap_or(i64::MAX);
        let begin = parsed.validity().not_before;
        let end = parsed.validity().not_after;
        if end.timestamp() < now {
            return Err(CertificateError::Expired { file: file(), at: day(end) });
        }
        if begin.timestamp() > now {
            return Err(CertificateError::NotYetValid { file: file(), at: day(begin) });
        }
        let names = parsed.subject_alternative_name().map_err(|_| malformed())?;
        let names = names.iter().flat_map(|names| &names.value.general_names).filter_map(|name| {
            if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None }
        });
        Ok((names.collect(), end.timestamp()))
    }
}

impl Certificate {
    /// Returns the end of the certificate's validity, in seconds of the Unix time.
    #[must_use]
    pub const fn expires_at(&self) -> i64 {
        self.expires_at
    }
}

/// Returns the certificates of a file, of which there is at least one.
pub(crate) fn chain(pem: &[u8], file: &Path, role: FileRole) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let malformed = || CertificateError::Malformed { file: file.to_owned(), role };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| malformed())?;
    if chain.is_empty() { Err(malformed()) } else { Ok(chain) }
}

/// Returns the cryptography that all listeners use.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn day(time: ASN1Time) -> String {
    let time = time.to_datetime();
    format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
}

#[cfg(test)]
mod tests;
