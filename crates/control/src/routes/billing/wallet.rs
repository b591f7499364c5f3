//! `GET /api/wallet` and `POST /api/wallet/topups`: money of a user that is kept for the next invoices.

use std::sync::Arc;

use access::{Currency, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use billing::channel::PaymentChannel;
use http::StatusCode;
use ledger::billing::{StoredPosting, postings};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::enabled::{books, refused};
use super::invoices::BegunPayment;
use super::views::{MoneyView, PaymentView};
use crate::input;
use crate::message::listing;
use crate::message::moment::rfc3339;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Payer, PayingOwner};

/// The query of the entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct WalletQuery {
    /// The maximum number of entries on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// The wallet of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Wallet)]
pub(in crate::routes) struct WalletView {
    /// The money that is kept for the next invoices.
    balance: MoneyView,
    /// The changes of the balance, from the newest.
    entries: Vec<WalletEntry>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// A change of the balance.
#[derive(Debug, Serialize, ToSchema)]
struct WalletEntry {
    /// The amount: positive if the balance grew.
    amount: MoneyView,
    /// The reason: `payment.received`, `invoice.paid_from_wallet`, `invoice.credited` or `payment.refunded`.
    reason: String,
    /// The invoice to which the change belongs.
    invoice_id: Option<Uuid>,
    /// The payment to which the change belongs.
    payment_id: Option<Uuid>,
    /// The time of the change.
    #[schema(format = DateTime)]
    at: String,
}

/// A payment into the wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewTopUp, example = json!({"amount": 100000, "method": "qris"}))]
#[serde(deny_unknown_fields)]
struct TopUpBody {
    /// The amount in whole rupiah.
    amount: i64,
    /// The method: `qris`, `va` or `card`.
    method: String,
    /// The bank, for `va`: `bca`, `bni`, `bri`, `permata`, `cimb` or `mandiri`.
    bank: Option<String>,
}

/// The wallet of the authenticated user, in rupiah.
#[utoipa::path(get, path = "/api/wallet", tag = "billing", params(WalletQuery), security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = WalletView, example = json!({
        "balance": {"amount": 100000, "currency": "IDR"},
        "entries": [{"amount": {"amount": 100000, "currency": "IDR"}, "reason": "payment.received", "invoice_id": null,
            "payment_id": "0199aa00-0000-7000-8000-000000000003", "at": "2026-11-20T12:00:00Z"}],
        "next": null
    }))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    Payer(caller): Payer,
    request: Request,
) -> Result<Json<WalletView>, Problem> {
    let WalletQuery { limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.unwrap_or(Uuid::max());
    let books = books(&app)?;
    let store = books.store();
    let balance = postings::balance(store, caller.user, Currency::Idr).await?;
    let mut found = postings::of_wallet(store, caller.user, Currency::Idr, before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |entry| entry.id);
    let entries = found.into_iter().map(WalletEntry::new).collect();
    Ok(Json(WalletView { balance: MoneyView::new(balance, Currency::Idr), entries, next }))
}

/// Begins a payment into the wallet. If a payment of the same method and amount is pending, it is returned with 200.
#[utoipa::path(post, path = "/api/wallet/topups", tag = "billing", request_body = TopUpBody,
    security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable", "payment_unavailable"]))),
    responses((status = 201, body = BegunPayment, example = json!({"payment": {
        "id": "0199aa00-0000-7000-8000-000000000003", "state": "pending", "method": "qris",
        "order_id": "TG-0199aa00000070008000000000000003", "amount": {"amount": 100000, "currency": "IDR"}, "refunded": {"amount": 0, "currency": "IDR"},
        "expires_at": "2026-11-20T12:15:00Z", "qr_text": "00020101021226620014COM.GO-JEK.WWW"
    }})), (status = 200, body = BegunPayment, description = "The pending payment", example = json!({"payment": {
        "id": "0199aa00-0000-7000-8000-000000000003", "state": "pending", "method": "va",
        "order_id": "TG-0199aa00000070008000000000000003", "amount": {"amount": 100000, "currency": "IDR"}, "refunded": {"amount": 0, "currency": "IDR"},
        "expires_at": "2026-11-21T12:00:00Z", "va": {"bank": "bca", "number": "98880000000001"}
    }}))))]
pub(in crate::routes) async fn top_up(
    State(app): State<Arc<App>>,
    PayingOwner(caller): PayingOwner,
    request: Request,
) -> Result<(StatusCode, Json<BegunPayment>), Problem> {
    let TopUpBody { amount, method, bank } = input::required(request, app.limits.body).await?;
    let channel = PaymentChannel::of_method(&method, bank.as_deref()).ok_or_else(|| {
        Problem::new(Refusal::Unprocessable, "`method` must be `qris`, `card`, or `va` with one of its banks in `bank`")
    })?;
    let public_url = app.live.load().process.public_url.control.clone();
    let return_url = public_url.map(|url| format!("{url}/dashboard/billing"));
    let begun = books(&app)?.top_up(caller.user, amount, channel, return_url.as_deref()).await.map_err(refused)?;
    let status = if begun.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(BegunPayment { payment: PaymentView::new(&begun.payment) })))
}

impl WalletEntry {
    fn new(of: StoredPosting) -> Self {
        let at = rfc3339(of.created_at());
        Self {
            at,
            // A credit of the account adds to the wallet.
            amount: MoneyView::new(-of.amount, Currency::Idr),
            reason: of.reason,
            invoice_id: of.invoice_id,
            payment_id: of.payment_id,
        }
    }
}
