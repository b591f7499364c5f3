//! `POST /v2/charge`: the validation of a charge, and the fields of each method.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::merchant::{Books, Merchant};
use super::transaction::{NotificationUrls, StubStatus, Transaction};

/// A method with its limits in rupiah (documents of March 2026).
struct Method {
    name: &'static str,
    min: i64,
    max: i64,
    lasts: Duration,
}

const METHODS: &[Method] = &[
    Method { name: "credit_card", min: 10_000, max: 999_999_999, lasts: Duration::from_mins(10) },
    Method { name: "qris", min: 1, max: 10_000_000, lasts: Duration::from_mins(15) },
    Method { name: "gopay", min: 1, max: 20_000_000, lasts: Duration::from_mins(15) },
    Method { name: "bca", min: 10_000, max: 20_000_000_000, lasts: Duration::from_hours(24) },
    Method { name: "bri", min: 1, max: 20_000_000_000, lasts: Duration::from_hours(24) },
    Method { name: "bni", min: 1, max: i64::MAX, lasts: Duration::from_hours(24) },
    Method { name: "permata", min: 1, max: 9_999_999_999, lasts: Duration::from_hours(24) },
    Method { name: "cimb", min: 1, max: 250_000_000, lasts: Duration::from_hours(24) },
    Method { name: "echannel", min: 1, max: 50_000_000_000, lasts: Duration::from_hours(24) },
    Method { name: "indomaret", min: 10_000, max: 5_000_000, lasts: Duration::from_hours(24) },
    Method { name: "alfamart", min: 1, max: 5_000_000, lasts: Duration::from_hours(24) },
];

/// A refused request: the code of the body, the message, and single violations.
#[derive(Debug)]
pub(super) struct StubRefusal {
    pub(super) code: u16,
    pub(super) message: String,
    pub(super) violations: Vec<String>,
}

impl StubRefusal {
    pub(super) fn new(code: u16, message: &str) -> Self {
        Self { code, message: message.to_owned(), violations: Vec::new() }
    }

    pub(super) fn invalid(violation: &str) -> Self {
        let message = "One or more parameters in the payload is invalid.".to_owned();
        Self { code: 400, message, violations: vec![violation.to_owned()] }
    }
}

/// Order and amount of a charge.
#[derive(Debug)]
pub(super) struct OrderedAmount {
    pub(super) order_id: String,
    pub(super) amount: i64,
}

/// Reads `transaction_details`, and checks that items add up.
pub(super) fn ordered(body: &Value) -> Result<OrderedAmount, StubRefusal> {
    let details = body.get("transaction_details").unwrap_or(&Value::Null);
    let order_id = details.get("order_id").and_then(Value::as_str).unwrap_or_default();
    let is_fit = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'~' | b'.');
    if order_id.is_empty() || order_id.len() > 50 || !order_id.bytes().all(is_fit) {
        return Err(StubRefusal::invalid("transaction_details.order_id is invalid"));
    }
    let amount = details.get("gross_amount").and_then(Value::as_i64).filter(|amount| *amount > 0);
    let amount = amount.ok_or_else(|| StubRefusal::invalid("transaction_details.gross_amount is invalid"))?;
    if let Some(items) = body.get("item_details").and_then(Value::as_array) {
        let mut sum = 0_i64;
        for item in items {
            let text = |name| item.get(name).and_then(Value::as_str).unwrap_or_default();
            let number = |name| item.get(name).and_then(Value::as_i64);
            let quantity = number("quantity").filter(|quantity| *quantity > 0);
            let Some((price, quantity)) = number("price").zip(quantity) else {
                return Err(StubRefusal::invalid("item_details price and quantity must be integers"));
            };
            if text("name").is_empty() || text("name").chars().count() > 50 || text("id").chars().count() > 50 {
                return Err(StubRefusal::invalid("item_details name is required and must be at most 50 characters"));
            }
            sum = sum.saturating_add(price.saturating_mul(quantity));
        }
        if sum != amount {
            return Err(StubRefusal::invalid(
                "transaction_details.gross_amount is not equal to the sum of item_details",
            ));
        }
    }
    Ok(OrderedAmount { order_id: order_id.to_owned(), amount })
}

/// Makes the transaction of a charge.
pub(super) fn charge(
    merchant: &Merchant,
    books: &mut Books,
    body: &Value,
    urls: NotificationUrls,
) -> Result<Transaction, StubRefusal> {
    let OrderedAmount { order_id, amount } = ordered(body)?;
    let payment_type = body.get("payment_type").and_then(Value::as_str).unwrap_or_default();
    let (method, details) = details(merchant, body, payment_type, &order_id)?;
    if !(method.min..=method.max).contains(&amount) {
        return Err(StubRefusal::invalid("transaction_details.gross_amount is outside of the limits of the method"));
    }
    if books.find(&order_id).is_some_and(|of| !of.is_over()) {
        return Err(StubRefusal::new(
            406,
            "The request could not be completed due to a conflict with the current state \
            of the target resource, please try again",
        ));
    }
    let created = merchant.now(books);
    let expires = created.after(custom_expiry(body).unwrap_or(method.lasts));
    let mut transaction = Transaction {
        id: merchant.new_id(),
        order_id,
        amount,
        // Permata responds as a bank transfer.
        payment_type: if payment_type == "permata" { "bank_transfer" } else { payment_type }.to_owned(),
        status: StubStatus::Pending,
        fraud: Some("accept"),
        created,
        expires: Some(expires),
        settled: None,
        refunds: Vec::new(),
        details,
        echoed: echoed(body),
        urls,
    };
    if payment_type == "qris" {
        transaction.details.insert("qr_string".to_owned(), json!(qr_string(&transaction.id, amount)));
    }
    if payment_type == "credit_card" {
        card(books, body, &mut transaction)?;
    }
    books.add(transaction.clone());
    merchant.notify(books, &transaction);
    Ok(transaction)
}

/// Returns the content of a QR code: it names the transaction and the amount.
pub(super) fn qr_string(id: &str, amount: i64) -> String {
    format!("00020101021226620014COM.GO-JEK.WWW5204000053033605406{amount}5802ID5914TOLLGATE STUB62{id}6304")
}

/// Fields that responses and notifications repeat.
pub(super) fn echoed(body: &Value) -> Map<String, Value> {
    let names = ["custom_field1", "custom_field2", "custom_field3", "metadata"];
    names.iter().filter_map(|name| Some(((*name).to_owned(), body.get(name)?.clone()))).collect()
}

fn custom_expiry(body: &Value) -> Option<Duration> {
    let expiry = body.get("custom_expiry")?;
    let count = expiry.get("expiry_duration").and_then(Value::as_u64)?;
    let seconds = match expiry.get("unit").and_then(Value::as_str).unwrap_or("minute") {
        "second" => 1,
        "hour" => 3_600,
        "day" => 86_400,
        _ => 60,
    };
    Some(Duration::from_secs(count.saturating_mul(seconds)))
}

fn method(name: &str) -> Result<&'static Method, StubRefusal> {
    let found = METHODS.iter().find(|method| method.name == name);
    found.ok_or_else(|| StubRefusal::new(402, "Payment channel is not activated."))
}

/// Returns the method and the fields of its response.
fn details(
    merchant: &Merchant,
    body: &Value,
    payment_type: &str,
    order_id: &str,
) -> Result<(&'static Method, Map<String, Value>), StubRefusal> {
    let of = |outer: &str, inner: &str| {
        body.get(outer).and_then(|of| of.get(inner)).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    // Account numbers differ by order, and are the same for the same order.
    let number = order_id.bytes().fold(0_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 10_000_000_000);
    let (method, value) = match payment_type {
        "qris" => {
            let acquirer = of("qris", "acquirer");
            let acquirer = if acquirer.is_empty() { "gopay".to_owned() } else { acquirer };
            (method("qris")?, json!({"acquirer": acquirer}))
        }
        "bank_transfer" if of("bank_transfer", "bank") == "permata" => {
            (method("permata")?, json!({"permata_va_number": format!("8562{number:010}")}))
        }
        "permata" => (method("permata")?, json!({"permata_va_number": format!("8562{number:010}")})),
        "bank_transfer" => {
            let bank = of("bank_transfer", "bank");
            let found = method(&bank)?;
            (found, json!({"va_numbers": [{"bank": bank, "va_number": format!("9888{number:010}")}]}))
        }
        "echannel" if of("echannel", "bill_info1").is_empty() || of("echannel", "bill_info2").is_empty() => {
            return Err(StubRefusal::invalid("echannel.bill_info1 and bill_info2 are required"));
        }
        "echannel" => (method("echannel")?, json!({"bill_key": format!("{number:012}"), "biller_code": "70012"})),
        "cstore" => {
            let store = of("cstore", "store");
            (method(&store)?, json!({"store": store, "payment_code": format!("{number:010}")}))
        }
        "gopay" => (
            method("gopay")?,
            json!({"actions": [{"name": "deeplink-redirect", "method": "GET",
            "url": format!("https://simulator.example/gopay/{}", merchant.new_id())}]}),
        ),
        "credit_card" => (method("credit_card")?, json!({"bank": "bni"})),
        _ => return Err(StubRefusal::new(402, "Payment channel is not activated.")),
    };
    Ok((method, value.as_object().cloned().unwrap_or_default()))
}

/// Applies the result of a test card.
fn card(books: &mut Books, body: &Value, transaction: &mut Transaction) -> Result<(), StubRefusal> {
    let options = body.get("credit_card").unwrap_or(&Value::Null);
    let token = options.get("token_id").and_then(Value::as_str).unwrap_or_default();
    // A token is used once.
    let number = books.cards.remove(token);
    let number = number.ok_or_else(|| StubRefusal::new(411, "Token id is missing, invalid, or timed out"))?;
    let masked: String = number.chars().take(8).chain("-".chars()).chain(number.chars().skip(12)).collect();
    transaction.details.insert("masked_card".to_owned(), json!(masked));
    transaction.details.insert("card_type".to_owned(), json!("credit"));
    let is_enrolled = number != "4411111111111118";
    let is_authenticated = options.get("authentication").and_then(Value::as_bool).unwrap_or(false);
    (transaction.status, transaction.fraud) = match number.as_str() {
        "4911111111111113" => (StubStatus::Deny, Some("accept")),
        "4611111111111116" => (StubStatus::Deny, Some("deny")),
        _ if is_authenticated && is_enrolled => (StubStatus::Pending, Some("accept")),
        _ => (StubStatus::Capture, Some("accept")),
    };
    Ok(())
}
