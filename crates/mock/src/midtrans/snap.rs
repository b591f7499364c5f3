//! Snap: a session with a page, on which the customer chooses a method.

use serde_json::{Value, json};

use super::charge::{self, OrderedAmount, StubRefusal};
use super::merchant::{Books, Merchant};
use super::session::SnapSession;
use super::transaction::{NotificationUrls, StubStatus, Transaction};

/// How long a session lasts. Its end sends no notification.
const PAGE_LASTS: std::time::Duration = std::time::Duration::from_hours(24);

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
    let until = merchant.now(books).after(PAGE_LASTS);
    let echoed = charge::echoed(body);
    let session = SnapSession { order_id, amount, finish, until, is_closed: false, echoed, urls };
    books.sessions.insert(token.clone(), session);
    Ok(token)
}

/// Closes a session before a method was chosen.
pub(super) fn close(books: &mut Books, token: &str) -> bool {
    books.sessions.get_mut(token).map(|session| session.is_closed = true).is_some()
}

/// Records the customer's choice on the page: each choice is another transaction.
pub(super) fn choose(merchant: &Merchant, books: &mut Books, token: &str, action: &str) -> Option<SnapSession> {
    let now = merchant.now(books);
    let session = books.sessions.get(token).filter(|session| session.is_open(now)).cloned()?;
    let status = match action {
        "pay" => StubStatus::Capture,
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
    merchant.set_status(books, &id, status);
    Some(session)
}
