//! A transaction: the attempt to pay an order with one method.

use access::Timestamp;
use serde_json::{Map, Value, json};

/// Midtrans writes times in GMT+7 without an offset.
const ZONE_MICROS: u64 = 7 * 3_600 * 1_000_000;

/// The status of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StubStatus {
    Pending,
    Capture,
    Settlement,
    Deny,
    Cancel,
    Expire,
    PartialRefund,
    Refund,
    Chargeback,
}

/// A refund of a settled transaction.
#[derive(Debug, Clone)]
pub(super) struct StubRefund {
    pub(super) key: String,
    pub(super) amount: i64,
    pub(super) reason: String,
    pub(super) at: Timestamp,
    pub(super) is_confirmed: bool,
}

/// The attempt to pay an order with one method.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    pub(super) id: String,
    pub(super) order_id: String,
    pub(super) amount: i64,
    pub(super) payment_type: String,
    pub(super) status: StubStatus,
    pub(super) fraud: Option<&'static str>,
    pub(super) created: Timestamp,
    pub(super) expires: Option<Timestamp>,
    pub(super) settled: Option<Timestamp>,
    pub(super) refunds: Vec<StubRefund>,
    /// Fields of the method: account numbers, the bank, the QR code.
    pub(super) details: Map<String, Value>,
    /// `custom_field1` to `3` and `metadata`, which responses repeat.
    pub(super) echoed: Map<String, Value>,
    /// URLs of notifications beside or instead of the account's.
    pub(super) urls: NotificationUrls,
}

/// URLs of the headers of a charge.
#[derive(Debug, Clone, Default)]
pub(super) struct NotificationUrls {
    pub(super) instead: Vec<String>,
    pub(super) besides: Vec<String>,
}

impl StubStatus {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Capture => "capture",
            Self::Settlement => "settlement",
            Self::Deny => "deny",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::PartialRefund => "partial_refund",
            Self::Refund => "refund",
            Self::Chargeback => "chargeback",
        }
    }

    /// Returns `status_code` of notifications and of responses to requests of the status.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Pending => "201",
            Self::Deny | Self::Cancel | Self::Expire => "202",
            Self::Capture | Self::Settlement | Self::PartialRefund | Self::Refund | Self::Chargeback => "200",
        }
    }
}

impl Transaction {
    /// Whether the order id can be used again: nothing was paid, and nobody can pay any more.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.status, StubStatus::Deny | StubStatus::Cancel | StubStatus::Expire)
    }

    /// Whether the provider can return money by its API.
    pub(super) fn is_refundable(&self) -> bool {
        matches!(self.payment_type.as_str(), "credit_card" | "gopay" | "qris" | "shopeepay")
    }

    pub(super) fn refunded(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount).sum()
    }

    /// Returns `gross_amount` as responses write it.
    pub(super) fn gross_amount(&self) -> String {
        money(self.amount)
    }

    /// Returns the body of a response, without `status_code` and `status_message`.
    pub(super) fn body(&self, merchant_id: &str) -> Map<String, Value> {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        put("transaction_id", json!(self.id));
        put("order_id", json!(self.order_id));
        put("merchant_id", json!(merchant_id));
        put("gross_amount", json!(self.gross_amount()));
        put("currency", json!("IDR"));
        put("payment_type", json!(self.payment_type));
        put("transaction_time", json!(local_time(self.created)));
        put("transaction_status", json!(self.status.as_str()));
        if let Some(fraud) = self.fraud {
            put("fraud_status", json!(fraud));
        }
        if let Some(settled) = self.settled {
            put("settlement_time", json!(local_time(settled)));
        }
        if let Some(expires) = self.expires {
            put("expiry_time", json!(local_time(expires)));
        }
        if !self.refunds.is_empty() {
            put("refund_amount", json!(money(self.refunded())));
            put("refunds", self.refunds.iter().enumerate().map(|(nth, refund)| refund.body(nth)).collect());
        }
        body.extend(self.details.clone());
        body.extend(self.echoed.clone());
        body
    }
}

impl StubRefund {
    fn body(&self, nth: usize) -> Value {
        let mut body = json!({"refund_chargeback_id": nth + 1, "refund_amount": money(self.amount),
            "created_at": local_time(self.at), "reason": self.reason, "refund_key": self.key});
        if self.is_confirmed
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert("bank_confirmed_at".to_owned(), json!(local_time(self.at)));
        }
        body
    }
}

/// Writes whole rupiah as Midtrans does: `275000.00`.
pub(super) fn money(amount: i64) -> String {
    format!("{amount}.00")
}

/// Writes a time in GMT+7: `2026-11-25 19:04:05`.
pub(super) fn local_time(at: Timestamp) -> String {
    let local = Timestamp(at.0.saturating_add(ZONE_MICROS));
    let seconds = local.unix_seconds() % 86_400;
    format!("{} {:02}:{:02}:{:02}", local.day(), seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
