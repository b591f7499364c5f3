//! The seller and the customer on documents, as they were named when these got their numbers, and the users of lists.

use access::UserId;
use serde::{Deserialize, Serialize};
use store::sql::{Transaction, statements};
use store::{DatabaseError, Store};
use uuid::Uuid;

use super::invoices::StoredInvoice;
use super::payments::{PaymentFilter, StoredPayment};

statements! {
    CUSTOMER = "SELECT coalesce(nullif(p.name, ''), u.name), coalesce(p.address, ''), coalesce(p.tax_number, ''),
        CASE WHEN u.email LIKE '%@%' THEN u.email ELSE '' END FROM users u LEFT JOIN billing_profiles p ON p.user_id = u.id WHERE u.id = $1";
    NAME = "UPDATE invoices SET seller = $2, customer = $3, updated_at = $4 WHERE id = $1";
    PARTIES = "SELECT seller, customer FROM invoices WHERE id = $1";
    // The users of a page of a list: its first and its last id, and the state of its filter.
    OWING = "SELECT id, name, email FROM users WHERE id IN (SELECT user_id FROM invoices WHERE id <= $1 AND id >= $2 AND state <> 'draft')";
    OWING_IN_STATE = "SELECT id, name, email FROM users WHERE id IN
        (SELECT user_id FROM invoices WHERE id <= $1 AND id >= $2 AND state = $3)";
    PAYING = "SELECT id, name, email FROM users WHERE id IN
        (SELECT user_id FROM payments WHERE id <= $1 AND id >= $2 AND state IN ('held', 'reversed', 'charged_back'))";
    PAYING_IN_STATE = "SELECT id, name, email FROM users WHERE id IN
        (SELECT user_id FROM payments WHERE id <= $1 AND id >= $2 AND state = $3)";
    ONE = "SELECT id, name, email FROM users WHERE id = $1";
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

/// A user of a list of invoices or payments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledUser {
    /// The id of the user.
    pub id: UserId,
    /// The name of the user.
    pub name: String,
    /// The e-mail address; `None` for service users.
    pub email: Option<String>,
}

impl BilledUser {
    /// Returns a user whose column of the address is `email`; that of a service user has no `@`.
    pub(super) fn new(id: Uuid, name: String, email: Option<String>) -> Self {
        Self { id: UserId(id), name, email: email.filter(|email| email.contains('@')) }
    }
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
pub async fn customer(tx: &mut Transaction, user: UserId) -> Result<InvoiceParty, DatabaseError> {
    let found: Option<(String, String, String, String)> = tx.query(CUSTOMER).bind(user.0).find().await?;
    let (name, address, tax_number, email) = found.unwrap_or_default();
    Ok(InvoiceParty { name, address, tax_number, email })
}

/// Stores the parties of an invoice that gets its number.
///
/// # Errors
/// Database errors of any kind.
pub async fn name(
    store: &Store,
    tx: &mut Transaction,
    id: Uuid,
    parties: &InvoiceParties,
) -> Result<(), DatabaseError> {
    let InvoiceParties { seller, customer } = parties;
    tx.query(NAME).bind(id).bind(seller.to_json()).bind(customer.to_json()).bind(store.now()).run().await?;
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

/// Returns the users of a page of [`super::invoices::of_all`], in one statement.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_invoices(
    store: &Store,
    page: &[StoredInvoice],
    state: Option<&str>,
) -> Result<Vec<BilledUser>, DatabaseError> {
    let Some(first) = page.first() else { return Ok(Vec::new()) };
    let Some(last) = page.last() else { return Ok(Vec::new()) };
    let query = match state {
        None => store.query(OWING).bind(first.id).bind(last.id),
        Some(state) => store.query(OWING_IN_STATE).bind(first.id).bind(last.id).bind(state),
    };
    Ok(users(query.all().await?))
}

/// Returns the users of a page of [`super::payments::listed`], in one statement.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_payments(
    store: &Store,
    page: &[StoredPayment],
    of: PaymentFilter<'_>,
) -> Result<Vec<BilledUser>, DatabaseError> {
    let Some(first) = page.first() else { return Ok(Vec::new()) };
    let Some(last) = page.last() else { return Ok(Vec::new()) };
    let query = match (of.user, of.state) {
        (Some(user), _) => store.query(ONE).bind(user.0),
        (None, Some(state)) => store.query(PAYING_IN_STATE).bind(first.id).bind(last.id).bind(state),
        (None, None) => store.query(PAYING).bind(first.id).bind(last.id),
    };
    Ok(users(query.all().await?))
}

fn users(rows: Vec<(Uuid, String, Option<String>)>) -> Vec<BilledUser> {
    rows.into_iter().map(|(id, name, email)| BilledUser::new(id, name, email)).collect()
}
