//! Cancel, expire and refund of a transaction.

use serde_json::{Map, Value, json};

use super::charge::StubRefusal;
use super::merchant::{Books, Merchant};
use super::transaction::{StubRefund, StubStatus, Transaction, money};

/// The body of a response, with its code and message.
pub(super) fn described(merchant: &Merchant, of: &Transaction, code: &str, message: &str) -> Value {
    let mut body = Map::new();
    body.insert("status_code".to_owned(), json!(code));
    body.insert("status_message".to_owned(), json!(message));
    body.extend(of.body(&merchant.merchant_id));
    Value::Object(body)
}

fn missing() -> StubRefusal {
    StubRefusal::new(404, "Transaction doesn't exist.")
}

fn cannot_modify() -> StubRefusal {
    StubRefusal::new(412, "Merchant cannot modify the status of the transaction")
}

pub(super) fn status(merchant: &Merchant, books: &Books, id: &str) -> Result<Value, StubRefusal> {
    let of = books.find(id).ok_or_else(missing)?;
    let code = if of.status == StubStatus::Expire { "407" } else { of.status.code() };
    Ok(described(merchant, of, code, "Success, transaction is found"))
}

pub(super) fn cancel(merchant: &Merchant, books: &mut Books, id: &str) -> Result<Value, StubRefusal> {
    let of = books.find(id).ok_or_else(missing)?;
    if !matches!(of.status, StubStatus::Pending | StubStatus::Capture) {
        return Err(cannot_modify());
    }
    end(merchant, books, id, StubStatus::Cancel)?;
    let of = books.find(id).ok_or_else(missing)?;
    Ok(described(merchant, of, "200", "Success, transaction is canceled"))
}

pub(super) fn expire(merchant: &Merchant, books: &mut Books, id: &str) -> Result<Value, StubRefusal> {
    if books.find(id).ok_or_else(missing)?.status != StubStatus::Pending {
        return Err(cannot_modify());
    }
    end(merchant, books, id, StubStatus::Expire)?;
    let of = books.find(id).ok_or_else(missing)?;
    Ok(described(merchant, of, "407", "Success, transaction has expired"))
}

fn end(merchant: &Merchant, books: &mut Books, id: &str, status: StubStatus) -> Result<(), StubRefusal> {
    let id = books.find(id).ok_or_else(missing)?.id.clone();
    merchant.set_status(books, &id, status);
    Ok(())
}

/// Returns a part of a settled transaction, or everything. Two notifications follow: the second one is the bank's.
pub(super) fn refund(merchant: &Merchant, books: &mut Books, id: &str, body: &Value) -> Result<Value, StubRefusal> {
    let now = merchant.now(books);
    let key = body.get("refund_key").and_then(Value::as_str);
    let key = key.map_or_else(|| merchant.new_id(), str::to_owned);
    let of = books.find_mut(id).ok_or_else(missing)?;
    if of.refunds.iter().any(|refund| refund.key == key) {
        return Err(StubRefusal::new(406, "Refund key is duplicate"));
    }
    if !matches!(of.status, StubStatus::Settlement | StubStatus::PartialRefund) || !of.is_refundable() {
        return Err(cannot_modify());
    }
    let most = of.amount - of.refunded();
    let amount = match body.get("amount") {
        None => most,
        Some(amount) => amount.as_i64().unwrap_or(0),
    };
    if !(1..=most).contains(&amount) {
        return Err(StubRefusal::new(414, "Refund amount is larger than the amount that can be refunded"));
    }
    let reason = body.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    of.refunds.push(StubRefund { key: key.clone(), amount, reason, at: now, is_confirmed: false });
    of.status = if amount == most { StubStatus::Refund } else { StubStatus::PartialRefund };
    let first = of.clone();
    of.refunds.iter_mut().for_each(|refund| refund.is_confirmed = true);
    let second = of.clone();
    merchant.notify(books, &first);
    merchant.notify(books, &second);
    let mut response = described(merchant, &first, "200", "Success, refund request is approved");
    if let Some(fields) = response.as_object_mut() {
        fields.insert("refund_chargeback_id".to_owned(), json!(first.refunds.len()));
        fields.insert("refund_amount".to_owned(), json!(money(amount)));
        fields.insert("refund_key".to_owned(), json!(key));
    }
    Ok(response)
}
