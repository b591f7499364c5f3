//! `GET /api/payments/{id}`, `POST /api/payments/{id}/stub` and `GET /api/billing/methods`: payments, and the methods that fit an
//! amount.

use std::sync::Arc;
use std::time::Duration;

use access::{Currency, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use billing::channel::{ChannelKind, PaymentChannel, WALLET};
use ledger::billing::{payments, postings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::enabled::{books, refused};
use super::views::{MoneyView, PaymentView};
use crate::input::{self, Segment};
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::Payer;

/// The status of a payment is requested from the provider at most this often.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// The query of the methods.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct MethodQuery {
    /// The amount in whole rupiah.
    #[param(minimum = 1)]
    amount: i64,
}

/// The methods of payment.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct PaymentMethods {
    items: Vec<MethodView>,
}

/// A method of payment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentMethod)]
struct MethodView {
    /// The method: `qris`, `va`, `card` or `wallet`.
    method: &'static str,
    /// The bank of `va`.
    #[serde(skip_serializing_if = "Option::is_none")]
    bank: Option<&'static str>,
    /// The smallest possible amount.
    min: MoneyView,
    /// The largest possible amount, of `wallet` the balance; null without a limit.
    max: Option<MoneyView>,
    /// Whether the amount fits.
    allowed: bool,
    /// Why the method is not allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

impl MethodView {
    fn new(channel: PaymentChannel, amount: i64) -> Self {
        let (min, max) = channel.limits();
        let reason = match amount {
            amount if amount < min => Some("the amount is too small"),
            amount if amount > max => Some("the amount is too large"),
            _ => None,
        };
        let is_bank = channel.kind() == ChannelKind::VirtualAccount;
        Self {
            method: channel.kind().as_str(),
            bank: is_bank.then(|| channel.as_str()),
            min: MoneyView::new(min, Currency::Idr),
            max: (max < i64::MAX).then(|| MoneyView::new(max, Currency::Idr)),
            allowed: reason.is_none(),
            reason,
        }
    }

    fn of_wallet(balance: i64, amount: i64) -> Self {
        let reason = (amount > balance).then_some("the wallet has less than the amount");
        Self {
            method: WALLET,
            bank: None,
            min: MoneyView::new(1, Currency::Idr),
            max: Some(MoneyView::new(balance, Currency::Idr)),
            allowed: reason.is_none(),
            reason,
        }
    }
}

/// The methods that this server offers, with the wallet of the authenticated user last, and whether they fit an amount.
#[utoipa::path(get, path = "/api/billing/methods", tag = "billing", params(MethodQuery),
    security(("key" = []), ("cookie" = [])), extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = PaymentMethods, example = json!({"items": [
        {"method": "qris", "min": {"amount": 1, "currency": "IDR"}, "max": {"amount": 10000000, "currency": "IDR"},
            "allowed": true},
        {"method": "va", "bank": "bca", "min": {"amount": 10000, "currency": "IDR"},
            "max": {"amount": 20000000000_i64, "currency": "IDR"}, "allowed": false, "reason": "the amount is too small"},
        {"method": "wallet", "min": {"amount": 1, "currency": "IDR"}, "max": {"amount": 166500, "currency": "IDR"},
            "allowed": true}
    ]}))))]
pub(in crate::routes) async fn methods(
    State(app): State<Arc<App>>,
    Payer(caller): Payer,
    request: Request,
) -> Result<Json<PaymentMethods>, Problem> {
    let MethodQuery { amount } = input::query(request.uri())?;
    if amount < 1 {
        return Err(Problem::new(Refusal::BadRequest, "`amount` must be at least 1"));
    }
    let books = books(&app)?;
    let offered = books.provider().map(|provider| provider.settings().channels.clone()).unwrap_or_default();
    let balance = postings::balance(books.store(), caller.user, Currency::Idr).await?;
    let channels = offered.into_iter().map(|channel| MethodView::new(channel, amount));
    Ok(Json(PaymentMethods { items: channels.chain([MethodView::of_wallet(balance, amount)]).collect() }))
}

/// A payment of the authenticated user. While it is pending, its status is requested from the payment provider, at most
/// every 5 s.
#[utoipa::path(get, path = "/api/payments/{id}", tag = "billing", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The payment")), extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = PaymentView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000003", "state": "paid", "method": "qris",
        "order_id": "TG-0199aa00000070008000000000000003", "amount": {"amount": 150000, "currency": "IDR"}, "refunded": {"amount": 0, "currency": "IDR"},
        "expires_at": "2026-11-20T12:15:00Z", "qr_text": "00020101021226620014COM.GO-JEK.WWW"
    }))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    Payer(caller): Payer,
    Segment(id): Segment,
) -> Result<Json<PaymentView>, Problem> {
    let missing = || Problem::new(Refusal::NotFound, "you have no payment with this id");
    let books = books(&app)?;
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let found = payments::present(books.store(), id).await?;
    let payment = found.filter(|payment| payment.user == caller.user).ok_or_else(missing)?;
    let before = app.clock.now().before(ASK_EVERY);
    let is_pending = payment.state.is_pending();
    let is_due = is_pending && books.provider().is_some() && payment.created_at <= before;
    // Recorded before the request: requests at once, and those of a provider that does not respond, count.
    if !is_due || !payments::claim(books.store(), id, before).await? {
        return Ok(Json(PaymentView::new(&payment)));
    }
    // Without a response, the stored state is shown: a notification or the next request updates it.
    if let Err(error) = books.refresh(&payment).await {
        tracing::warn!(payment = %payment.id, %error, "the status of a payment could not be requested");
    }
    let payment = payments::present(books.store(), id).await?.ok_or_else(missing)?;
    Ok(Json(PaymentView::new(&payment)))
}

/// Makes a payment with the stub, in place of the customer's bank: no money moves. Only while `payments_stub` of `GET /api/site`
/// is true.
#[utoipa::path(post, path = "/api/payments/{id}/stub", tag = "billing", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The payment")),
    extensions(("x-codes" = json!(["not_found", "conflict", "payment_unavailable"]))),
    responses((status = 200, body = PaymentView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000003", "state": "paid", "method": "qris",
        "order_id": "TG-0199aa00000070008000000000000003", "amount": {"amount": 150000, "currency": "IDR"}, "refunded": {"amount": 0, "currency": "IDR"},
        "expires_at": "2026-11-20T12:15:00Z", "qr_text": "00020101021226620014COM.GO-JEK.WWW"
    }))))]
pub(in crate::routes) async fn play(
    State(app): State<Arc<App>>,
    Payer(caller): Payer,
    Segment(id): Segment,
) -> Result<Json<PaymentView>, Problem> {
    let missing = || Problem::new(Refusal::NotFound, "you have no payment with this id");
    let books = books(&app)?;
    if !books.provider().is_some_and(|provider| provider.is_stub()) {
        return Err(Problem::new(Refusal::NotFound, "payments are not made with the stub"));
    }
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let found = payments::present(books.store(), id).await?;
    let payment = found.filter(|payment| payment.user == caller.user).ok_or_else(missing)?;
    if !payment.state.is_pending() {
        return Err(Problem::new(Refusal::Conflict, "the payment is not pending"));
    }
    books.play_customer(&payment).await.map_err(refused)?;
    let payment = payments::present(books.store(), id).await?.ok_or_else(missing)?;
    Ok(Json(PaymentView::new(&payment)))
}
