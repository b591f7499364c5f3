//! The text of the configuration that is in force.

use std::path::PathBuf;
use std::sync::Arc;

use access::Timestamp;
use config::{LoadedConfig, Setting};
use sha2::{Digest, Sha256};
use store::StoredConfiguration;

/// The configuration that is in force.
#[derive(Debug, Clone)]
pub struct RunningText {
    /// The name of the file, or of the entry in the store.
    pub name: String,
    /// The YAML. It may contain secrets.
    pub(super) text: Arc<str>,
    /// The digest of the text.
    pub digest: String,
    /// The configuration file, also if a stored configuration is in force over it.
    pub file: FileText,
    /// Every setting that is in effect.
    pub settings: Arc<[Setting]>,
    /// Whether the text contains secrets.
    pub has_literal_secrets: bool,
    /// The files that values name.
    pub(super) files: Arc<[PathBuf]>,
    /// The entry of the API that is in force; `None` if the file is.
    pub stored: Option<StoredConfiguration>,
    /// Time at which it was applied in this process.
    pub applied_at: Timestamp,
    /// The number of the last entry that this process refused.
    pub(super) refused: Option<u64>,
}

/// The text of the configuration file of this process, which the operator wrote.
#[derive(Debug, Clone)]
pub struct FileText {
    /// The digest of the text.
    pub digest: String,
    /// Whether the text has more than comments and an empty document.
    pub(super) has_key: bool,
    /// The settings of `etcd` with which the process has started.
    pub(super) started_with: Arc<[Setting]>,
    /// The YAML. It may contain secrets.
    pub(super) text: Arc<str>,
}

impl FileText {
    /// Returns the text of a file with its digest. Parses the text.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let started_with = Arc::default();
        Self { digest: digest(text), has_key: config::has_key(text), started_with, text: text.into() }
    }
}

impl RunningText {
    /// Returns the text of a configuration that is applied at `now`.
    pub(super) fn from_loaded(loaded: &LoadedConfig, name: String, file: FileText, now: Timestamp) -> Self {
        Self {
            name,
            text: loaded.text.clone(),
            digest: digest(&loaded.text),
            file,
            settings: loaded.settings().into(),
            has_literal_secrets: loaded.has_literal_secrets,
            files: loaded.files.clone().into(),
            stored: None,
            applied_at: now,
            refused: None,
        }
    }

    /// Records that the text is this entry of the store.
    pub(super) fn become_stored(&mut self, stored: StoredConfiguration) {
        self.name = stored_name(&stored);
        self.stored = Some(stored);
    }

    /// Returns the number of the last entry of the store that this process has applied or refused.
    pub(super) fn known(&self) -> Option<u64> {
        self.stored.as_ref().map(|stored| stored.number).max(self.refused)
    }

    /// Returns the text with masked secrets.
    #[must_use]
    pub fn masked(&self) -> String {
        config::masked(&self.text, &self.settings)
    }

    /// Returns the first 48 bits of the digest, which a number of a metric represents exactly.
    pub(super) fn hash(&self) -> i64 {
        self.digest.get(..12).and_then(|start| i64::from_str_radix(start, 16).ok()).unwrap_or(0)
    }
}

/// Returns the name of an entry of the store in errors and in sources of settings.
pub(super) fn stored_name(stored: &StoredConfiguration) -> String {
    format!("stored configuration {}", stored.number)
}

/// Returns the SHA-256 digest of a text, in hexadecimal digits. A byte order mark is not a part of the text.
#[must_use]
pub fn digest(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
