//! The sender of notifications: the signature, the retries of Midtrans, and injected faults.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::delivery::Delivery;
use super::fault::StubFault;
use super::merchant::{Books, Merchant};
use super::transaction::Transaction;

/// The maximum number of notifications that wait; further ones are dropped.
const WAITING_MAX: usize = 100_000;
/// The maximum number of sent notifications that `/_stub/notifications` lists.
const SENT_MAX: usize = 10_000;
/// Pauses before each retry (documents of April 2026).
const PAUSES: [Duration; 5] = [
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_mins(30),
    Duration::from_mins(90),
    Duration::from_mins(210),
];
const WITHIN: Duration = Duration::from_secs(15);
const REDIRECTS_MAX: usize = 5;
/// How long the sender sleeps if no notification is due: tests advance the clock of the stub at any time.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Merchant {
    /// Queues the notification of a transaction's present status.
    pub(super) fn notify(&self, books: &mut Books, of: &Transaction) {
        let fault = books.take_fault(StubFault::is_of_notifications);
        if fault == Some(StubFault::Drop) {
            return;
        }
        let urls = if of.urls.instead.is_empty() {
            books.notification_url.iter().chain(&of.urls.besides).cloned().collect()
        } else {
            of.urls.instead.clone()
        };
        let body = Bytes::from(self.notification(of, fault).to_string());
        let due = self.now(books);
        let due = if fault == Some(StubFault::Delay) { due.after(Duration::from_secs(90)) } else { due };
        let copies = if fault == Some(StubFault::Duplicate) { 2 } else { 1 };
        for url in urls {
            for _ in 0..copies {
                if books.deliveries.len() < WAITING_MAX {
                    books.deliveries.push(Delivery { due, url: url.clone(), body: body.clone(), failed: 0 });
                }
            }
        }
        self.wake.notify_one();
    }

    /// Returns the body with its signature.
    pub(super) fn notification(&self, of: &Transaction, fault: Option<StubFault>) -> Value {
        let code = of.status.code();
        let amount = of.gross_amount();
        let key = if fault == Some(StubFault::BadSignature) { "another-key" } else { &self.server_key };
        let mut body = Map::new();
        body.insert("status_code".to_owned(), json!(code));
        body.insert("status_message".to_owned(), json!("midtrans payment notification"));
        body.insert("signature_key".to_owned(), json!(signature(&[&of.order_id, code, &amount, key])));
        body.extend(of.body(&self.merchant_id));
        let status = of.status.as_str();
        match fault {
            Some(StubFault::AlteredStatus) => {
                let altered = if status == "pending" { "settlement" } else { "pending" };
                body.insert("transaction_status".to_owned(), json!(altered));
            }
            Some(StubFault::UppercaseStatus) => {
                body.insert("transaction_status".to_owned(), json!(status.to_ascii_uppercase()));
            }
            Some(StubFault::MissingFraud) => drop(body.remove("fraud_status")),
            Some(StubFault::UnknownFields) => {
                body.insert("field_of_next_year".to_owned(), json!({"points": 12, "list": [1, "two", null]}));
            }
            _ => {}
        }
        Value::Object(body)
    }
}

/// Returns the lowercase hex digits of SHA-512 over the joined parts.
fn signature(parts: &[&str]) -> String {
    let mut hash = Sha512::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sends due notifications, one after the other, until it is dropped.
pub(super) async fn send(merchant: Arc<Merchant>) {
    loop {
        let due = {
            let mut books = merchant.books();
            merchant.expire_overdue(&mut books);
            let now = merchant.now(&books);
            let at = books.deliveries.iter().position(|delivery| delivery.due <= now);
            at.map(|at| books.deliveries.remove(at))
        };
        let Some(delivery) = due else {
            drop(timeout(LOOK_AGAIN, merchant.wake.notified()).await);
            continue;
        };
        let status = timeout(WITHIN, post(&delivery)).await.ok().flatten();
        let mut books = merchant.books();
        record(&mut books, &delivery, status);
        let attempts = attempts(status);
        if delivery.failed < attempts
            && let Some(pause) = PAUSES.get(delivery.failed)
        {
            let due = merchant.now(&books).after(*pause);
            books.deliveries.push(Delivery { due, failed: delivery.failed + 1, ..delivery });
        }
    }
}

fn record(books: &mut Books, delivery: &Delivery, status: Option<StatusCode>) {
    if books.sent.len() >= SENT_MAX {
        books.sent.pop_front();
    }
    let body: Value = serde_json::from_slice(&delivery.body).unwrap_or(Value::Null);
    books.sent.push_back(json!({"url": delivery.url, "body": body, "status": status.map(|status| status.as_u16()),
        "failed": delivery.failed}));
}

/// Number of retries after a response.
fn attempts(status: Option<StatusCode>) -> usize {
    match status.map(|status| status.as_u16()) {
        Some(200..=299 | 301..=303) => 0,
        Some(500) => 1,
        Some(503) => 4,
        Some(400 | 404) => 2,
        _ => 5,
    }
}

/// Sends one notification. It follows 307 and 308 as Midtrans does.
async fn post(delivery: &Delivery) -> Option<StatusCode> {
    let mut url = delivery.url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let (status, location) = post_to(&url, &delivery.body).await?;
        match (status, location) {
            (StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT, Some(next)) => url = next,
            (status, _) => return Some(status),
        }
    }
    None
}

async fn post_to(url: &str, body: &Bytes) -> Option<(StatusCode, Option<String>)> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?.clone();
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::post(path)
        .header(header::HOST, authority.as_str())
        .header(header::USER_AGENT, "Veritrans")
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .body(Full::new(body.clone()))
        .ok()?;
    let response = sender.send_request(request);
    tokio::pin!(response, connection);
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        _ = &mut connection => response.await,
    };
    let response = response.ok()?;
    let location = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Some((response.status(), location))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_documents() {
        let of = ["1111", "200", "100000.00", "askvnoibnosifnboseofinbofinfgbiufglnbfg"];
        let expected = "edc076b21793ebe3e17926350f5b8ae67d902fe657b3d0aa31b932d5c127e2375d308a2bc94f3265ac2d80a1f181a79b997ac178a236fcff35af263fc4d4c231";
        assert_eq!(signature(&of), expected);
    }

    #[test]
    fn the_number_of_retries_depends_on_the_response() {
        let of = |code: u16| attempts(StatusCode::from_u16(code).ok());
        assert_eq!([200, 301, 400, 404, 500, 503, 403].map(of), [0, 0, 2, 2, 1, 4, 5]);
        assert_eq!(attempts(None), 5);
    }
}
