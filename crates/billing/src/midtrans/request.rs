//! The bodies of charges.

use std::time::Duration;

use access::Timestamp;
use serde_json::{Value, json};

use crate::channel::{ChannelKind, PaymentChannel};

/// Midtrans expects times in GMT+7.
const ZONE: Duration = Duration::from_hours(7);
/// The shortest time to pay: some banks refuse less than 20 s.
const SECONDS_MIN: u64 = 60;
/// The longest name of an item.
const NAME_CHARS_MAX: usize = 50;

/// A payment to begin.
#[derive(Debug, Clone, Copy)]
pub struct ChargeOrder<'a> {
    /// The id of the order: `TG-` and 32 hex digits.
    pub order_id: &'a str,
    /// The amount in whole rupiah.
    pub amount: i64,
    /// The channel of payment.
    pub channel: PaymentChannel,
    /// Names and amounts of the items, which add up to the amount; empty: without items.
    pub items: &'a [(String, i64)],
    /// The time of the request.
    pub now: Timestamp,
    /// The time in which the payment can be made.
    pub expires_in: Duration,
    /// The page to which Snap returns the customer.
    pub return_url: Option<&'a str>,
}

impl ChargeOrder<'_> {
    /// Returns the body of the charge, or of the session of Snap.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({"transaction_details": {"order_id": self.order_id, "gross_amount": self.amount}});
        let mut put = |name: &str, value: Value| {
            if let Some(fields) = body.as_object_mut() {
                fields.insert(name.to_owned(), value);
            }
        };
        if self.items.iter().map(|(_, amount)| amount).sum::<i64>() == self.amount && !self.items.is_empty() {
            put("item_details", self.items.iter().enumerate().map(|(no, item)| item_details(no, item)).collect());
        }
        let seconds = self.expires_in.as_secs().max(SECONDS_MIN);
        if self.channel.kind() == ChannelKind::Card {
            // Snap has no smaller unit.
            let minutes = seconds / 60;
            put("enabled_payments", json!(["credit_card"]));
            put("credit_card", json!({"secure": true}));
            put("expiry", json!({"unit": "minutes", "duration": minutes}));
            // Without it, the page can be used for 24 h, also after the payment has failed here.
            put("page_expiry", json!({"unit": "minutes", "duration": minutes}));
            if let Some(url) = self.return_url {
                put("callbacks", json!({"finish": url}));
            }
            return body;
        }
        let expiry = json!({"order_time": local_time(self.now), "expiry_duration": seconds, "unit": "second"});
        put("custom_expiry", expiry);
        match self.channel {
            PaymentChannel::Qris => {
                put("payment_type", json!("qris"));
                put("qris", json!({"acquirer": "gopay"}));
            }
            PaymentChannel::Mandiri => {
                put("payment_type", json!("echannel"));
                put("echannel", json!({"bill_info1": "Payment:", "bill_info2": "Invoice"}));
            }
            PaymentChannel::Permata => put("payment_type", json!("permata")),
            PaymentChannel::Bca
            | PaymentChannel::Bni
            | PaymentChannel::Bri
            | PaymentChannel::Cimb
            | PaymentChannel::Card => {
                put("payment_type", json!("bank_transfer"));
                put("bank_transfer", json!({"bank": self.channel.as_str()}));
            }
        }
        body
    }
}

fn item_details(no: usize, item: &(String, i64)) -> Value {
    let (name, amount) = item;
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    json!({"id": (no + 1).to_string(), "name": name, "price": amount, "quantity": 1})
}

/// Writes a time as Midtrans expects it: `2026-11-25 19:04:05 +0700`.
fn local_time(at: Timestamp) -> String {
    let local = at.after(ZONE);
    let seconds = local.unix_seconds() % 86_400;
    format!("{} {:02}:{:02}:{:02} +0700", local.day(), seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order<'a>(channel: PaymentChannel, items: &'a [(String, i64)]) -> ChargeOrder<'a> {
        let now = Timestamp(1_795_651_200_000_000);
        let expires_in = Duration::from_mins(15);
        ChargeOrder { order_id: "TG-1", amount: 166_500, channel, items, now, expires_in, return_url: None }
    }

    #[test]
    fn the_amount_is_a_whole_number_and_items_add_up_to_it() {
        let items = [("pro".to_owned(), 150_000), ("PPN".to_owned(), 16_500)];
        let body = order(PaymentChannel::Qris, &items).body();
        assert_eq!(body["transaction_details"]["gross_amount"], 166_500);
        assert_eq!(body["item_details"].as_array().map(Vec::len), Some(2));
        assert_eq!(body["custom_expiry"]["order_time"], "2026-11-26 07:00:00 +0700");
        let body = order(PaymentChannel::Bca, &items[..1]).body();
        assert_eq!((&body["item_details"], &body["bank_transfer"]["bank"]), (&Value::Null, &json!("bca")));
        let body = order(PaymentChannel::Card, &items).body();
        assert_eq!(body["enabled_payments"], json!(["credit_card"]));
        assert_eq!(body["page_expiry"], json!({"unit": "minutes", "duration": 15}));
    }

    #[test]
    fn a_code_ends_at_most_a_second_before_the_time_that_is_shown() {
        for channel in [PaymentChannel::Qris, PaymentChannel::Bca] {
            let expires_in = Duration::from_mins(15) - Duration::from_millis(5);
            let expiry = ChargeOrder { expires_in, ..order(channel, &[]) }.body()["custom_expiry"].clone();
            assert_eq!((&expiry["expiry_duration"], &expiry["unit"]), (&json!(899), &json!("second")), "{channel:?}");
        }
    }
}
