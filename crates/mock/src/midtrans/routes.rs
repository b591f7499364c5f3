//! The path of a request: authentication, the endpoint, and the form of the response.

use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::charge::{self, StubRefusal};
use super::fault::StubFault;
use super::merchant::Merchant;
use super::transaction::{NotificationUrls, StubStatus};
use super::{control, lifecycle, pages, snap};

const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Longer keys are ignored, without an error.
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 46;
const HANG: Duration = Duration::from_mins(1);
const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";

type StubResponse = Response<Full<Bytes>>;

/// Responds to one request.
pub(super) async fn respond(merchant: &Merchant, request: Request<Incoming>) -> StubResponse {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return core(merchant, Err(StubRefusal::new(413, "The request body is too large")));
    };
    let body = body.to_bytes();
    let path = parts.uri.path().to_owned();
    if let Some(page) = page(merchant, &parts, &path, &body) {
        return page;
    }
    let parsed: Result<Value, _> = if body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&body) };
    if let Some(rest) = path.strip_prefix("/_stub/") {
        let body = parsed.unwrap_or(Value::Null);
        let result = control::respond(merchant, parts.method.as_str(), rest, &body);
        return control_response(merchant, result);
    }
    let is_snap = path.starts_with("/snap/");
    if path == "/v2/token" {
        return core(merchant, token(merchant, parts.uri.query().unwrap_or_default()));
    }
    if !is_authorized(merchant, &parts.headers) {
        return unauthorized(merchant, is_snap);
    }
    let Ok(body) = parsed else {
        return core(merchant, Err(StubRefusal::new(413, "The request body is not valid JSON")));
    };
    if is_snap {
        snap_response(merchant, &parts, &path, &body)
    } else {
        core_response(merchant, &parts, &path, &body).await
    }
}

fn is_authorized(merchant: &Merchant, headers: &HeaderMap) -> bool {
    let expected = format!("Basic {}", base64(format!("{}:", merchant.server_key).as_bytes()));
    headers.get(header::AUTHORIZATION).is_some_and(|value| value.as_bytes() == expected.as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| char::from(DIGITS.get((bits & 63) as usize).copied().unwrap_or(b'='));
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let byte = |nth: usize| u32::from(group.get(nth).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        text.extend([digit(bits >> 18), digit(bits >> 12)]);
        text.push(if group.len() > 1 { digit(bits >> 6) } else { '=' });
        text.push(if group.len() > 2 { digit(bits) } else { '=' });
    }
    text
}

async fn core_response(merchant: &Merchant, parts: &Parts, path: &str, body: &Value) -> StubResponse {
    let mut segments = path.trim_start_matches('/').split('/').skip(1);
    let first = segments.next().unwrap_or_default();
    let action = segments.next();
    if !path.starts_with("/v2/") {
        return core(merchant, Err(StubRefusal::new(404, "The requested resource is not found")));
    }
    if (&parts.method, first, action) == (&Method::POST, "charge", None) {
        return charge_response(merchant, parts, body).await;
    }
    let mut books = merchant.books();
    merchant.expire_overdue(&mut books);
    let result = match (parts.method.as_str(), action) {
        ("GET", Some("status")) => lifecycle::status(merchant, &books, first),
        ("POST", Some("cancel")) => lifecycle::cancel(merchant, &mut books, first),
        ("POST", Some("expire")) => lifecycle::expire(merchant, &mut books, first),
        ("POST", Some("refund")) => lifecycle::refund(merchant, &mut books, first, body),
        _ => Err(StubRefusal::new(404, "The requested resource is not found")),
    };
    drop(books);
    core(merchant, result)
}

/// `POST /v2/charge`: injected faults, the stored response of an `Idempotency-Key`, and the charge.
async fn charge_response(merchant: &Merchant, parts: &Parts, body: &Value) -> StubResponse {
    let key = idempotency_key(&parts.headers, body);
    let (fault, stored) = {
        let mut books = merchant.books();
        merchant.expire_overdue(&mut books);
        let now = merchant.now(&books);
        let stored = key.as_ref().and_then(|key| books.repeated(key, now));
        let fault = if stored.is_none() { books.take_fault(|fault| !fault.is_of_notifications()) } else { None };
        (fault, stored)
    };
    if let Some(stored) = stored {
        return match stored.body {
            Some(body) => core(merchant, Ok(body)),
            None => json_response(StatusCode::ACCEPTED, &json!({"status_code": "202"})),
        };
    }
    if fault == Some(StubFault::RateLimit) {
        merchant.books().finish(key.as_deref().unwrap_or_default(), None);
        return json_response(
            StatusCode::TOO_MANY_REQUESTS,
            &json!({"status_code": "429", "status_message": "Too many requests"}),
        );
    }
    let mut result = {
        let mut books = merchant.books();
        let made = charge::charge(merchant, &mut books, body, urls(&parts.headers));
        let result = made.map(|of| {
            let (code, message) = match (of.status, of.payment_type.as_str()) {
                (StubStatus::Pending, "qris") => ("201", "QRIS transaction is created"),
                (StubStatus::Pending, "echannel") => ("201", "OK, Mandiri Bill transaction is successful"),
                (StubStatus::Pending, "credit_card") => ("201", "Success, Credit Card transaction is successful"),
                (StubStatus::Pending, _) => ("201", "Success, Bank Transfer transaction is created"),
                (StubStatus::Deny, _) => ("202", "Deny by Bank [BNI] with code [05] and message [Do not honour]"),
                _ => ("200", "Success, Credit Card transaction is successful"),
            };
            lifecycle::described(merchant, &of, code, message)
        });
        books.finish(key.as_deref().unwrap_or_default(), result.as_ref().ok().cloned());
        result
    };
    if let Ok(body) = &mut result {
        add_links(body, &parts.headers);
    }
    match fault {
        Some(StubFault::LostResponse) => {
            json_response(StatusCode::INTERNAL_SERVER_ERROR, &json!({"status_code": "500"}))
        }
        Some(StubFault::Hang) => {
            tokio::time::sleep(HANG).await;
            core(merchant, result)
        }
        _ => core(merchant, result),
    }
}

/// Adds the URLs of the picture of a QR code and of 3-D Secure.
fn add_links(body: &mut Value, headers: &HeaderMap) {
    let base = base_url(headers);
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let id = text("transaction_id");
    let kind = text("payment_type");
    let status = text("transaction_status");
    let Some(fields) = body.as_object_mut() else { return };
    if kind == "qris" {
        let url = format!("{base}/v2/qris/{id}/qr-code");
        fields.insert("actions".to_owned(), json!([{"name": "generate-qr-code", "method": "GET", "url": url}]));
    }
    if kind == "credit_card" && status == "pending" {
        fields.insert("redirect_url".to_owned(), json!(format!("{base}/v2/3ds/{id}")));
    }
}

fn idempotency_key(headers: &HeaderMap, body: &Value) -> Option<String> {
    let of = |outer: &str, inner: &str| body.get(outer).and_then(|of| of.get(inner)).and_then(Value::as_str);
    let kind = body.get("payment_type").and_then(Value::as_str);
    let is_unsupported = kind == Some("permata")
        || of("bank_transfer", "bank") == Some("permata")
        || of("cstore", "store") == Some("indomaret");
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    (!is_unsupported && key.len() <= IDEMPOTENCY_KEY_BYTES_MAX).then(|| key.to_owned())
}

fn urls(headers: &HeaderMap) -> NotificationUrls {
    let list = |name: &str| -> Vec<String> {
        let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(',').map(str::trim).filter(|url| !url.is_empty()).take(2).map(str::to_owned).collect()
    };
    NotificationUrls { instead: list("x-override-notification"), besides: list("x-append-notification") }
}

fn snap_response(merchant: &Merchant, parts: &Parts, path: &str, body: &Value) -> StubResponse {
    let errors = |code: u16, messages: &[String]| {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json_response(status, &json!({"error_messages": messages}))
    };
    let rest = path.strip_prefix("/snap/v1/transactions").unwrap_or("/unknown");
    let mut books = merchant.books();
    match (parts.method.as_str(), rest) {
        ("POST", "") => match snap::create(merchant, &mut books, body, urls(&parts.headers)) {
            Ok(token) => {
                let url = format!("{}/snap/v3/redirection/{token}", base_url(&parts.headers));
                json_response(StatusCode::CREATED, &json!({"token": token, "redirect_url": url}))
            }
            Err(refusal) if refusal.violations.is_empty() => errors(refusal.code, &[refusal.message]),
            Err(refusal) => errors(refusal.code, &refusal.violations),
        },
        ("POST", rest) => {
            let token = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
            if snap::close(&mut books, token) {
                json_response(StatusCode::OK, &json!({}))
            } else {
                errors(404, &["Session is not found".to_owned()])
            }
        }
        _ => errors(404, &["Resource is not found".to_owned()]),
    }
}

/// Pages of customers; `None` for other paths.
fn page(merchant: &Merchant, parts: &Parts, path: &str, body: &Bytes) -> Option<StubResponse> {
    let form = std::str::from_utf8(body).unwrap_or_default();
    let is_post = parts.method == Method::POST;
    if let Some(token) = path.strip_prefix("/snap/v3/redirection/") {
        let mut books = merchant.books();
        let now = merchant.now(&books);
        let open = books.sessions.get(token).filter(|session| session.is_open(now)).cloned();
        let Some(session) = open else {
            return Some(html(StatusCode::NOT_FOUND, pages::finished("The session has expired.")));
        };
        if !is_post {
            return Some(html(StatusCode::OK, pages::snap(token, &session)));
        }
        let action = pages::field(form, "action").unwrap_or("close");
        snap::choose(merchant, &mut books, token, action);
        let waiting = books.find(&session.order_id).filter(|of| action == "secure" && of.status == StubStatus::Pending);
        if let Some(of) = waiting {
            return Some(html(StatusCode::OK, pages::three_d_secure(of)));
        }
        return Some(finish(session.finish.as_deref(), action));
    }
    if let Some(id) = path.strip_prefix("/v2/3ds/") {
        let mut books = merchant.books();
        let of = books.find(id).filter(|of| of.status == StubStatus::Pending).cloned();
        let Some(of) = of else {
            return Some(html(StatusCode::NOT_FOUND, pages::finished("The transaction is over.")));
        };
        if !is_post {
            return Some(html(StatusCode::OK, pages::three_d_secure(&of)));
        }
        let is_right = pages::field(form, "otp") == Some("112233");
        merchant.set_status(&mut books, &of.id, if is_right { StubStatus::Capture } else { StubStatus::Deny });
        let url = snap::finish_url(&books, &of.order_id);
        return Some(finish(url.as_deref(), if is_right { "paid" } else { "denied" }));
    }
    None
}

fn finish(url: Option<&str>, action: &str) -> StubResponse {
    let mut response = html(StatusCode::OK, pages::finished(&format!("Done: {action}.")));
    if let Some(location) = url.and_then(|url| url.parse().ok()) {
        *response.status_mut() = StatusCode::SEE_OTHER;
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// `GET /v2/token`, which browsers call: the one endpoint that receives a card number.
fn token(merchant: &Merchant, query: &str) -> Result<Value, StubRefusal> {
    let number = pages::field(query, "card_number").unwrap_or_default();
    let is_number = number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || pages::field(query, "card_cvv") != Some("123") || pages::field(query, "client_key").is_none() {
        return Err(StubRefusal::invalid("card_number, card_cvv or client_key is invalid"));
    }
    let mut books = merchant.books();
    if !books.has_room() {
        return Err(StubRefusal::new(429, "Too many tokens"));
    }
    let first = number.get(..8).unwrap_or_default();
    let last = number.get(12..).unwrap_or_default();
    let id = format!("{first}-{last}-{}", merchant.new_id());
    books.cards.insert(id.clone(), number.to_owned());
    Ok(json!({"status_code": "200", "status_message": "Credit card token is created as Token ID.", "token_id": id,
        "hash": format!("{first}-{last}")}))
}

fn base_url(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("127.0.0.1");
    format!("http://{host}")
}

fn unauthorized(merchant: &Merchant, is_snap: bool) -> StubResponse {
    if is_snap {
        let message = "Access denied due to unauthorized transaction, please check client or server key";
        return json_response(StatusCode::UNAUTHORIZED, &json!({"error_messages": [message]}));
    }
    let message = "Transaction cannot be authorized with the current client/server key.";
    core(merchant, Err(StubRefusal::new(401, message)))
}

/// A response of Core: the status of HTTP is 200, unless the stub is set to true codes.
fn core(merchant: &Merchant, result: Result<Value, StubRefusal>) -> StubResponse {
    let body = result.unwrap_or_else(|refusal| {
        let mut body = json!({"status_code": refusal.code.to_string(), "status_message": refusal.message,
            "id": merchant.new_id()});
        if !refusal.violations.is_empty()
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert("validation_messages".to_owned(), json!(refusal.violations));
        }
        body
    });
    let code = body.get("status_code").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let status = if merchant.books().has_true_codes { code } else { None };
    json_response(status.and_then(|code| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK), &body)
}

fn control_response(merchant: &Merchant, result: Option<Result<Value, StubRefusal>>) -> StubResponse {
    match result {
        Some(Ok(body)) => json_response(StatusCode::OK, &body),
        Some(Err(refusal)) => {
            let status = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::BAD_REQUEST);
            json_response(status, &json!({"message": refusal.message, "violations": refusal.violations}))
        }
        None => core(merchant, Err(StubRefusal::new(404, "The requested resource is not found"))),
    }
}

fn json_response(status: StatusCode, body: &Value) -> StubResponse {
    typed(status, JSON, body.to_string())
}

fn html(status: StatusCode, body: String) -> StubResponse {
    typed(status, HTML, body)
}

fn typed(status: StatusCode, kind: &'static str, body: String) -> StubResponse {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn credentials_are_encoded_with_padding() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("SB-Mid:", "U0ItTWlkOg==")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
