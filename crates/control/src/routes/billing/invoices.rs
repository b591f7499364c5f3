//! `GET /api/invoices`, `GET /api/invoices/{id}`, `POST /api/invoices/{id}/pay`: the invoices of a user.

use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::{Request, State};
use billing::channel::{PaymentChannel, WALLET};
use billing::rules::invoice_state::InvoiceState;
use http::StatusCode;
use ledger::billing::{StoredInvoice, invoices, payments, received_money};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::enabled::{books, refused};
use super::views::{InvoiceView, PaymentView};
use crate::input::{self, Segment};
use crate::message::listing;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, Payer, PayingOwner};

pub(super) const STATES: [&str; 5] = ["review", "open", "paid", "void", "uncollectible"];

/// The query of the list of invoices.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct InvoiceQuery {
    /// Only invoices in this state: `review`, `open`, `paid`, `void` or `uncollectible`.
    state: Option<String>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// A page of invoices, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct Invoices {
    items: Vec<InvoiceView>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// The method of a payment.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"method": "qris"}))]
#[serde(deny_unknown_fields)]
struct NewPayment {
    /// The method: `qris`, `va`, `card` or `wallet`.
    method: String,
    /// The bank, for `va`: `bca`, `bni`, `bri`, `permata`, `cimb` or `mandiri`.
    bank: Option<String>,
}

/// A payment that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::routes) struct BegunPayment {
    pub(super) payment: PaymentView,
}

/// Lists the invoices of the authenticated user.
#[utoipa::path(get, path = "/api/invoices", tag = "billing", params(InvoiceQuery),
    security(("key" = []), ("cookie" = [])), extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = Invoices, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000002", "number": "INV-2026-000001", "kind": "period",
            "state": "open", "period": {"first_day": "2026-11-20", "last_day": "2026-12-19"}, "currency": "IDR",
            "subtotal": {"amount": 150000, "currency": "IDR"}, "tax": null, "total": {"amount": 150000, "currency": "IDR"},
            "remaining": {"amount": 150000, "currency": "IDR"}, "due_at": "2026-11-27T12:00:00Z",
            "issued_at": "2026-11-20T12:00:00Z", "tax_invoice_number": null}],
        "next": null
    }))))]
pub(in crate::routes) async fn list(
    State(app): State<Arc<App>>,
    Payer(caller): Payer,
    request: Request,
) -> Result<Json<Invoices>, Problem> {
    let InvoiceQuery { state, limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.unwrap_or(Uuid::max());
    if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        return Err(Problem::new(Refusal::BadRequest, format!("`state` must be one of {}", STATES.join(", "))));
    }
    let books = books(&app)?;
    let store = books.store();
    let mut found = invoices::of_user(store, caller.user, state.as_deref(), before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |invoice| invoice.id);
    Ok(Json(Invoices { items: found.into_iter().map(InvoiceView::short).collect(), next }))
}

/// An invoice with its lines and payments.
#[utoipa::path(get, path = "/api/invoices/{id}", tag = "billing", security(("key" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice")), extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = InvoiceView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000002", "number": "INV-2026-000001", "kind": "period", "state": "open",
        "period": {"first_day": "2026-11-20", "last_day": "2026-12-19"}, "currency": "IDR",
        "subtotal": {"amount": 150000, "currency": "IDR"}, "tax": null, "total": {"amount": 150000, "currency": "IDR"},
        "remaining": {"amount": 150000, "currency": "IDR"}, "due_at": "2026-11-27T12:00:00Z",
        "issued_at": "2026-11-20T12:00:00Z",
        "lines": [{"no": 1, "kind": "plan", "text": "pro", "quantity": 1, "unit": "period", "unit_price": null,
            "amount": {"amount": 150000, "currency": "IDR"}, "first_day": "2026-11-20", "last_day": "2026-12-19"}],
        "paid_by": [], "payments": [], "credit_notes": [], "tax_invoice_number": null
    }))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    Payer(caller): Payer,
    Segment(id): Segment,
) -> Result<Json<InvoiceView>, Problem> {
    let invoice = own(&app, &caller, &id).await?;
    whole(&app, invoice.id).await
}

/// Shows an invoice of any user with its lines, payments and credit notes.
///
/// # Errors
/// `not_found`, and errors of the store.
pub(super) async fn whole(app: &Arc<App>, id: Uuid) -> Result<Json<InvoiceView>, Problem> {
    let books = books(app)?;
    let store = books.store();
    let found = invoices::present(store, id).await?;
    let invoice = found.ok_or_else(|| Problem::new(Refusal::NotFound, "no invoice has this id"))?;
    let lines = invoices::lines(store, id).await?;
    let paid = payments::of_invoice(store, id).await?;
    let notes = invoices::credit_notes(store, id).await?;
    let received = received_money::of_invoice(store, id).await?;
    let view = InvoiceView::whole(invoice.clone(), lines, &paid).with_received(&received, &invoice);
    Ok(Json(view.with_notes(notes)))
}

/// Begins the payment of an open invoice. If a payment by the same method is pending, it is returned with 200.
#[utoipa::path(post, path = "/api/invoices/{id}/pay", tag = "billing", request_body = NewPayment,
    security(("key" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable", "payment_unavailable"]))),
    responses((status = 201, body = BegunPayment, example = json!({"payment": {
        "id": "0199aa00-0000-7000-8000-000000000003", "state": "pending", "method": "qris",
        "order_id": "TG-0199aa00000070008000000000000003", "amount": {"amount": 150000, "currency": "IDR"}, "refunded": {"amount": 0, "currency": "IDR"},
        "expires_at": "2026-11-20T12:15:00Z", "qr_text": "00020101021226620014COM.GO-JEK.WWW"
    }})), (status = 200, body = BegunPayment, description = "The pending payment", example = json!({"payment": {
        "id": "0199aa00-0000-7000-8000-000000000003", "state": "pending", "method": "va",
        "order_id": "TG-0199aa00000070008000000000000003", "amount": {"amount": 150000, "currency": "IDR"}, "refunded": {"amount": 0, "currency": "IDR"},
        "expires_at": "2026-11-21T12:00:00Z", "va": {"bank": "bca", "number": "98880000000001"}
    }}))))]
pub(in crate::routes) async fn pay(
    State(app): State<Arc<App>>,
    PayingOwner(caller): PayingOwner,
    Segment(id): Segment,
    request: Request,
) -> Result<(StatusCode, Json<BegunPayment>), Problem> {
    let NewPayment { method, bank } = input::required(request, app.limits.body).await?;
    if method == WALLET && bank.is_none() {
        let invoice = own(&app, &caller, &id).await?;
        let paid = books(&app)?.pay_from_wallet(&caller.actor(), caller.user, invoice.id).await.map_err(refused)?;
        return Ok((StatusCode::CREATED, Json(BegunPayment { payment: PaymentView::new(&paid) })));
    }
    let channel = PaymentChannel::of_method(&method, bank.as_deref()).ok_or_else(|| {
        Problem::new(
            Refusal::Unprocessable,
            "`method` must be `qris`, `card`, `wallet`, or `va` with one of its banks in `bank`",
        )
    })?;
    let invoice = own(&app, &caller, &id).await?;
    let public_url = app.live.load().process.public_url.control.clone();
    let return_url = public_url.map(|url| format!("{url}/dashboard/pay?id={}", invoice.id));
    let begun = books(&app)?.pay(caller.user, invoice.id, channel, return_url.as_deref()).await.map_err(refused)?;
    let status = if begun.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(BegunPayment { payment: PaymentView::new(&begun.payment) })))
}

/// Returns an invoice of the caller. Another user's invoice, a draft and an invalid id get the same response.
async fn own(app: &Arc<App>, caller: &Caller, id: &str) -> Result<StoredInvoice, Problem> {
    let missing = || Problem::new(Refusal::NotFound, "you have no invoice with this id");
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let found = invoices::present(books(app)?.store(), id).await?;
    found.filter(|invoice| invoice.user == caller.user && invoice.state != InvoiceState::Draft).ok_or_else(missing)
}
