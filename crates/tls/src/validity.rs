//! The time in which a certificate is valid.

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::parse_x509_certificate;

/// The first and the last second in which a certificate is valid, in seconds of the Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    first: i64,
    last: i64,
}

impl Validity {
    /// Returns the validity of a certificate; `None` if it cannot be read.
    pub(crate) fn from_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = parse_x509_certificate(certificate).ok()?;
        let validity = parsed.validity();
        Some(Self { first: validity.not_before.timestamp(), last: validity.not_after.timestamp() })
    }

    /// Whether the certificate is valid at `now`.
    pub(crate) fn includes(self, now: UnixTime) -> bool {
        (self.first..=self.last).contains(&seconds(now))
    }

    /// Returns why the certificate is not valid at `now`.
    pub(crate) fn error(self, now: UnixTime) -> CertificateError {
        if seconds(now) < self.first { CertificateError::NotValidYet } else { CertificateError::Expired }
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
