//! Money, periods, invoices and payments as the API shows them.

use access::{Currency, Day, Money, UnitPrice};
use billing::books::instructions;
use billing::channel::{PaymentChannel, WALLET};
use billing::close::UnsignedDay;
use billing::document::{percent, unit_price};
use billing::language::Language;
use billing::rules::invoice_state::InvoiceState;
use billing::rules::payment::PaymentState;
use insights::review::ReviewState;
use ledger::billing::{ReceivedMoney, StoredInvoice, StoredInvoiceLine, StoredPayment, StoredRefund};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::message::moment::{date, rfc3339};

/// An amount with its currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingMoney, example = json!({"amount": 166500, "currency": "IDR"}))]
pub(in crate::routes) struct MoneyView {
    /// Whole rupiah, or nano-USD; negative for a credit.
    amount: i64,
    /// The currency of the amount: `IDR` or `USD`.
    currency: &'static str,
}

impl MoneyView {
    pub(super) const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency: currency.code() }
    }
}

impl From<Money> for MoneyView {
    fn from(money: Money) -> Self {
        Self::new(money.amount, money.currency)
    }
}

/// Whole UTC days, both inclusive.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingPeriod)]
pub(super) struct PeriodView {
    /// The first day, in UTC.
    #[schema(format = Date)]
    first_day: String,
    /// The last day, in UTC.
    #[schema(format = Date)]
    last_day: String,
}

impl PeriodView {
    pub(super) fn new(first_day: Day, last_day: Day) -> Self {
        Self { first_day: date(first_day), last_day: date(last_day) }
    }
}

/// An invoice. A list has no lines and no payments.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Invoice)]
pub(in crate::routes) struct InvoiceView {
    /// The id of the invoice.
    id: Uuid,
    /// The number, in a series without gaps; null before the invoice is opened.
    number: Option<String>,
    /// The kind: `period`, `change`, `topup`, `manual` or `credit_note`.
    kind: String,
    /// The state: `review`, `open`, `paid`, `void` or `uncollectible`.
    state: String,
    /// The days of the invoice.
    period: PeriodView,
    /// The currency of all amounts.
    currency: &'static str,
    /// The sum of the lines.
    subtotal: MoneyView,
    /// The tax; null without one.
    tax: Option<TaxView>,
    /// The sum of subtotal and tax.
    total: MoneyView,
    /// The part that is not paid.
    remaining: MoneyView,
    /// The time until which it must be paid.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The time at which it was opened.
    #[schema(format = DateTime)]
    issued_at: Option<String>,
    /// The time at which the last money of a paid invoice was received. It is missing in lists, before the invoice is paid,
    /// and if there was no amount to pay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    paid_at: Option<String>,
    /// The money that has paid the invoice, from the oldest. Money that was taken back is not listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_by: Option<Vec<ReceivedMoneyView>>,
    /// The lines in the order of printing.
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<LineView>>,
    /// The payments, from the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    payments: Option<Vec<PaymentView>>,
    /// The credit notes, from the oldest.
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_notes: Option<Vec<CreditNoteView>>,
    /// Why a credit note was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The number of the tax invoice, if another system has given one.
    tax_invoice_number: Option<String>,
    /// The days that are not signed off in insights, for which an invoice in review waits; only for finance, with
    /// `billing.review: signoff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsigned_days: Option<Vec<UnsignedDayView>>,
}

/// Money that has paid an invoice, or a part of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceivedMoney)]
pub(super) struct ReceivedMoneyView {
    /// The payment; null for money of the wallet.
    payment_id: Option<Uuid>,
    /// The method: `qris`, `va`, `card` or `wallet`.
    method: &'static str,
    /// The bank, for `va`: `bca`, `bni`, `bri`, `permata`, `cimb` or `mandiri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bank: Option<&'static str>,
    /// The amount that was received for this invoice.
    amount: MoneyView,
    /// The time at which the money was received.
    #[schema(format = DateTime)]
    received_at: String,
}

/// A day that an invoice waits for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnsignedDay)]
pub(super) struct UnsignedDayView {
    /// The day in UTC that is missing.
    #[schema(format = Date)]
    day: String,
    /// The state of the day's review, as `GET /review/status` has it.
    state: ReviewState,
}

/// A credit note of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreditNote)]
pub(super) struct CreditNoteView {
    /// The id of the credit note, which is shown as an invoice is.
    id: Uuid,
    /// The number, in a series without gaps.
    number: Option<String>,
    /// The amount with tax.
    total: MoneyView,
    /// Why the note was made.
    reason: String,
}

/// A refund of a payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refund)]
pub(in crate::routes) struct RefundView {
    /// The id of the refund.
    id: Uuid,
    /// The payment that is partly returned.
    payment_id: Uuid,
    /// The amount that is returned.
    amount: MoneyView,
    /// Why the money is returned.
    reason: String,
    /// `midtrans`, or `hand` for a transfer.
    by: String,
    /// The reference of the transfer.
    reference: Option<String>,
    /// The state: `requested`, `done` or `failed`.
    state: String,
    /// The message of the provider, if it refused the refund.
    error: Option<String>,
    /// The time of the request.
    #[schema(format = DateTime)]
    created_at: String,
}

/// The tax of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceTax)]
pub(super) struct TaxView {
    /// The name of the tax.
    pub(super) name: String,
    /// The taxed part of the subtotal.
    pub(super) base: MoneyView,
    /// The rate of the base: `12%`.
    pub(super) rate: String,
    /// The tax on the base.
    pub(super) amount: MoneyView,
}

/// A line of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvoiceLine)]
pub(super) struct LineView {
    /// The number of the line, from 1.
    no: i64,
    /// The kind: `plan`, `usage`, `proration`, `late`, `credit` or `unpriced`.
    kind: String,
    /// The text of the line.
    text: String,
    /// Units that are charged.
    quantity: u64,
    /// The name of a unit.
    unit: String,
    /// The price of a unit as a decimal number; null if the units have no single price, as in packages.
    unit_price: Option<String>,
    /// The amount of the line.
    amount: MoneyView,
    /// The first day, in UTC.
    #[schema(format = Date)]
    first_day: String,
    /// The last day, in UTC.
    #[schema(format = Date)]
    last_day: String,
}

/// A payment of an invoice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment)]
pub(in crate::routes) struct PaymentView {
    /// The id of the payment.
    id: Uuid,
    /// The state: `created`, `pending`, `held`, `paid`, `failed`, `reversed`, `partly_refunded`, `refunded` or
    /// `charged_back`.
    state: String,
    /// The method: `qris`, `va`, `card` or `wallet`.
    method: &'static str,
    /// The id of the order at the payment provider.
    order_id: String,
    /// The amount of the payment.
    amount: MoneyView,
    /// The part that was returned to the customer.
    refunded: MoneyView,
    /// The time at which the page closes.
    #[schema(format = DateTime)]
    expires_at: String,
    /// Why the payment failed: `expired`, `cancelled` or `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// The text of the QR code.
    #[serde(skip_serializing_if = "Option::is_none")]
    qr_text: Option<String>,
    /// The account number to which the customer transfers.
    #[serde(skip_serializing_if = "Option::is_none")]
    va: Option<AccountView>,
    /// The page on which the customer enters a card.
    #[serde(skip_serializing_if = "Option::is_none")]
    redirect_url: Option<String>,
}

/// An account number of a bank.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentAccount)]
struct AccountView {
    /// The bank: `bca`, `bni`, `bri`, `permata`, `cimb` or `mandiri`.
    bank: String,
    /// The account number; of Mandiri, the bill key.
    number: String,
    /// The biller code of Mandiri.
    #[serde(skip_serializing_if = "Option::is_none")]
    biller_code: Option<String>,
}

impl InvoiceView {
    /// Shows an invoice without its lines.
    pub(super) fn short(of: StoredInvoice) -> Self {
        let money = |amount| MoneyView::new(amount, of.currency);
        let tax = (!of.tax_name.is_empty()).then(|| TaxView {
            name: of.tax_name.clone(),
            base: money(of.tax_base),
            rate: percent(&of.tax_rate, Language::English),
            amount: money(of.tax),
        });
        let [first_day, last_day] = of.invoiced_days();
        Self {
            id: of.id,
            number: of.number,
            kind: of.kind.as_str().to_owned(),
            state: of.state.as_str().to_owned(),
            period: PeriodView::new(first_day, last_day),
            currency: of.currency.code(),
            subtotal: MoneyView::new(of.subtotal, of.currency),
            tax,
            total: MoneyView::new(of.total, of.currency),
            remaining: MoneyView::new(of.remaining, of.currency),
            due_at: of.due_at.map(rfc3339),
            issued_at: of.issued_at.map(rfc3339),
            paid_at: None,
            paid_by: None,
            lines: None,
            payments: None,
            credit_notes: None,
            reason: Some(of.reason).filter(|reason| !reason.is_empty()),
            tax_invoice_number: Some(of.tax_invoice_number).filter(|number| !number.is_empty()),
            unsigned_days: None,
        }
    }

    /// Adds the money that has paid the invoice.
    pub(super) fn with_received(self, received: &[ReceivedMoney], of: &StoredInvoice) -> Self {
        let last = received.iter().map(ReceivedMoney::received_at).max();
        let paid_at = if of.state == InvoiceState::Paid { last.map(rfc3339) } else { None };
        let view = |money: &ReceivedMoney| ReceivedMoneyView::new(money, of.currency);
        Self { paid_at, paid_by: Some(received.iter().map(view).collect()), ..self }
    }

    /// Shows an invoice with its lines and payments.
    pub(super) fn whole(of: StoredInvoice, lines: Vec<StoredInvoiceLine>, payments: &[StoredPayment]) -> Self {
        let currency = of.currency;
        Self {
            lines: Some(lines.into_iter().map(|line| LineView::new(line, currency)).collect()),
            payments: Some(payments.iter().map(PaymentView::new).collect()),
            ..Self::short(of)
        }
    }

    /// Adds the days that the invoice waits for; `None` if it waits for none.
    pub(super) fn with_unsigned(self, days: Option<Vec<UnsignedDay>>) -> Self {
        let view = |UnsignedDay { day, state }| UnsignedDayView { day: date(day), state };
        Self { unsigned_days: days.map(|days| days.into_iter().map(view).collect()), ..self }
    }

    /// Adds the credit notes.
    pub(super) fn with_notes(self, notes: Vec<StoredInvoice>) -> Self {
        let view = |note: StoredInvoice| CreditNoteView {
            id: note.id,
            number: note.number,
            total: MoneyView::new(note.total, note.currency),
            reason: note.reason,
        };
        Self { credit_notes: Some(notes.into_iter().map(view).collect()), ..self }
    }
}

impl ReceivedMoneyView {
    fn new(of: &ReceivedMoney, currency: Currency) -> Self {
        let channel = of.method.as_deref().and_then(PaymentChannel::of_name);
        Self {
            payment_id: of.payment_id,
            method: channel.map_or(WALLET, |channel| channel.kind().as_str()),
            bank: channel.and_then(PaymentChannel::bank),
            amount: MoneyView::new(of.amount, currency),
            received_at: rfc3339(of.received_at()),
        }
    }
}

impl RefundView {
    pub(super) fn new(of: StoredRefund) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            id: of.id,
            payment_id: of.payment,
            amount: MoneyView::new(of.amount, Currency::Idr),
            reason: of.reason,
            by: of.way,
            reference: some(of.reference),
            state: of.state.as_str().to_owned(),
            error: some(of.error),
            created_at: rfc3339(of.created_at),
        }
    }
}

/// Returns the example of an invoice in the OpenAPI document.
pub(super) fn example_invoice() -> Value {
    json!({
        "id": "0199aa00-0000-7000-8000-000000000002", "number": "INV-2026-000001", "kind": "period", "state": "open",
        "period": {"first_day": "2026-11-20", "last_day": "2026-12-19"}, "currency": "IDR",
        "subtotal": {"amount": 150000, "currency": "IDR"}, "tax": null, "total": {"amount": 150000, "currency": "IDR"},
        "remaining": {"amount": 150000, "currency": "IDR"}, "due_at": "2026-11-27T12:00:00Z",
        "issued_at": "2026-11-20T12:00:00Z",
        "lines": [{"no": 1, "kind": "plan", "text": "pro", "quantity": 1, "unit": "period", "unit_price": null,
            "amount": {"amount": 150000, "currency": "IDR"}, "first_day": "2026-11-20", "last_day": "2026-12-19"}],
        "paid_by": [], "payments": [], "credit_notes": [], "tax_invoice_number": null
    })
}

impl LineView {
    pub(super) fn new(of: StoredInvoiceLine, currency: Currency) -> Self {
        let day = |stored: i64| date(Day(u32::try_from(stored).unwrap_or(0)));
        let unit_price = unit_price(&of, currency).map(UnitPrice::decimal);
        Self {
            no: of.no,
            kind: of.kind.as_str().to_owned(),
            text: of.text,
            quantity: of.quantity,
            unit: of.unit,
            unit_price,
            amount: MoneyView::new(of.amount, currency),
            first_day: day(of.first_day),
            last_day: day(of.last_day),
        }
    }
}

impl PaymentView {
    pub(super) fn new(of: &StoredPayment) -> Self {
        let instructions = instructions(of);
        let text = |at: &str| instructions.pointer(at).and_then(Value::as_str).map(str::to_owned);
        let method = PaymentChannel::of_name(&of.method).map_or(WALLET, |channel| channel.kind().as_str());
        let va = text("/va/number").map(|number| AccountView {
            bank: text("/va/bank").unwrap_or_default(),
            number,
            biller_code: text("/va/biller_code"),
        });
        Self {
            id: of.id,
            state: of.state.as_str().to_owned(),
            method,
            order_id: of.order.clone(),
            amount: MoneyView::new(of.amount, Currency::Idr),
            refunded: MoneyView::new(of.refunded, Currency::Idr),
            expires_at: rfc3339(of.expires_at),
            reason: (of.state == PaymentState::Failed).then(|| failure(&of.error)),
            qr_text: text("/qr_text"),
            va,
            redirect_url: text("/redirect_url"),
        }
    }
}

/// Returns why a payment failed, from the status of the provider or the message of its refusal.
fn failure(error: &str) -> &'static str {
    match error.to_ascii_lowercase().as_str() {
        "expire" => "expired",
        "cancel" => "cancelled",
        _ => "refused",
    }
}
