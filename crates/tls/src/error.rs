//! The reasons why files of certificates cannot be used.

use std::path::PathBuf;

use thiserror::Error;

/// The role of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// The file contains a certificate and its intermediate certificates.
    Certificate,
    /// The file contains a private key.
    Key,
    /// The file contains the certificates that sign those of the other side.
    Authorities,
    /// The file contains the lists of revoked certificates.
    Revocations,
}

/// The reason why a certificate cannot be used. Each message names its file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("{} cannot be read: {reason}", file.display())]
    Unreadable {
        /// The path of the file.
        file: PathBuf,
        /// The role of the file.
        role: FileRole,
        /// The reason of the operating system.
        reason: String,
    },
    /// Other users can read the private key.
    #[error("{} is a private key that other users can access (mode {mode:03o}): chmod 600", file.display())]
    Exposed {
        /// The path of the key's file.
        file: PathBuf,
        /// The permissions of the file.
        mode: u32,
    },
    /// The file does not contain what its role requires.
    #[error("{} has no valid {}", file.display(), role.content())]
    Malformed {
        /// The path of the file.
        file: PathBuf,
        /// The role of the file.
        role: FileRole,
    },
    /// The key belongs to another certificate.
    #[error("{} is not the private key of the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The path of the key's file.
        key: PathBuf,
    },
    /// The certificate has expired.
    #[error("the certificate in {} expired on {at}", file.display())]
    Expired {
        /// The file of the certificate.
        file: PathBuf,
        /// The end of its validity.
        at: String,
    },
    /// The certificate is not valid yet.
    #[error("the certificate in {} is not valid before {at}", file.display())]
    NotYetValid {
        /// The file of the certificate.
        file: PathBuf,
        /// The beginning of its validity.
        at: String,
    },
    /// The TLS library refused the settings.
    #[error("TLS cannot be configured: {0}")]
    Settings(String),
}

impl FileRole {
    const fn content(self) -> &'static str {
        match self {
            Self::Certificate | Self::Authorities => "certificate (PEM)",
            Self::Key => "private key (PEM)",
            Self::Revocations => "certificate revocation list (PEM)",
        }
    }
}

impl CertificateError {
    /// Returns the role of the file that is wrong; `None` if no file is.
    #[must_use]
    pub const fn role(&self) -> Option<FileRole> {
        match self {
            Self::Unreadable { role, .. } | Self::Malformed { role, .. } => Some(*role),
            Self::Exposed { .. } | Self::Mismatch { .. } => Some(FileRole::Key),
            Self::Expired { .. } | Self::NotYetValid { .. } => Some(FileRole::Certificate),
            Self::Settings(_) => None,
        }
    }
}
