//! The parts of Midtrans's responses that are used.

use serde_json::{Map, Value, json};

use super::exchange::MidtransError;

/// The result of a charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeResult {
    /// The provider's id of the transaction; `None` until a card is chosen on Snap's page.
    pub transaction: Option<String>,
    /// How to pay, as JSON with the fields of the API.
    pub instructions: Value,
}

/// The status of a payment, as the provider reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The provider's id of the transaction.
    pub transaction: String,
    /// The id of the order.
    pub order: String,
    /// `transaction_status` as it was received.
    pub status: String,
    /// `fraud_status`, if it was received.
    pub fraud: Option<String>,
    /// Whether `status_code` is `200`.
    pub is_success_code: bool,
    /// The amount in whole rupiah.
    pub amount: i64,
    /// The currency; missing means rupiah.
    pub currency: String,
    /// The merchant that received the payment.
    pub merchant: String,
    /// The sum of all amounts that were returned or taken back, in whole rupiah; 0 if the provider reports none.
    pub refunded: i64,
}

/// Parses `275000.00`, the only form in which Midtrans writes rupiah.
#[must_use]
pub fn gross_amount(text: &str) -> Option<i64> {
    let whole = text.strip_suffix(".00")?;
    let is_whole = !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit());
    is_whole.then(|| whole.parse().ok()).flatten()
}

/// Reads an amount that some responses write as a JSON number.
fn rupiah(of: &Value) -> Option<i64> {
    of.as_i64().filter(|amount| *amount >= 0).or_else(|| gross_amount(of.as_str()?))
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

impl ChargeResult {
    /// Reads the response of Core, which contains the QR code or the account number.
    pub(super) fn of_charge(body: &Value) -> Result<Self, MidtransError> {
        Self::read(body)?.payable_or(MidtransError::NotPayable)
    }

    /// Reads the parts of a response that it contains. The picture of a QR code is not used: it is on another server.
    fn read(body: &Value) -> Result<Self, MidtransError> {
        let transaction = text(body, "transaction_id").ok_or(MidtransError::Malformed("transaction_id is missing"))?;
        let mut fields = Map::new();
        if let Some(code) = text(body, "qr_string") {
            fields.insert("qr_text".to_owned(), json!(code));
        }
        let account = body.pointer("/va_numbers/0");
        let number = account.and_then(|account| text(account, "va_number")).or(text(body, "permata_va_number"));
        if let Some(number) = number {
            let bank = account.and_then(|account| text(account, "bank")).unwrap_or("permata");
            fields.insert("va".to_owned(), json!({"bank": bank, "number": number}));
        }
        if let Some(key) = text(body, "bill_key")
            && let Some(code) = text(body, "biller_code")
        {
            fields.insert("va".to_owned(), json!({"bank": "mandiri", "number": key, "biller_code": code}));
        }
        Ok(Self { transaction: Some(transaction.to_owned()), instructions: Value::Object(fields) })
    }

    /// Reads the status of an order whose charge had no response. Not every status contains how to pay.
    pub(super) fn of_status(body: &Value) -> Result<Self, MidtransError> {
        Self::read(body)?.payable_or(MidtransError::NoInstructions)
    }

    fn payable_or(self, error: MidtransError) -> Result<Self, MidtransError> {
        let is_empty = self.instructions.as_object().is_none_or(Map::is_empty);
        if is_empty { Err(error) } else { Ok(self) }
    }

    /// Reads the response of Snap: the page for cards.
    pub(super) fn of_page(body: &Value) -> Result<Self, MidtransError> {
        let url = text(body, "redirect_url").ok_or(MidtransError::Malformed("redirect_url is missing"))?;
        Ok(Self { transaction: None, instructions: json!({"redirect_url": url}) })
    }
}

impl StatusReport {
    /// Reads the response to a request of the status.
    pub(super) fn read(body: &Value) -> Result<Self, MidtransError> {
        let required = |name: &'static str| text(body, name).map(str::to_owned).ok_or(MidtransError::Malformed(name));
        let amount = gross_amount(&required("gross_amount")?).ok_or(MidtransError::Malformed("gross_amount"))?;
        let refunded = body.get("refund_amount").filter(|refunded| !refunded.is_null()).map_or(Some(0), rupiah);
        Ok(Self {
            transaction: required("transaction_id")?,
            order: required("order_id")?,
            status: required("transaction_status")?,
            fraud: text(body, "fraud_status").map(str::to_owned),
            is_success_code: text(body, "status_code") == Some("200"),
            amount,
            currency: text(body, "currency").unwrap_or("IDR").to_owned(),
            merchant: text(body, "merchant_id").unwrap_or_default().to_owned(),
            refunded: refunded.ok_or(MidtransError::Malformed("refund_amount"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_rupiah_with_two_zeros_are_an_amount() {
        assert_eq!(gross_amount("275000.00"), Some(275_000));
        assert_eq!(gross_amount("0.00"), Some(0));
        for text in ["", ".00", "1e3", "1e3.00", "275000", "275000.0", "275000.50", "-5.00", " 5.00", "5.00 ", "٥.00"]
        {
            assert_eq!(gross_amount(text), None, "{text}");
        }
        assert_eq!(gross_amount("9223372036854775808.00"), None);
    }

    #[test]
    fn a_refunded_amount_is_text_or_a_number() {
        let status = json!({"gross_amount": "150000.00", "transaction_id": "t", "order_id": "o",
            "transaction_status": "partial_refund", "status_code": "200"});
        let read = |refunded: Value| {
            let mut status = status.clone();
            status["refund_amount"] = refunded;
            StatusReport::read(&status).map(|report| report.refunded).ok()
        };
        assert_eq!([read(json!("5000.00")), read(json!(5000)), read(Value::Null)], [Some(5_000), Some(5_000), Some(0)]);
        assert_eq!([read(json!(-1)), read(json!(5.5)), read(json!("5000.50")), read(json!([]))], [None; 4]);
    }

    #[test]
    fn each_method_says_how_to_pay() {
        let read = |body: Value| ChargeResult::of_charge(&body).map(|result| result.instructions).unwrap_or_default();
        let qris =
            json!({"transaction_id": "t", "qr_string": "0002", "actions": [{"name": "generate-qr-code", "url": "u"}]});
        assert_eq!(read(qris), json!({"qr_text": "0002"}));
        let bca = json!({"transaction_id": "t", "va_numbers": [{"bank": "bca", "va_number": "12"}]});
        assert_eq!(read(bca), json!({"va": {"bank": "bca", "number": "12"}}));
        let permata = json!({"transaction_id": "t", "permata_va_number": "85"});
        assert_eq!(read(permata), json!({"va": {"bank": "permata", "number": "85"}}));
        let mandiri = json!({"transaction_id": "t", "bill_key": "9", "biller_code": "70012"});
        assert_eq!(read(mandiri), json!({"va": {"bank": "mandiri", "number": "9", "biller_code": "70012"}}));
        assert!(ChargeResult::of_charge(&json!({})).is_err());
        let picture = json!({"transaction_id": "t", "actions": [{"name": "generate-qr-code-v2", "url": "u"}]});
        assert!(matches!(ChargeResult::of_charge(&picture), Err(MidtransError::NotPayable)));
        assert!(matches!(ChargeResult::of_status(&picture), Err(MidtransError::NoInstructions)));
    }
}
