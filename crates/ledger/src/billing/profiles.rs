//! The customers on invoices.

use access::UserId;
use store::sql::{Transaction, statements};
use store::{DatabaseError, Store};

statements! {
    OF_USER = "SELECT name, address, tax_number, language FROM billing_profiles WHERE user_id = $1";
    SET = "INSERT INTO billing_profiles (id, user_id, name, address, tax_number, language, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7) ON CONFLICT (user_id) DO UPDATE SET name = excluded.name,
        address = excluded.address, tax_number = excluded.tax_number, language = excluded.language,
        updated_at = excluded.updated_at";
}

/// A customer as documents name it. Empty texts are not printed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct BillingProfile {
    /// The name; empty: that of the user.
    pub name: String,
    /// The address, which may have several lines.
    pub address: String,
    /// The tax number of the customer.
    pub tax_number: String,
    /// The language of documents and mails: `en` or `id`.
    pub language: String,
}

impl Default for BillingProfile {
    fn default() -> Self {
        Self { name: String::new(), address: String::new(), tax_number: String::new(), language: "en".to_owned() }
    }
}

/// Returns the profile of a user; the default one if none was stored.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_user(store: &Store, user: UserId) -> Result<BillingProfile, DatabaseError> {
    Ok(store.query(OF_USER).bind(user.0).find().await?.unwrap_or_default())
}

/// Returns the profile of a user in a transaction; the default one if none was stored.
///
/// # Errors
/// Database errors of any kind.
pub async fn find(tx: &mut Transaction, user: UserId) -> Result<BillingProfile, DatabaseError> {
    Ok(tx.query(OF_USER).bind(user.0).find().await?.unwrap_or_default())
}

/// Stores the profile of a user.
///
/// # Errors
/// Database errors of any kind.
pub async fn set(
    store: &Store,
    tx: &mut Transaction,
    user: UserId,
    profile: &BillingProfile,
) -> Result<(), DatabaseError> {
    let set = tx
        .query(SET)
        .bind(store.new_id())
        .bind(user.0)
        .bind(profile.name.as_str())
        .bind(profile.address.as_str())
        .bind(profile.tax_number.as_str())
        .bind(profile.language.as_str())
        .bind(store.now());
    set.run().await?;
    Ok(())
}
