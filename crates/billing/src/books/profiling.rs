//! The customer on documents.

use access::UserId;
use ledger::billing::{BillingProfile, profiles};
use serde_json::json;
use store::{Act, Actor, AuditAction};

use super::{BillingError, Books};

impl Books {
    /// Stores the customer on documents of a user, with a line of the audit log that names what changed.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn set_profile(&self, by: &Actor, user: UserId, profile: &BillingProfile) -> Result<(), BillingError> {
        let before = profiles::of_user(&self.store, user).await?;
        if before == *profile {
            return Ok(());
        }
        let mut on = self.store.begin().await?;
        profiles::set(&self.store, &mut on, user, profile).await?;
        let changes = [
            ("name", before.name != profile.name),
            ("address", before.address != profile.address),
            ("tax_number", before.tax_number != profile.tax_number),
            ("language", before.language != profile.language),
        ];
        let changed: Vec<&str> =
            changes.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect();
        let act = Act::of(AuditAction::BillingProfileChange, user.0, Some(user)).with(json!({"changed": changed}));
        self.store.note(&mut on, by, act).await?;
        Ok(on.commit().await?)
    }
}
