//! The customer on documents.

use access::UserId;
use ledger::billing::{BillingProfile, profiles};
use serde_json::json;
use store::{Act, Actor, AuditAction};

use super::{BillingError, Books};

/// A change of the customer on documents; `None` keeps a value.
#[derive(Debug, Clone, Default)]
pub struct BillingProfileChange {
    /// The name; empty: that of the user.
    pub name: Option<String>,
    /// The address, which may have several lines.
    pub address: Option<String>,
    /// The tax number of the customer.
    pub tax_number: Option<String>,
    /// The language of documents and mails: `en` or `id`.
    pub language: Option<String>,
}

impl Books {
    /// Changes the customer on documents of a user, with a line of the audit log that names what changed. Of two changes at
    /// once, each keeps the values of the other one. Returns the customer after the change.
    ///
    /// # Errors
    /// Database errors of any kind.
    pub async fn change_profile(
        &self,
        by: &Actor,
        user: UserId,
        change: BillingProfileChange,
    ) -> Result<BillingProfile, BillingError> {
        let mut tx = self.store.begin_quiet().await?;
        let before = profiles::find(&mut tx, user).await?;
        let of = before.clone();
        let profile = BillingProfile {
            name: change.name.unwrap_or(of.name),
            address: change.address.unwrap_or(of.address),
            tax_number: change.tax_number.unwrap_or(of.tax_number),
            language: change.language.unwrap_or(of.language),
        };
        if before == profile {
            return Ok(profile);
        }
        profiles::set(&self.store, &mut tx, user, &profile).await?;
        let changes = [
            ("name", before.name != profile.name),
            ("address", before.address != profile.address),
            ("tax_number", before.tax_number != profile.tax_number),
            ("language", before.language != profile.language),
        ];
        let changed: Vec<&str> =
            changes.into_iter().filter(|(_, is_changed)| *is_changed).map(|(name, _)| name).collect();
        let act = Act::new(AuditAction::BillingProfileChange, user.0, Some(user)).with(json!({"changed": changed}));
        self.store.note(&mut tx, by, act).await?;
        tx.commit().await?;
        Ok(profile)
    }
}
