//! A payment provider that gives scripted responses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Secret;
use billing::Books;
use billing::channel::PaymentChannel;
use billing::midtrans::{MidtransClient, MidtransSettings, ProviderEndpoint};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::shop::Shop;

/// A response for each request whose method and path contain a text, with its status of HTTP. The newest one applies.
type Script = Arc<Mutex<Vec<(String, u16, Value)>>>;

/// A provider, and books that use it.
pub(crate) struct Provider {
    pub(crate) books: Books,
    script: Script,
    requests: Arc<Mutex<Vec<String>>>,
    _server: JoinSet<()>,
}

impl Provider {
    pub(crate) async fn start(shop: &Shop) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = || ProviderEndpoint {
            has_tls: false,
            host: address.ip().to_string(),
            port: address.port(),
            authority: address.to_string(),
            path: String::new(),
        };
        let client = MidtransClient::new(MidtransSettings {
            core: endpoint(),
            snap: endpoint(),
            server_key: Secret::new("SB-Mid-server-test".to_owned()),
            merchant_id: String::new(),
            channels: PaymentChannel::ALL.to_vec(),
            qris_expiry: Duration::from_mins(15),
            va_expiry: Duration::from_hours(24),
            card_expiry: Duration::from_hours(1),
        });
        let books = Books::new(shop.store().clone(), shop.books.settings().clone(), Some(Arc::new(client)));
        let script = Script::default();
        let requests = Arc::new(Mutex::default());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&script), Arc::clone(&requests)));
        Self { books, script, requests, _server: server }
    }

    /// Sets the response to requests whose method and path contain `path`.
    pub(crate) fn respond(&self, path: &str, status: u16, body: Value) {
        self.script.lock().unwrap().push((path.to_owned(), status, body));
    }

    /// The number of requests whose method and path contain `path`.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|request| request.contains(path)).count()
    }
}

/// The status of an order of 150,000 rupiah.
pub(crate) fn status(order: &str, status: &str, code: &str) -> Value {
    json!({"status_code": code, "transaction_status": status, "transaction_id": format!("t-{order}"), "order_id": order,
        "gross_amount": "150000.00", "currency": "IDR"})
}

async fn serve(listener: TcpListener, script: Script, requests: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let response = |request: &str| {
            requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.to_owned());
            let script = script.lock().unwrap_or_else(PoisonError::into_inner);
            let found = script.iter().rev().find(|(path, ..)| request.contains(path));
            found.map_or((404, json!({"status_code": "404"})), |(_, status, body)| (*status, body.clone()))
        };
        respond(stream, response).await;
    }
}

/// Reads one request and writes its response. The client closes the connection.
async fn respond(mut stream: TcpStream, response: impl Fn(&str) -> (u16, Value)) {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.unwrap();
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read);
        let head = text.split_once("\r\n\r\n");
        let length = |head: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            line.map_or(0, |length| length.parse::<usize>().unwrap())
        };
        if count == 0 || head.is_some_and(|(head, body)| body.len() >= length(head)) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&read);
    let (status, body) = response(text.lines().next().unwrap_or_default());
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {}", body.len());
    stream.write_all(format!("{head}\r\nconnection: close\r\n\r\n{body}").as_bytes()).await.unwrap();
}
