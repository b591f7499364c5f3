//! The rows of postings of an export: one entry each, of double-entry accounts.

use access::Currency;
use ledger::billing::exports::PostedEntry;

use super::focus::{decimal, smallest};
use crate::message::csv;
use crate::message::moment::rfc3339;

/// The names of the columns.
pub(super) const HEAD: &str = "at,transaction_id,no,reason,account,user_id,currency,amount,invoice,payment_id\r\n";

/// Returns the row of an entry. A debit is positive.
pub(super) fn row(entry: &PostedEntry) -> String {
    let of = |currency| decimal(i128::from(entry.amount) * smallest(currency));
    let cells = [
        rfc3339(entry.created_at()),
        entry.transaction_id.to_string(),
        entry.no.to_string(),
        entry.reason.clone(),
        entry.account.clone(),
        entry.user_id.to_string(),
        entry.currency.clone(),
        Currency::of_code(&entry.currency).map_or_else(|| entry.amount.to_string(), of),
        csv::quoted(entry.number_text.as_deref().unwrap_or_default()),
        entry.payment_id.map(|id| id.to_string()).unwrap_or_default(),
    ];
    format!("{}\r\n", cells.join(","))
}
