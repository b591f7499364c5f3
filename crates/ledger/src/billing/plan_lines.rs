//! The lines of an invoice about the price of a plan, without those about usage.

use access::Day;
use store::DatabaseError;
use store::sql::{Transaction, statements};
use uuid::Uuid;

use super::parsing::day;

statements! {
    // A line about usage has the unit of its metric, also in a credit note.
    OF_INVOICE = "SELECT l.amount, l.first_day, l.last_day, i.kind = 'credit_note' FROM invoice_lines l
        JOIN invoices i ON i.id = l.invoice_id WHERE (i.id = $1 OR i.of_invoice_id = $1) AND l.unit = 'period'
        ORDER BY i.id, l.no LIMIT 1000";
}

/// A line about the price of a plan, of an invoice or of one of its credit notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanLine {
    /// The amount of the line; negative for the credit of a change.
    pub amount: i64,
    /// The first day, in UTC.
    pub first_day: Day,
    /// The last day, in UTC.
    pub last_day: Day,
    /// Whether a credit note has the line: its amount was taken back.
    pub is_note: bool,
}

/// Returns the lines of an invoice and of its credit notes about the price of a plan.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_invoice(tx: &mut Transaction, invoice: Uuid) -> Result<Vec<PlanLine>, DatabaseError> {
    let rows: Vec<(i64, i64, i64, bool)> = tx.query(OF_INVOICE).bind(invoice).all().await?;
    let day = |stored, column| day(stored, "invoice_lines", column);
    let line = |(amount, first_day, last_day, is_note)| {
        Ok(PlanLine { amount, first_day: day(first_day, "first_day")?, last_day: day(last_day, "last_day")?, is_note })
    };
    rows.into_iter().map(line).collect()
}
