//! The audit of billing: entries, wallets, open invoices and lines.

use ledger::billing::postings::{self, BillingDifferences};
use serde_json::{Value, json};
use store::{DatabaseError, Store};

/// The maximum number of differences of one comparison.
const DIFFERENCES_MAX: u32 = 100;

/// Compares the books, and returns the comparisons that found differences.
pub(super) async fn compare(store: &Store) -> Result<Vec<BillingDifferences>, DatabaseError> {
    let mut compared = postings::audit(store, DIFFERENCES_MAX).await?;
    compared.retain(|comparison| !comparison.found.is_empty());
    Ok(compared)
}

/// Returns one line per difference.
pub(super) fn in_words(differences: &[BillingDifferences]) -> String {
    let line = |compared: &str, of: &postings::PostingSum| {
        format!("differs: {compared} ({}) differ by {}\n", of.transaction_id, of.amount)
    };
    let lines = differences.iter().flat_map(|of| of.found.iter().map(move |found| line(of.compared, found)));
    lines.collect()
}

/// Adds the differences to the report.
pub(super) fn add(report: &mut Value, differences: &[BillingDifferences]) {
    let listed = differences.iter().flat_map(|of| {
        of.found
            .iter()
            .map(|found| json!({"compared": of.compared, "id": found.transaction_id, "difference": found.amount}))
    });
    let listed: Vec<Value> = listed.collect();
    if let Some(fields) = report.as_object_mut() {
        if !listed.is_empty() {
            fields.insert("agrees".to_owned(), json!(false));
        }
        fields.insert("billing".to_owned(), Value::Array(listed));
    }
}
