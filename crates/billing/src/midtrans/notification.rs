//! Notifications of Midtrans: the signature, and the fields that find the payment.

use access::Secret;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use super::transaction_id::is_id;

/// The longest id that is stored.
const ID_BYTES_MAX: usize = 100;

/// A notification whose signature is right. Its status is not signed, and so is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedNotification {
    /// SHA-256 of the body, in hex digits.
    pub digest: String,
    /// The id of the order.
    pub order: String,
    /// The provider's id of the transaction.
    pub transaction: String,
    /// The claimed status, for people who read the row.
    pub status: String,
}

/// Why a notification is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotificationError {
    /// The body is not JSON, or a field is missing or invalid.
    #[error("the notification is malformed: {0} is missing or invalid")]
    Malformed(&'static str),
    /// The signature does not fit order, code and amount.
    #[error("the signature of the notification is wrong")]
    Signature,
    /// The notification is about another merchant.
    #[error("the notification is about another merchant")]
    Merchant,
}

impl ReceivedNotification {
    /// Reads a body and verifies its signature.
    ///
    /// # Errors
    /// [`NotificationError`]: the body is malformed, or was not signed with this key for this merchant.
    pub fn verify(body: &[u8], server_key: &Secret, merchant_id: &str) -> Result<Self, NotificationError> {
        let parsed: Value = serde_json::from_slice(body).map_err(|_| NotificationError::Malformed("the JSON"))?;
        let text = |name: &'static str| {
            let found = parsed.get(name).and_then(Value::as_str);
            let is_fit = |value: &&str| !value.is_empty() && value.len() <= ID_BYTES_MAX && value.is_ascii();
            found.filter(is_fit).ok_or(NotificationError::Malformed(name))
        };
        let order = text("order_id")?;
        let code = text("status_code")?;
        let amount = text("gross_amount")?;
        let transaction = text("transaction_id")?;
        let status = text("transaction_status")?;
        // The status of a transaction with another id could never be requested.
        for (name, id) in [("order_id", order), ("transaction_id", transaction)] {
            if !is_id(id) {
                return Err(NotificationError::Malformed(name));
            }
        }
        let signature = parsed.get("signature_key").and_then(Value::as_str).unwrap_or_default();
        let expected = signature_of(order, code, amount, server_key);
        if !bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) {
            return Err(NotificationError::Signature);
        }
        let merchant = parsed.get("merchant_id").and_then(Value::as_str).unwrap_or(merchant_id);
        if !merchant_id.is_empty() && merchant != merchant_id {
            return Err(NotificationError::Merchant);
        }
        Ok(Self {
            digest: hex(&Sha256::digest(body)),
            order: order.to_owned(),
            transaction: transaction.to_owned(),
            status: status.to_owned(),
        })
    }
}

fn signature_of(order: &str, code: &str, amount: &str, server_key: &Secret) -> String {
    let mut hash = Sha512::new();
    for part in [order, code, amount, server_key.expose()] {
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

/// Returns lowercase hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The vectors of Midtrans's documents and clients.
    const VECTORS: [(&str, &str, &str, &str); 3] = [
        (
            "ORDER-sandbox-0003",
            "202",
            "50000.00",
            "a51d1bd2aa8b1dca9228f3827cd641b6dadf52ebb9ed40fb45db6a06dbb33de7cde8e80caa93dfb5e6beeaaf44f698dc7f6f56edd46556eddaa2a774ff7692c6",
        ),
        (
            "ORDER-sandbox-0002",
            "201",
            "75000.00",
            "db70270f6c27da2b564d4fffd9df3eeae578a7afba22bf5e6071711c7914d7a3d22ccaa533e864cf53742ca73c9e63016b0cbc1f97ee253a77b24b7a410d876a",
        ),
        (
            "ORDER-refund-0001",
            "200",
            "150000.00",
            "066b9923b82f27ba2aaa61bdea78133dcf3d442709a678c86dda29c6656c4cb9d11995e4357e074694e3da2e8d0e25d5afe0578df9f35d85a0365c197387d525",
        ),
    ];

    fn key() -> Secret {
        Secret::new("SB-Mid-server-test".to_owned())
    }

    fn body(order: &str, code: &str, amount: &str, signature: &str) -> Value {
        json!({"order_id": order, "status_code": code, "gross_amount": amount, "signature_key": signature,
            "transaction_id": "t-1", "transaction_status": "settlement", "merchant_id": "M1", "field_of_next_year": [1]})
    }

    fn verify(body: &Value) -> Result<ReceivedNotification, NotificationError> {
        ReceivedNotification::verify(body.to_string().as_bytes(), &key(), "M1")
    }

    #[test]
    fn signatures_of_the_documents_are_right() {
        for (order, code, amount, signature) in VECTORS {
            let received = verify(&body(order, code, amount, signature)).unwrap();
            assert_eq!((received.order.as_str(), received.transaction.as_str()), (order, "t-1"));
        }
    }

    #[test]
    fn altered_notifications_are_refused() {
        let (order, code, amount, signature) = VECTORS[2];
        for (name, value) in
            [("order_id", "OTHER"), ("status_code", "201"), ("gross_amount", "1.00"), ("signature_key", "")]
        {
            let mut altered = body(order, code, amount, signature);
            altered[name] = json!(value);
            assert_eq!(verify(&altered), Err(NotificationError::Signature), "{name}");
        }
        let mut other = body(order, code, amount, signature);
        other["merchant_id"] = json!("M2");
        assert_eq!(verify(&other), Err(NotificationError::Merchant));
        for name in ["order_id", "status_code", "gross_amount", "transaction_id", "transaction_status"] {
            for value in [Value::Null, json!(5), json!(""), json!("a".repeat(101))] {
                let mut malformed = body(order, code, amount, signature);
                malformed[name] = value;
                assert_eq!(verify(&malformed), Err(NotificationError::Malformed(name)));
            }
        }
        for id in ["a/b", "..", "a b", &"a".repeat(51)] {
            let mut malformed = body(order, code, amount, signature);
            malformed["transaction_id"] = json!(id);
            assert_eq!(verify(&malformed), Err(NotificationError::Malformed("transaction_id")), "{id}");
        }
        let no_json = ReceivedNotification::verify(b"{", &key(), "");
        assert_eq!(no_json, Err(NotificationError::Malformed("the JSON")));
    }
}
