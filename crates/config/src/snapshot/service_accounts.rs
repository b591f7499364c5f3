//! Providers whose credentials are service accounts.

use access::credentials::service_account::GOOGLE_TOKEN_URI;
use ai::ProviderKind;

use super::{Credential, Provider};

impl Provider {
    /// Whether its credentials are keys of service accounts, for which it takes access tokens.
    #[must_use]
    pub fn has_service_accounts(&self) -> bool {
        self.kind == ProviderKind::Vertex
    }

    /// Returns the endpoints to which assertions of a service account of the vault may be sent: that of Google, and that of the
    /// configured account. A stored file could name any server.
    pub fn token_uris(&self) -> impl Iterator<Item = &str> {
        let operators = match &self.credential {
            Credential::ServiceAccount(account) => Some(account.token_uri().as_str()),
            Credential::None | Credential::Fixed(_) | Credential::Aws(_) | Credential::Vault { .. } => None,
        };
        std::iter::once(GOOGLE_TOKEN_URI).chain(operators)
    }
}
