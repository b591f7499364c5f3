//! A TLS configuration that is made from files, and made again when they change.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use access::Timestamp;
use arc_swap::ArcSwap;

use crate::error::CertificateError;

/// The contents of all files of one TLS configuration, as they are in use.
pub(crate) trait FilesInUse: Sized {
    /// The settings that name the files.
    type Settings: fmt::Debug;
    /// The configuration for new connections.
    type Config;

    /// Reads all files, and returns whether the content in use has changed. A file that cannot be used leaves its
    /// earlier content in use.
    fn read(&mut self, settings: &Self::Settings, now: Timestamp) -> bool;

    /// Makes the configuration.
    ///
    /// # Errors
    /// The contents do not fit together.
    fn config(&self, settings: &Self::Settings) -> Result<Self::Config, CertificateError>;

    /// Returns the state of each file.
    fn states(&self, settings: &Self::Settings) -> Vec<CertificateState>;
}

/// The configuration in use, which a reload replaces.
pub(crate) struct Reloaded<F: FilesInUse> {
    pub(crate) settings: F::Settings,
    current: ArcSwap<F::Config>,
    contents: Mutex<Contents<F>>,
}

struct Contents<F> {
    files: F,
    /// Whether the configuration in use is older than these files.
    has_changed: bool,
}

/// The state of one certificate after a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateState {
    /// The file of the certificate, or of the certificates that sign those of clients.
    pub file: PathBuf,
    /// The end of the validity of the certificate in use, in seconds of the Unix time; `None` for those that sign.
    pub expires_at: Option<i64>,
    /// Whether the files' present content cannot be used, so that an earlier one is in use.
    pub has_failed: bool,
}

impl<F: FilesInUse> Reloaded<F> {
    /// Makes the configuration of files that were just read.
    ///
    /// # Errors
    /// The contents do not fit together.
    pub(crate) fn new(settings: F::Settings, files: F) -> Result<Self, CertificateError> {
        let current = ArcSwap::new(Arc::new(files.config(&settings)?));
        Ok(Self { settings, current, contents: Mutex::new(Contents { files, has_changed: false }) })
    }

    /// Returns the configuration for a new connection.
    pub(crate) fn config(&self) -> Arc<F::Config> {
        self.current.load_full()
    }

    /// Reads all files again, and uses those that have changed, with one log line for each different failure. The function
    /// blocks.
    pub(crate) fn reload(&self, now: Timestamp) -> Vec<CertificateState> {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.has_changed |= contents.files.read(&self.settings, now);
        if contents.has_changed {
            match contents.files.config(&self.settings) {
                Ok(config) => {
                    self.current.store(Arc::new(config));
                    contents.has_changed = false;
                }
                Err(error) => tracing::error!(%error, "certificates cannot be replaced; the earlier ones stay in use"),
            }
        }
        contents.files.states(&self.settings)
    }

    /// Returns the state of each file.
    pub(crate) fn states(&self) -> Vec<CertificateState> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner).files.states(&self.settings)
    }
}

impl<F: FilesInUse> fmt::Debug for Reloaded<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest contains a private key.
        f.debug_struct("Reloaded").field("settings", &self.settings).finish_non_exhaustive()
    }
}
