//! Snap: a session with a page, on which the customer chooses a method.

use std::time::Duration;

use serde_json::{Value, json};

use super::charge::{self, OrderedAmount, StubRefusal};
use super::merchant::{Books, Merchant};
use super::session::SnapSession;
use super::transaction::{NotificationUrls, StubStatus, Transaction};

/// How long a session lasts without `page_expiry`. Its end sends no notification.
const PAGE_LASTS: Duration = Duration::from_hours(24);
/// The maximum duration of a session.
const PAGE_LASTS_MAX: Duration = Duration::from_hours(7 * 24);

/// Makes a session. The order exists once the customer has chosen a method.
pub(super) fn create(
    merchant: &Merchant,
    books: &mut Books,
    body: &Value,
    urls: NotificationUrls,
) -> Result<String, StubRefusal> {
    let OrderedAmount { order_id, amount } = charge::ordered(body)?;
    if books.find(&order_id).is_some_and(|of| !of.is_over()) {
        let message = "transaction_details.order_id has been paid and utilized, please use another order ID";
        return Err(StubRefusal::invalid(message));
    }
    if !books.has_room() {
        return Err(StubRefusal::new(429, "Too many sessions"));
    }
    let token = merchant.new_id();
    let finish = body.get("callbacks").and_then(|of| of.get("finish")).and_then(Value::as_str).map(str::to_owned);
    let until = merchant.now(books).after(page_lasts(body)?);
    let echoed = charge::echoed(body);
    let session = SnapSession { order_id, amount, finish, until, is_closed: false, echoed, urls };
    books.sessions.insert(token.clone(), session);
    Ok(token)
}

/// Returns how long the page of a session can be used.
fn page_lasts(body: &Value) -> Result<Duration, StubRefusal> {
    let Some(expiry) = body.get("page_expiry") else { return Ok(PAGE_LASTS) };
    let duration = expiry.get("duration").and_then(Value::as_u64).filter(|duration| (1..=100_000).contains(duration));
    let seconds = match expiry.get("unit").and_then(Value::as_str) {
        Some("minute" | "minutes") => 60,
        Some("hour" | "hours") => 3_600,
        Some("day" | "days") => 86_400,
        _ => return Err(StubRefusal::invalid("page_expiry.unit is invalid")),
    };
    let lasts = duration.map(|duration| Duration::from_secs(duration * seconds));
    lasts.filter(|lasts| *lasts <= PAGE_LASTS_MAX).ok_or(StubRefusal::invalid("page_expiry.duration is invalid"))
}

/// Closes a session before a method was chosen.
pub(super) fn close(books: &mut Books, token: &str) -> bool {
    books.sessions.get_mut(token).map(|session| session.is_closed = true).is_some()
}

/// Returns the page to which customers return after the payment of an order.
pub(super) fn finish_url(books: &Books, order_id: &str) -> Option<String> {
    books.sessions.values().find(|session| session.order_id == order_id)?.finish.clone()
}

/// Records the customer's choice on the page: each choice is another transaction. With 3-D Secure, it waits for the password.
pub(super) fn choose(merchant: &Merchant, books: &mut Books, token: &str, action: &str) -> Option<SnapSession> {
    let now = merchant.now(books);
    let session = books.sessions.get(token).filter(|session| session.is_open(now)).cloned()?;
    let status = match action {
        "pay" => StubStatus::Capture,
        "secure" => StubStatus::Pending,
        "deny" => StubStatus::Deny,
        _ => return Some(session),
    };
    if books.find(&session.order_id).is_some_and(|of| !of.is_over()) {
        return Some(session);
    }
    let details = json!({"bank": "bni", "card_type": "credit", "masked_card": "48111111-1114"});
    let id = merchant.new_id();
    books.add(Transaction {
        id: id.clone(),
        order_id: session.order_id.clone(),
        amount: session.amount,
        payment_type: "credit_card".to_owned(),
        status: StubStatus::Pending,
        fraud: Some("accept"),
        created: now,
        expires: None,
        settled: None,
        refunds: Vec::new(),
        details: details.as_object().cloned().unwrap_or_default(),
        echoed: session.echoed.clone(),
        urls: session.urls.clone(),
    });
    if status != StubStatus::Pending {
        merchant.set_status(books, &id, status);
    }
    Some(session)
}
