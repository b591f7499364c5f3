//! The stub of Midtrans: charges, statuses, notifications with their retries, pages and faults.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::wire::{RunningMock, start_midtrans};

/// The credential `SB-Mid-server-test:` in base64.
const KEY: (&str, &str) = ("authorization", "Basic U0ItTWlkLXNlcnZlci10ZXN0Og==");

/// A receiver of notifications with the given statuses, the last of which is repeated.
struct Receiver {
    url: String,
    bodies: mpsc::Receiver<Value>,
    _task: JoinSet<()>,
}

async fn receiver(statuses: &'static [u16]) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/midtrans/notification", listener.local_addr().unwrap());
    let (sent, bodies) = mpsc::channel(100);
    let mut task = JoinSet::new();
    task.spawn(async move {
        for nth in 0.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let body = loop {
                let mut piece = [0; 4096];
                let count = socket.read(&mut piece).await.unwrap();
                bytes.extend(&piece[..count]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some(body) = text.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok()) {
                    assert!(text.to_ascii_lowercase().contains("user-agent: veritrans"), "{text}");
                    break body;
                }
            };
            let status = statuses.get(nth).or(statuses.last()).copied().unwrap_or(200);
            let response = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
            socket.write_all(response.as_bytes()).await.unwrap();
            if sent.send(body).await.is_err() {
                return;
            }
        }
    });
    Receiver { url, bodies, _task: task }
}

fn charge(order: &str, amount: i64, method: &Value) -> String {
    let mut body = json!({"transaction_details": {"order_id": order, "gross_amount": amount}});
    body.as_object_mut().unwrap().extend(method.as_object().unwrap().clone());
    body.to_string()
}

fn qris(order: &str, amount: i64) -> String {
    charge(order, amount, &json!({"payment_type": "qris", "qris": {"acquirer": "gopay"}}))
}

async fn send(stub: &RunningMock, line: &str, body: &str) -> Value {
    stub.with(line, &[KEY], body.as_bytes()).await.json()
}

#[tokio::test]
async fn a_qr_code_is_paid_and_refunded() {
    let mut receiver = receiver(&[200]).await;
    let stub = start_midtrans(Some(receiver.url.clone())).await;
    let made = send(&stub, "POST /v2/charge", &qris("TG-1", 166_500)).await;
    assert_eq!((&made["status_code"], &made["transaction_status"]), (&json!("201"), &json!("pending")));
    assert_eq!((&made["gross_amount"], &made["fraud_status"]), (&json!("166500.00"), &json!("accept")));
    assert!(made["qr_string"].as_str().unwrap().contains("166500"));
    assert_eq!(receiver.bodies.recv().await.unwrap()["transaction_status"], "pending");
    let paid = send(&stub, "POST /_stub/pay/TG-1", "").await;
    assert_eq!(paid["transaction_status"], "settlement");
    let notified = receiver.bodies.recv().await.unwrap();
    assert_eq!((&notified["transaction_status"], &notified["status_code"]), (&json!("settlement"), &json!("200")));
    assert_eq!(notified["signature_key"].as_str().unwrap().len(), 128);
    let id = made["transaction_id"].as_str().unwrap();
    let status = send(&stub, &format!("GET /v2/{id}/status"), "").await;
    assert_eq!((&status["status_code"], &status["order_id"]), (&json!("200"), &json!("TG-1")));
    assert_eq!(send(&stub, "POST /v2/TG-1/cancel", "").await["status_code"], "412");
    let refund = |key: &str, amount: i64| json!({"refund_key": key, "amount": amount, "reason": "r"}).to_string();
    for (key, amount, code) in [("a", 166_501, "414"), ("a", 66_500, "200"), ("a", 1, "406"), ("b", 100_000, "200")] {
        let refunded = send(&stub, "POST /v2/TG-1/refund", &refund(key, amount)).await;
        assert_eq!(refunded["status_code"], code, "{key} {amount}");
    }
    let last = [receiver.bodies.recv().await.unwrap(), receiver.bodies.recv().await.unwrap()];
    assert_eq!(last[0]["refunds"][0]["bank_confirmed_at"], Value::Null);
    assert_ne!(last[1]["refunds"][0]["bank_confirmed_at"], Value::Null);
    assert_eq!(send(&stub, "GET /v2/TG-1/status", "").await["refund_amount"], "166500.00");
}

#[tokio::test]
async fn invalid_charges_are_refused() {
    let stub = start_midtrans(None).await;
    assert_eq!(stub.post("/v2/charge", &qris("TG-1", 5_000)).await.json()["status_code"], "401");
    let items =
        |price: i64| json!({"payment_type": "qris", "item_details": [{"name": "a", "price": price, "quantity": 1}]});
    for (body, code) in [
        ("{".to_owned(), "413"),
        (charge("TG 1", 5_000, &json!({"payment_type": "qris"})), "400"),
        (charge(&"a".repeat(51), 5_000, &json!({"payment_type": "qris"})), "400"),
        (qris("TG-1", 10_000_001), "400"),
        (qris("TG-1", 0), "400"),
        (charge("TG-1", 5_000, &json!({"payment_type": "bank_transfer", "bank_transfer": {"bank": "bca"}})), "400"),
        (charge("TG-1", 5_000, &json!({"payment_type": "crypto"})), "402"),
        (charge("TG-1", 20_000, &json!({"payment_type": "credit_card", "credit_card": {"token_id": "x"}})), "411"),
        (charge("TG-1", 5_000, &json!({"payment_type": "echannel"})), "400"),
        (charge("TG-1", 5_000, &items(4_999)), "400"),
        (charge("TG-1", 5_000, &items(5_000)), "201"),
        (qris("TG-1", 5_000), "406"),
    ] {
        assert_eq!(send(&stub, "POST /v2/charge", &body).await["status_code"], code, "{body}");
    }
    let decimal = r#"{"payment_type":"qris","transaction_details":{"order_id":"TG-2","gross_amount":10.5}}"#;
    assert_eq!(send(&stub, "POST /v2/charge", decimal).await["status_code"], "400");
    assert_eq!(send(&stub, "GET /v2/TG-9/status", "").await["status_code"], "404");
    send(&stub, "POST /_stub/settings", r#"{"true_http_codes":true}"#).await;
    assert_eq!(stub.with("GET /v2/TG-9/status", &[KEY], b"").await.status, 404);
}

#[tokio::test]
async fn each_bank_has_its_fields() {
    let stub = start_midtrans(None).await;
    let transfer = |bank: &str| json!({"payment_type": "bank_transfer", "bank_transfer": {"bank": bank}});
    let bill = json!({"payment_type": "echannel", "echannel": {"bill_info1": "Payment:", "bill_info2": "x"}});
    for (order, method, field) in [
        ("TG-1", transfer("bca"), "/va_numbers/0/va_number"),
        ("TG-2", transfer("bni"), "/va_numbers/0/va_number"),
        ("TG-3", transfer("permata"), "/permata_va_number"),
        ("TG-4", bill, "/bill_key"),
    ] {
        let made = send(&stub, "POST /v2/charge", &charge(order, 20_000, &method)).await;
        assert!(made.pointer(field).is_some_and(Value::is_string), "{order} {made}");
        assert_eq!(send(&stub, &format!("POST /v2/{order}/expire"), "").await["status_code"], "407");
    }
    send(&stub, "POST /v2/charge", &charge("TG-5", 20_000, &transfer("permata"))).await;
    send(&stub, "POST /_stub/pay/TG-5", "").await;
    assert_eq!(send(&stub, "POST /v2/TG-5/refund", "{}").await["status_code"], "412");
    let reversed = send(&stub, "POST /_stub/reversal/TG-5", "").await;
    assert_eq!(reversed["transaction_status"], "deny");
}

#[tokio::test]
async fn a_repeated_key_repeats_the_response() {
    let stub = start_midtrans(None).await;
    let key = [KEY, ("idempotency-key", "TG-1-charge")];
    let first = stub.with("POST /v2/charge", &key, qris("TG-1", 5_000).as_bytes()).await.json();
    let again = stub.with("POST /v2/charge", &key, qris("TG-2", 7_000).as_bytes()).await.json();
    assert_eq!(again["transaction_id"], first["transaction_id"]);
    send(&stub, "POST /_stub/clock", r#"{"seconds":301}"#).await;
    let later = stub.with("POST /v2/charge", &key, qris("TG-2", 7_000).as_bytes()).await.json();
    assert_eq!(later["order_id"], "TG-2");
    send(&stub, "POST /_stub/faults", r#"{"kind":"lost_response"}"#).await;
    let key = [KEY, ("idempotency-key", "TG-3-charge")];
    let lost = stub.with("POST /v2/charge", &key, qris("TG-3", 5_000).as_bytes()).await;
    assert_eq!(lost.status, 500);
    let again = stub.with("POST /v2/charge", &key, qris("TG-3", 5_000).as_bytes()).await.json();
    assert_eq!(again["order_id"], "TG-3");
}

#[tokio::test]
async fn a_refused_notification_is_sent_again_on_the_clock_of_the_stub() {
    let mut receiver = receiver(&[500, 200]).await;
    let stub = start_midtrans(Some(receiver.url.clone())).await;
    send(&stub, "POST /v2/charge", &qris("TG-1", 5_000)).await;
    let first = receiver.bodies.recv().await.unwrap();
    loop {
        send(&stub, "POST /_stub/clock", r#"{"seconds":60}"#).await;
        if let Ok(again) = receiver.bodies.try_recv() {
            assert_eq!(again, first);
            break;
        }
    }
    for kind in ["bad_signature", "altered_status", "unknown_fields", "uppercase_status"] {
        send(&stub, "POST /_stub/faults", &json!({"kind": kind}).to_string()).await;
        send(&stub, "POST /_stub/resend/TG-1", "").await;
        let faulty = receiver.bodies.recv().await.unwrap();
        assert_ne!(faulty, first, "{kind}");
        assert_eq!(faulty["signature_key"] == first["signature_key"], kind != "bad_signature", "{kind}");
    }
}

#[tokio::test]
async fn snap_has_a_page_and_no_order_before_a_choice() {
    let stub = start_midtrans(None).await;
    let made = stub.with("POST /snap/v1/transactions", &[KEY], charge("TG-1", 20_000, &json!({})).as_bytes()).await;
    assert_eq!(made.status, 201);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    assert_eq!(send(&stub, "GET /v2/TG-1/status", "").await["status_code"], "404");
    let page = format!("/snap/v3/redirection/{token}");
    assert!(stub.send("GET", &page, "").await.body().contains("value=\"pay\""));
    stub.send("POST", &page, "action=deny").await;
    let denied = send(&stub, "GET /v2/TG-1/status", "").await;
    stub.send("POST", &page, "action=pay").await;
    let paid = send(&stub, "GET /v2/TG-1/status", "").await;
    assert_eq!((&denied["transaction_status"], &paid["transaction_status"]), (&json!("deny"), &json!("capture")));
    assert_ne!(denied["transaction_id"], paid["transaction_id"]);
    stub.send("POST", &page, "action=secure").await;
    assert_eq!(send(&stub, "GET /v2/TG-1/status", "").await["transaction_id"], paid["transaction_id"], "it is paid");
    let refused = stub.with("POST /snap/v1/transactions", &[], b"{}").await;
    assert_eq!((refused.status, refused.json()["error_messages"].is_array()), (401, true));
}

#[tokio::test]
async fn a_card_waits_for_the_password_of_3_d_secure() {
    let stub = start_midtrans(None).await;
    let body = charge("TG-1", 20_000, &json!({"callbacks": {"finish": "http://shop/done"}}));
    let made = stub.with("POST /snap/v1/transactions", &[KEY], body.as_bytes()).await.json();
    let page = format!("/snap/v3/redirection/{}", made["token"].as_str().unwrap());
    for (password, status) in [("000000", "deny"), ("112233", "capture")] {
        let asked = stub.send("POST", &page, "action=secure").await.body();
        let (_, path) = asked.split_once("action=\"").unwrap();
        let path = path.split_once('"').unwrap().0.to_owned();
        assert_eq!(send(&stub, "GET /v2/TG-1/status", "").await["transaction_status"], "pending");
        let answered = stub.send("POST", &path, &format!("otp={password}")).await;
        assert_eq!(answered.status, 303, "the customer returns to the shop");
        assert_eq!(send(&stub, "GET /v2/TG-1/status", "").await["transaction_status"], status);
    }
}

#[tokio::test]
async fn cards_have_the_results_of_the_documents() {
    let stub = start_midtrans(None).await;
    for (order, number, status) in [
        ("TG-1", "4811111111111114", "pending"),
        ("TG-2", "4911111111111113", "deny"),
        ("TG-3", "4411111111111118", "capture"),
        ("TG-4", "4611111111111116", "deny"),
    ] {
        let query =
            format!("/v2/token?client_key=c&card_number={number}&card_cvv=123&card_exp_month=1&card_exp_year=2030");
        let token = stub.send("GET", &query, "").await.json()["token_id"].as_str().unwrap().to_owned();
        let card = json!({"payment_type": "credit_card", "credit_card": {"token_id": token, "authentication": true}});
        let made = send(&stub, "POST /v2/charge", &charge(order, 20_000, &card)).await;
        assert_eq!(made["transaction_status"], status, "{order}");
        assert!(!made.to_string().contains(number));
        assert_eq!(
            send(&stub, "POST /v2/charge", &charge(&format!("{order}-again"), 20_000, &card)).await["status_code"],
            "411"
        );
        if let Some(url) = made["redirect_url"].as_str() {
            let path = url.strip_prefix("http://mock").unwrap();
            stub.send("POST", path, "otp=112233").await;
            assert_eq!(send(&stub, &format!("GET /v2/{order}/status"), "").await["transaction_status"], "capture");
        }
    }
}
