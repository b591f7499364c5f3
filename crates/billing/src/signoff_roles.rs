//! The roles that sign off days in insights, which the configuration has.

use std::fmt;
use std::sync::Arc;

/// The source of the configured roles, which a reload of the configuration may change. Clones share it.
#[derive(Clone)]
pub struct SignoffRoles(Arc<dyn Fn() -> Vec<String> + Send + Sync>);

impl SignoffRoles {
    /// Returns a source of roles.
    #[must_use]
    pub fn new(roles: impl Fn() -> Vec<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(roles))
    }

    /// Returns the configured roles. They apply until the settings of insights are changed in the admin API.
    #[must_use]
    pub fn configured(&self) -> Vec<String> {
        (self.0)()
    }
}

impl Default for SignoffRoles {
    /// Returns the roles of a configuration without `insights`.
    fn default() -> Self {
        Self::new(|| insights::InsightSettings::default().signoff.roles)
    }
}

impl fmt::Debug for SignoffRoles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SignoffRoles")
    }
}
