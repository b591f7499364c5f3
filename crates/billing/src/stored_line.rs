//! A line of an invoice, as the store has it.

use ledger::billing::StoredInvoiceLine;

use crate::rules::invoice::InvoiceLine;

/// Returns a line with its number.
pub(crate) fn stored_line(no: i64, line: &InvoiceLine) -> StoredInvoiceLine {
    StoredInvoiceLine {
        no,
        kind: line.kind,
        text: line.text.clone(),
        quantity: line.quantity,
        unit: line.unit.clone(),
        unit_price_pico: line.unit_price.map(|price| price.pico),
        amount: line.amount,
        plan_version_id: line.plan_version,
        first_day: i64::from(line.days.first_day.0),
        last_day: i64::from(line.days.last_day.0),
    }
}
