//! Credentials of LLM providers, in clear: they exist between the vault and the one header that they stand in.

use std::sync::Arc;

use crate::id::ProviderKeyId;
use crate::secret::Secret;

/// One credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// Its id in the vault.
    pub id: ProviderKeyId,
    /// The configured provider that it is for, by name.
    pub provider: Box<str>,
    /// What its owner calls it.
    pub label: Box<str>,
    /// The credential; `None` where it could not be opened, and then nothing stands in for it.
    pub secret: Option<Secret>,
}

/// The credentials that a user's calls may go with, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderKeys {
    /// The user's own.
    pub own: Arc<[ProviderKey]>,
    /// Everybody's; the user's plan says whether they may be used.
    pub shared: Arc<[ProviderKey]>,
}

impl ProviderKeys {
    /// The user's own credential for `provider`.
    #[must_use]
    pub fn own(&self, provider: &str) -> Option<&ProviderKey> {
        self.own.iter().find(|key| &*key.provider == provider)
    }

    /// The shared credential for `provider`: the one with this label, or any.
    #[must_use]
    pub fn shared(&self, provider: &str, label: Option<&str>) -> Option<&ProviderKey> {
        self.shared.iter().find(|key| &*key.provider == provider && label.is_none_or(|label| &*key.label == label))
    }
}
