//! The money that has paid an invoice, by its postings: the payment or wallet, the amount, and the time.

use access::Timestamp;
use store::sql::{statements, timestamp};
use store::{DatabaseError, Store};
use uuid::Uuid;

statements! {
    // Money that was taken back is subtracted from its payment or its wallet.
    OF_INVOICE = "SELECT m.payment_id, p.method, m.amount, m.received_at FROM (
            SELECT CASE WHEN reason IN ('invoice.paid_from_wallet', 'wallet.reversed') THEN NULL ELSE payment_id END AS payment_id,
                CAST(-sum(amount) AS BIGINT) AS amount, max(CASE WHEN amount < 0 THEN created_at END) AS received_at
            FROM postings WHERE invoice_id = $1 AND account IN ('receivable', 'write_off')
                AND reason IN ('payment.received', 'payment.reversed', 'invoice.paid_from_wallet', 'wallet.reversed')
            GROUP BY 1 HAVING sum(amount) < 0) m
        LEFT JOIN payments p ON p.id = m.payment_id ORDER BY m.received_at, m.payment_id LIMIT 1000";
}

/// Money that has paid an invoice, or a part of it, and was not taken back.
#[derive(Debug, Clone, PartialEq, Eq, sqlx_macros::FromRow)]
pub struct ReceivedMoney {
    /// The payment; `None` for money of the wallet.
    pub payment_id: Option<Uuid>,
    /// The stored name of the payment's method; `None` for money of the wallet.
    pub method: Option<String>,
    /// The amount in the currency of the invoice.
    pub amount: i64,
    received_at: i64,
}

impl ReceivedMoney {
    /// Returns money that a payment, or without one the wallet, has brought at this time.
    #[must_use]
    pub fn new(payment: Option<(Uuid, &str)>, amount: i64, received_at: Timestamp) -> Self {
        Self {
            payment_id: payment.map(|(id, _)| id),
            method: payment.map(|(_, method)| method.to_owned()),
            amount,
            received_at: store::sql::micros(received_at),
        }
    }

    /// Returns the time at which the money was booked.
    #[must_use]
    pub fn received_at(&self) -> Timestamp {
        timestamp(self.received_at)
    }
}

/// Returns the money that has paid an invoice, from the oldest.
///
/// # Errors
/// Database errors of any kind.
pub async fn of_invoice(store: &Store, invoice: Uuid) -> Result<Vec<ReceivedMoney>, DatabaseError> {
    store.query(OF_INVOICE).bind(invoice).all().await
}
