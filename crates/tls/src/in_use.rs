//! The contents of files that are in use, which a reload replaces by contents that can be used.

use std::fmt;

use crate::error::CertificateError;

/// A content that is in use, and the reason why the files' present content is not.
pub(crate) struct InUse<T> {
    pub(crate) bytes: T,
    pub(crate) failure: Option<CertificateError>,
}

impl<T: PartialEq> InUse<T> {
    pub(crate) const fn new(bytes: T) -> Self {
        Self { bytes, failure: None }
    }

    /// Puts a content into use that differs and that `parse` accepts, and returns its parsed form.
    pub(crate) fn replace<P>(
        &mut self,
        read: Result<T, CertificateError>,
        parse: impl FnOnce(&T) -> Result<P, CertificateError>,
    ) -> Option<P> {
        let parsed = match read {
            Ok(bytes) if bytes == self.bytes => {
                self.failure = None;
                return None;
            }
            Ok(bytes) => parse(&bytes).map(|parsed| (bytes, parsed)),
            Err(error) => Err(error),
        };
        match parsed {
            Ok((bytes, parsed)) => {
                *self = Self::new(bytes);
                Some(parsed)
            }
            Err(error) => {
                if self.failure.as_ref() != Some(&error) {
                    tracing::warn!(%error, "a changed certificate cannot be used; the earlier one stays in use");
                }
                self.failure = Some(error);
                None
            }
        }
    }
}

impl<T> fmt::Debug for InUse<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content may be a private key.
        f.debug_struct("InUse").field("failure", &self.failure).finish_non_exhaustive()
    }
}
