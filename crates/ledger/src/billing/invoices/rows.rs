//! The rows of invoices and their lines, and their parsing.

use access::{Currency, UserId};
use invoicing::rules::invoice::LineKind;
use invoicing::rules::invoice_kind::InvoiceKind;
use invoicing::rules::invoice_state::InvoiceState;
use store::DatabaseError;
use store::sql::timestamp;
use uuid::Uuid;

use super::{StoredInvoice, StoredInvoiceLine};
use crate::billing::parsing::{day, known};

#[derive(Debug, sqlx_macros::FromRow)]
pub(super) struct InvoiceLineRow {
    no: i64,
    kind: String,
    text: String,
    quantity: i64,
    unit: String,
    unit_price_pico: Option<i64>,
    amount: i64,
    plan_version_id: Option<Uuid>,
    first_day: i64,
    last_day: i64,
}

impl TryFrom<InvoiceLineRow> for StoredInvoiceLine {
    type Error = DatabaseError;

    fn try_from(row: InvoiceLineRow) -> Result<Self, DatabaseError> {
        Ok(Self {
            no: row.no,
            kind: known(LineKind::of_name(&row.kind), "invoice_lines", "kind")?,
            text: row.text,
            quantity: known(u64::try_from(row.quantity).ok(), "invoice_lines", "quantity")?,
            unit: row.unit,
            unit_price_pico: row.unit_price_pico,
            amount: row.amount,
            plan_version_id: row.plan_version_id,
            first_day: row.first_day,
            last_day: row.last_day,
        })
    }
}

#[derive(Debug, sqlx_macros::FromRow)]
pub(super) struct InvoiceRow {
    id: Uuid,
    user_id: Uuid,
    subscription_id: Option<Uuid>,
    kind: String,
    of_invoice_id: Option<Uuid>,
    target_version_id: Option<Uuid>,
    first_day: i64,
    last_day: i64,
    state: String,
    number_text: Option<String>,
    currency: String,
    subtotal: i64,
    tax_name: String,
    tax_rate: String,
    tax_base: i64,
    tax: i64,
    total: i64,
    remaining: i64,
    issued_at: Option<i64>,
    due_at: Option<i64>,
    digest: String,
    tax_invoice_number: String,
    reason: String,
    usage_first_day: Option<i64>,
    usage_last_day: Option<i64>,
    created_at: i64,
}

impl TryFrom<InvoiceRow> for StoredInvoice {
    type Error = DatabaseError;

    fn try_from(row: InvoiceRow) -> Result<Self, DatabaseError> {
        let day = |stored, column| day(stored, "invoices", column);
        let usage_days = match row.usage_first_day.zip(row.usage_last_day) {
            Some((first, last)) => Some([day(first, "usage_first_day")?, day(last, "usage_last_day")?]),
            None => None,
        };
        Ok(Self {
            id: row.id,
            user: UserId(row.user_id),
            subscription: row.subscription_id,
            kind: known(InvoiceKind::of_name(&row.kind), "invoices", "kind")?,
            of_invoice: row.of_invoice_id,
            target_version: row.target_version_id,
            first_day: day(row.first_day, "first_day")?,
            last_day: day(row.last_day, "last_day")?,
            state: known(InvoiceState::of_name(&row.state), "invoices", "state")?,
            number: row.number_text,
            currency: known(Currency::of_code(&row.currency), "invoices", "currency")?,
            subtotal: row.subtotal,
            tax_name: row.tax_name,
            tax_rate: row.tax_rate,
            tax_base: row.tax_base,
            tax: row.tax,
            total: row.total,
            remaining: row.remaining,
            issued_at: row.issued_at.map(timestamp),
            due_at: row.due_at.map(timestamp),
            digest: row.digest,
            tax_invoice_number: row.tax_invoice_number,
            reason: row.reason,
            usage_days,
            created_at: timestamp(row.created_at),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_an_unknown_kind_or_an_impossible_quantity_is_an_error() {
        let row = |kind: &str, quantity| InvoiceLineRow {
            no: 1,
            kind: kind.to_owned(),
            text: String::new(),
            quantity,
            unit: String::new(),
            unit_price_pico: None,
            amount: 0,
            plan_version_id: None,
            first_day: 0,
            last_day: 0,
        };
        let column = |row| match StoredInvoiceLine::try_from(row) {
            Err(DatabaseError::Unreadable { table: "invoice_lines", column }) => Some(column),
            Err(_) | Ok(_) => None,
        };
        assert_eq!(column(row("rebate", 1)), Some("kind"));
        assert_eq!(column(row("late", -1)), Some("quantity"));
        assert_eq!(column(row("late", 1)), None);
    }
}
