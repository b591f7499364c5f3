//! The seller and the customer on documents, as they were named when these got their numbers.

use access::UserId;
use serde::{Deserialize, Serialize};
use store::sql::{Transaction, statements};
use store::{DatabaseError, Store};
use uuid::Uuid;

statements! {
    CUSTOMER = "SELECT coalesce(nullif(p.name, ''), u.name), coalesce(p.address, ''), coalesce(p.tax_number, ''),
        coalesce(u.email, '') FROM users u LEFT JOIN billing_profiles p ON p.user_id = u.id WHERE u.id = $1";
    NAME = "UPDATE invoices SET seller = $2, customer = $3, updated_at = $4 WHERE id = $1";
    PARTIES = "SELECT seller, customer FROM invoices WHERE id = $1";
}

/// The seller or the customer on a document. Empty texts are not printed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceParty {
    /// The name of the party.
    pub name: String,
    /// The address, which may have several lines.
    pub address: String,
    /// The tax number of the party.
    pub tax_number: String,
    /// The e-mail address of the party.
    pub email: String,
}

/// The parties of an invoice, as they were named when it got its number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvoiceParties {
    /// The party that is paid.
    pub seller: InvoiceParty,
    /// The party that pays.
    pub customer: InvoiceParty,
}

impl InvoiceParty {
    /// Returns the party as it is stored.
    fn to_json(&self) -> String {
        // A struct of texts is always written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Returns a user as the customer on documents.
///
/// # Errors
/// Database errors of any kind.
pub async fn customer(on: &mut Transaction, user: UserId) -> Result<InvoiceParty, DatabaseError> {
    let found: Option<(String, String, String, String)> = on.query(CUSTOMER).bind(user.0).find().await?;
    let (name, address, tax_number, email) = found.unwrap_or_default();
    Ok(InvoiceParty { name, address, tax_number, email })
}

/// Stores the parties of an invoice that gets its number.
///
/// # Errors
/// Database errors of any kind.
pub async fn name(
    store: &Store,
    on: &mut Transaction,
    id: Uuid,
    parties: &InvoiceParties,
) -> Result<(), DatabaseError> {
    let InvoiceParties { seller, customer } = parties;
    on.query(NAME).bind(id).bind(seller.to_json()).bind(customer.to_json()).bind(store.now()).run().await?;
    Ok(())
}

/// Returns the parties of an invoice with a number; those of a draft have no names.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_invoice(store: &Store, id: Uuid) -> Result<InvoiceParties, DatabaseError> {
    let found: Option<(String, String)> = store.query(PARTIES).bind(id).find().await?;
    let Some((seller, customer)) = found else { return Ok(InvoiceParties::default()) };
    let read = |text: &str, column| {
        if text.is_empty() {
            return Ok(InvoiceParty::default());
        }
        serde_json::from_str(text).map_err(|_| DatabaseError::Unreadable { table: "invoices", column })
    };
    Ok(InvoiceParties { seller: read(&seller, "seller")?, customer: read(&customer, "customer")? })
}
