//! The credentials of providers that a caller's requests can use, without their secrets.

use access::{Plan, UserId};
use config::snapshot::{Credential, Provider};
use serde::Serialize;
use store::{DatabaseError, Store, StoredProviderKey};
use utoipa::ToSchema;

/// The stored credentials of the caller's user, and those that are shared, oldest first.
#[derive(Debug)]
pub(crate) struct VaultCredentials {
    pub(crate) own: Vec<StoredProviderKey>,
    pub(crate) shared: Vec<StoredProviderKey>,
}

/// The credential that the caller's requests use: `own` (the newest that the user stored), `shared` (of the operator),
/// `not_needed`, or `missing` (requests are refused with `forbidden` until the user stores one).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CredentialState {
    /// The newest credential that the user stored.
    Own,
    /// A credential of the operator.
    Shared,
    /// The provider needs none.
    NotNeeded,
    /// A credential does not exist, so requests are refused (`forbidden`) until the user stores one.
    Missing,
}

impl VaultCredentials {
    /// Reads the credentials of a user from the store.
    ///
    /// # Errors
    /// A [`DatabaseError`] if the store cannot be read.
    pub(crate) async fn load(store: &Store, user: UserId) -> Result<Self, DatabaseError> {
        let own = store.provider_keys(Some(user)).await?;
        let shared = store.provider_keys(None).await?;
        Ok(Self { own, shared })
    }

    /// Returns the credential that the proxy uses for this provider.
    pub(crate) fn state(&self, provider: &Provider, plan: &Plan) -> CredentialState {
        let of_provider = |key: &&StoredProviderKey| key.provider == *provider.name;
        let shares = |label: Option<&str>| {
            let mut shared = self.shared.iter().filter(of_provider);
            plan.shared_keys && shared.any(|key| label.is_none_or(|label| key.label == label))
        };
        if self.own.iter().any(|key| of_provider(&key)) {
            return CredentialState::Own;
        }
        match &provider.credential {
            Credential::None if shares(None) => CredentialState::Shared,
            Credential::None => CredentialState::NotNeeded,
            Credential::Fixed(_) | Credential::Aws(_) | Credential::ServiceAccount(_) if plan.shared_keys => {
                CredentialState::Shared
            }
            Credential::Vault { label } if shares(label.as_deref()) => CredentialState::Shared,
            Credential::Fixed(_) | Credential::Aws(_) | Credential::ServiceAccount(_) | Credential::Vault { .. } => {
                CredentialState::Missing
            }
        }
    }
}
