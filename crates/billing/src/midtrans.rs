//! The client of Midtrans: charges, the status of a payment, and the signature of a notification.
//!
//! No status of a notification is believed: [`MidtransClient::status`] requests it. No card number reaches this program:
//! cards are paid on Snap's page.

mod endpoint;
mod exchange;
mod notification;
mod request;
mod response;
mod transaction_id;

use std::sync::Arc;
use std::time::Duration;

use access::Secret;
use http::Method;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

pub use endpoint::ProviderEndpoint;
pub use exchange::MidtransError;
pub(crate) use notification::hex;
pub use notification::{NotificationError, ReceivedNotification};
pub use request::ChargeOrder;
pub use response::{ChargeResult, StatusReport, gross_amount};

use crate::channel::{ChannelKind, PaymentChannel};
use exchange::ProviderRequest;
use transaction_id::is_id;

/// The maximum number of concurrent requests to Midtrans.
const AT_ONCE: usize = 16;
/// The maximum duration of a request, from the wait for its turn to the last byte.
const WITHIN: Duration = Duration::from_secs(10);
/// The pause before the one retry of a charge whose result is unknown. The key of the request makes it safe.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// The account at Midtrans.
#[derive(Debug, Clone)]
pub struct MidtransSettings {
    /// The URL of the Core API.
    pub core: ProviderEndpoint,
    /// The URL of the Snap API.
    pub snap: ProviderEndpoint,
    /// The key of requests, which also signs notifications.
    pub server_key: Secret,
    /// The merchant whose notifications are accepted; empty: any.
    pub merchant_id: String,
    /// The channels that are offered.
    pub channels: Vec<PaymentChannel>,
    /// The time in which a QR code can be paid.
    pub qris_expiry: Duration,
    /// The time in which an account number can be paid.
    pub va_expiry: Duration,
    /// The time in which the page for cards can be used.
    pub card_expiry: Duration,
}

/// A client of Midtrans, which many tasks share.
#[derive(Debug)]
pub struct MidtransClient {
    settings: MidtransSettings,
    is_stub: bool,
    tls: Arc<ClientConfig>,
    turns: Semaphore,
}

impl MidtransClient {
    /// Returns a client that trusts the usual certification authorities.
    #[must_use]
    pub fn new(settings: MidtransSettings) -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Self { settings, is_stub: false, tls: Arc::new(tls), turns: Semaphore::new(AT_ONCE) }
    }

    /// Returns a client of the stub, which takes no money.
    #[must_use]
    pub fn of_stub(settings: MidtransSettings) -> Self {
        Self { is_stub: true, ..Self::new(settings) }
    }

    /// Whether payments go to the stub.
    #[must_use]
    pub const fn is_stub(&self) -> bool {
        self.is_stub
    }

    /// Plays the customer of the stub, who pays an order. Midtrans has no such request.
    ///
    /// # Errors
    /// [`MidtransError`], such as [`MidtransError::Refused`] with 412 if the order is not pending.
    pub async fn play_customer(&self, order: &str) -> Result<(), MidtransError> {
        if !is_id(order) {
            return Err(MidtransError::Malformed("the id of the order"));
        }
        let path = format!("/_stub/pay/{order}");
        let request = ProviderRequest { method: Method::POST, path, key: None, body: None };
        self.send(&self.settings.core, &request).await.map(|_| ())
    }

    /// Returns the settings of the account.
    #[must_use]
    pub const fn settings(&self) -> &MidtransSettings {
        &self.settings
    }

    /// Returns the time in which a payment by this channel can be made.
    #[must_use]
    pub const fn expiry(&self, channel: PaymentChannel) -> Duration {
        match channel.kind() {
            ChannelKind::Qris => self.settings.qris_expiry,
            ChannelKind::VirtualAccount => self.settings.va_expiry,
            ChannelKind::Card => self.settings.card_expiry,
        }
    }

    /// Begins a payment. After a lost response or an overload, the request is repeated once with the same key; then the
    /// status of the order decides. It also decides if the order exists already: not every bank supports the key.
    ///
    /// # Errors
    /// [`MidtransError`]. Unless the error [is final](MidtransError::is_final), the order may exist, and the same
    /// charge can be sent again.
    pub async fn charge(&self, order: &ChargeOrder<'_>) -> Result<ChargeResult, MidtransError> {
        let is_card = order.channel.kind() == ChannelKind::Card;
        let endpoint = if is_card { &self.settings.snap } else { &self.settings.core };
        let request = ProviderRequest {
            method: Method::POST,
            path: if is_card { "/transactions" } else { "/v2/charge" }.to_owned(),
            key: Some(format!("{}-charge", order.order_id)),
            body: Some(order.body()),
        };
        let first = self.send(endpoint, &request).await;
        let result = match first {
            Err(error) if error.is_transient() => {
                sleep(RETRY_PAUSE).await;
                self.send(endpoint, &request).await
            }
            result => result,
        };
        match result {
            Ok(body) if is_card => ChargeResult::of_page(&body),
            Ok(body) => ChargeResult::of_charge(&body),
            Err(error) if (error.is_transient() || error.is_duplicate()) && !is_card => {
                let found = self.request_status(order.order_id).await.ok().flatten();
                found.map_or(Err(error), |body| ChargeResult::of_status(&body))
            }
            Err(error) => Err(error),
        }
    }

    /// Requests the status of an order or a transaction; `None` if the customer has not chosen a method yet.
    ///
    /// # Errors
    /// [`MidtransError`]: a later request may succeed.
    pub async fn status(&self, id: &str) -> Result<Option<StatusReport>, MidtransError> {
        self.request_status(id).await?.map(|body| StatusReport::read(&body)).transpose()
    }

    /// Returns a part of a payment to its customer. A repeat with the same key returns nothing more.
    ///
    /// # Errors
    /// [`MidtransError`]. After an error other than [`MidtransError::Refused`] and [`MidtransError::RefundDenied`], the
    /// money may have been returned.
    pub async fn refund(&self, order: &str, key: &str, amount: i64, reason: &str) -> Result<(), MidtransError> {
        if !is_id(order) {
            return Err(MidtransError::Malformed("the id of the order"));
        }
        let body = json!({"refund_key": key, "amount": amount, "reason": reason});
        let path = format!("/v2/{order}/refund");
        let request = ProviderRequest { method: Method::POST, path, key: None, body: Some(body) };
        match self.send(&self.settings.core, &request).await {
            Ok(body) => match body.get("status_code").and_then(Value::as_str) {
                Some("200") => Ok(()),
                Some("202") => Err(MidtransError::RefundDenied(exchange::message(Some(&body)))),
                _ => Err(MidtransError::Malformed("the status code of a refund")),
            },
            // The key was used: an earlier request has returned the money.
            Err(MidtransError::Refused { code: 406, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn request_status(&self, id: &str) -> Result<Option<Value>, MidtransError> {
        if !is_id(id) {
            return Err(MidtransError::Malformed("the id of the transaction"));
        }
        let path = format!("/v2/{id}/status");
        let request = ProviderRequest { method: Method::GET, path, key: None, body: None };
        match self.send(&self.settings.core, &request).await {
            Ok(body) => Ok(Some(body)),
            Err(MidtransError::Refused { code: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn send(&self, endpoint: &ProviderEndpoint, request: &ProviderRequest) -> Result<Value, MidtransError> {
        let whole = async {
            let _turn = self.turns.acquire().await.map_err(|_| MidtransError::Aborted)?;
            exchange::exchange(endpoint, &self.tls, &self.settings.server_key, request).await
        };
        timeout(WITHIN, whole).await.unwrap_or(Err(MidtransError::TimedOut))
    }
}
