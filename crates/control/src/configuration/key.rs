//! The key of etcd whose value is the configuration.

use std::sync::{Arc, Mutex, PoisonError};

use access::Timestamp;
use thiserror::Error;

/// What etcd has responded last about the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReading {
    /// The configuration, or why the key has no valid configuration.
    pub text: Result<Arc<str>, KeyFault>,
    /// The revision of the cluster at which the value was written; 0 for a key that does not exist.
    pub revision: u64,
}

/// The reason why the value of the key is no configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// The key does not exist.
    #[error("config_key_missing: the key does not exist in etcd; write the configuration to it")]
    Missing,
    /// The value is empty.
    #[error("config_key_empty: the value of the key in etcd is empty; write the configuration to it")]
    Empty,
    /// The value is too large.
    #[error("config_key_too_large: the value of the key in etcd has {bytes} bytes; it may have 1 MiB")]
    TooLarge {
        /// The size of the value in bytes.
        bytes: usize,
    },
    /// The value is not text.
    #[error("config_key_not_text: the value of the key in etcd is not a text in UTF-8")]
    NotText,
}

/// The state of the key, for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyStatus {
    /// The revision of the value that etcd has returned last; `None` before the first response, 0 if the key does not exist.
    pub revision: Option<u64>,
    /// When etcd last responded; `None` if it has not since the start.
    pub responded_at: Option<Timestamp>,
    /// The reason why etcd cannot be read.
    pub unreachable: Option<Arc<str>>,
    /// The reason why the value is not in force.
    pub refused: Option<Arc<str>>,
}

/// A key that the process follows.
#[derive(Debug)]
pub struct ConfigurationKey {
    /// The name of the key.
    pub name: Arc<str>,
    state: Mutex<KeyInForce>,
}

/// The state of the key, and the text that was applied last.
#[derive(Debug, Default)]
struct KeyInForce {
    status: KeyStatus,
    applied: Option<Arc<str>>,
}

impl ConfigurationKey {
    /// Returns the key of this name, which etcd has not been asked for.
    #[must_use]
    pub fn new(name: Arc<str>) -> Self {
        Self { name, state: Mutex::default() }
    }

    /// Returns the state of the key.
    #[must_use]
    pub fn status(&self) -> KeyStatus {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// Sets the state of the key.
    pub fn set_status(&self, status: KeyStatus) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).status = status;
    }

    /// Returns the name of the key in errors and in sources of settings.
    pub(super) fn source_name(&self) -> String {
        format!("etcd {}", self.name)
    }

    /// Records the text that was applied last.
    pub(super) fn set_applied(&self, text: Arc<str>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).applied = Some(text);
    }

    /// Returns the text that was applied last, unless etcd cannot be read: then a changed file is in force.
    pub(super) fn applied(&self) -> Option<Arc<str>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.status.unreachable.is_none() { state.applied.clone() } else { None }
    }
}
