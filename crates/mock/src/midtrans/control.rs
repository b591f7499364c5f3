//! `/_stub/`: endpoints that Midtrans does not have. They play the customer, the bank and the time.

use serde_json::{Value, json};

use super::charge::StubRefusal;
use super::fault::StubFault;
use super::lifecycle::described;
use super::merchant::{Books, Merchant};
use super::transaction::StubStatus;

/// The maximum number of faults that wait.
const FAULTS_MAX: usize = 1_000;

/// Responds to one request below `/_stub/`; `None` for an unknown path.
pub(super) fn respond(
    merchant: &Merchant,
    method: &str,
    path: &str,
    body: &Value,
) -> Option<Result<Value, StubRefusal>> {
    let mut books = merchant.books();
    merchant.expire_overdue(&mut books);
    let (action, id) = path.split_once('/').unwrap_or((path, ""));
    Some(match (method, action) {
        ("GET", "orders") => {
            let orders: Vec<Value> = books
                .transactions
                .iter()
                .map(|of| described(merchant, of, of.status.code(), "Success, transaction is found"))
                .collect();
            Ok(json!({"items": orders}))
        }
        ("GET", "notifications") => Ok(json!({"items": books.sent, "waiting": books.deliveries.len()})),
        ("POST", "pay") => pay(merchant, &mut books, id),
        ("POST", "deny") => change(merchant, &mut books, id, &[StubStatus::Pending], StubStatus::Deny),
        ("POST", "expire") => change(merchant, &mut books, id, &[StubStatus::Pending], StubStatus::Expire),
        ("POST", "settle") => change(merchant, &mut books, id, &[StubStatus::Capture], StubStatus::Settlement),
        ("POST", "reversal") => change(merchant, &mut books, id, &[StubStatus::Settlement], StubStatus::Deny),
        ("POST", "chargeback") => {
            let paid = [StubStatus::Settlement, StubStatus::Capture, StubStatus::PartialRefund];
            change(merchant, &mut books, id, &paid, StubStatus::Chargeback)
        }
        ("POST", "resend") => resend(merchant, &mut books, id),
        ("POST", "clock") => {
            let seconds = body.get("seconds").and_then(Value::as_u64).unwrap_or(0);
            books.advanced = books.advanced.saturating_add(seconds.saturating_mul(1_000_000));
            merchant.expire_overdue(&mut books);
            merchant.wake.notify_one();
            Ok(json!({"advanced_seconds": books.advanced / 1_000_000}))
        }
        ("POST", "settings") => {
            if let Some(url) = body.get("notification_url") {
                books.notification_url = url.as_str().map(str::to_owned);
            }
            if let Some(has_true_codes) = body.get("true_http_codes").and_then(Value::as_bool) {
                books.has_true_codes = has_true_codes;
            }
            Ok(json!({"notification_url": books.notification_url, "true_http_codes": books.has_true_codes}))
        }
        ("POST", "faults") => faults(&mut books, body),
        _ => return None,
    })
}

fn missing() -> StubRefusal {
    StubRefusal::new(404, "Transaction doesn't exist.")
}

/// The customer pays: pending becomes settlement, of a card capture. A QR code may be paid after its time.
fn pay(merchant: &Merchant, books: &mut Books, id: &str) -> Result<Value, StubRefusal> {
    let of = books.find(id).ok_or_else(missing)?;
    let is_late = of.status == StubStatus::Expire && of.payment_type == "qris";
    if of.status != StubStatus::Pending && !is_late {
        return Err(StubRefusal::new(412, "The order is not pending"));
    }
    let paid = if of.payment_type == "credit_card" { StubStatus::Capture } else { StubStatus::Settlement };
    let id = of.id.clone();
    merchant.set_status(books, &id, paid);
    let of = books.find(&id).ok_or_else(missing)?;
    Ok(described(merchant, of, of.status.code(), "Success, transaction is found"))
}

fn change(
    merchant: &Merchant,
    books: &mut Books,
    id: &str,
    from: &[StubStatus],
    to: StubStatus,
) -> Result<Value, StubRefusal> {
    let of = books.find(id).ok_or_else(missing)?;
    if !from.contains(&of.status) {
        return Err(StubRefusal::new(412, "The status of the order does not allow it"));
    }
    let id = of.id.clone();
    merchant.set_status(books, &id, to);
    let of = books.find(&id).ok_or_else(missing)?;
    Ok(described(merchant, of, of.status.code(), "Success, transaction is found"))
}

/// Sends the notification of the present status again.
fn resend(merchant: &Merchant, books: &mut Books, id: &str) -> Result<Value, StubRefusal> {
    let of = books.find(id).ok_or_else(missing)?.clone();
    merchant.notify(books, &of);
    Ok(merchant.notification(&of, None))
}

/// Adds `count` faults of a kind, for the next events.
fn faults(books: &mut Books, body: &Value) -> Result<Value, StubRefusal> {
    let kind = body.get("kind").cloned().unwrap_or(Value::Null);
    let fault: StubFault = serde_json::from_value(kind).map_err(|_| StubRefusal::invalid("kind is unknown"))?;
    let count = body.get("count").and_then(Value::as_u64).unwrap_or(1);
    for _ in 0..count {
        if books.faults.len() >= FAULTS_MAX {
            return Err(StubRefusal::invalid("too many faults wait"));
        }
        books.faults.push(fault);
    }
    Ok(json!({"waiting": books.faults.len()}))
}
