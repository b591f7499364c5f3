//! The rows of a month's tax: one per invoice or credit note, for the tax invoices that another system makes.

use access::Currency;
use billing::document::percent;
use billing::language::Language;
use billing::rules::invoice_kind::InvoiceKind;
use ledger::billing::{InvoiceParty, StoredInvoice};

use super::focus::{decimal, smallest};
use crate::message::csv;
use crate::message::moment::date;

/// The names of the columns.
pub(super) const HEAD: &str = "invoice,kind,issued_on,corrects,customer_id,customer_name,customer_address,customer_tax_number,currency,subtotal,tax_name,tax_base,tax_rate,tax,total,tax_invoice_number\r\n";

/// Returns the row of an invoice, whose customer is named as on the document. `corrects` is the number of the invoice that a
/// credit note corrects; the amounts of a credit note are negative.
pub(super) fn row(invoice: &StoredInvoice, customer: &InvoiceParty, corrects: Option<&str>) -> String {
    let sign = if invoice.kind == InvoiceKind::CreditNote { -1 } else { 1 };
    let amount = |amount: i64| decimal(i128::from(amount) * sign * smallest(invoice.currency));
    let cells = [
        csv::quoted_or_empty(invoice.number.as_deref()),
        invoice.kind.as_str().to_owned(),
        csv::figure(invoice.issued_at.map(|at| date(at.day()))),
        csv::quoted_or_empty(corrects),
        invoice.user.0.to_string(),
        csv::quoted(&customer.name),
        csv::quoted(&customer.address),
        csv::quoted(&customer.tax_number),
        Currency::code(invoice.currency).to_owned(),
        amount(invoice.subtotal),
        csv::quoted(&invoice.tax_name),
        amount(invoice.tax_base),
        percent(&invoice.tax_rate, Language::English),
        amount(invoice.tax),
        amount(invoice.total),
        csv::quoted(&invoice.tax_invoice_number),
    ];
    format!("{}\r\n", cells.join(","))
}
