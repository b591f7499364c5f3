//! `GET /api/billing/invoices`, `GET /api/billing/invoices/{id}` and `GET /api/billing/payments`: invoices and payments of
//! all users, for finance.

use std::collections::HashMap;
use std::sync::Arc;

use access::{Refusal, UserId};
use axum::Json;
use axum::extract::{Request, State};
use billing::rules::invoice_state::InvoiceState;
use billing::rules::payment::PaymentState;
use ledger::billing::{BilledUser, PaymentFilter, StoredInvoice, invoices as rows, parties, payments as payment_rows};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::enabled::{books, refused};
use super::invoices::{STATES, whole};
use super::views::{InvoiceView, PaymentView};
use crate::input::{self, Segment};
use crate::message::listing;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// The query of the invoices of all users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct AllInvoicesQuery {
    /// Only invoices in this state: `review`, `open`, `paid`, `void` or `uncollectible`.
    state: Option<String>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// The query of the payments of all users.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct AllPaymentsQuery {
    /// Only payments of this user.
    user_id: Option<Uuid>,
    /// Only payments in this state: `created`, `pending`, `held`, `paid`, `failed`, `reversed`, `partly_refunded`, `refunded`
    /// or `charged_back`.
    state: Option<String>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// The user who owes or pays.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = BilledUser)]
pub(super) struct BilledUserView {
    /// The id of the user.
    #[schema(value_type = Uuid)]
    id: UserId,
    /// The name of the user.
    name: String,
    /// The e-mail address; null for service users.
    email: Option<String>,
}

/// An invoice with the user who owes it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BilledInvoice)]
struct BilledInvoiceView {
    /// The user who owes the invoice.
    user: BilledUserView,
    /// The invoice without its lines and payments.
    invoice: InvoiceView,
}

/// A page of invoices of all users, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BilledInvoices)]
pub(in crate::routes) struct BilledInvoicesView {
    items: Vec<BilledInvoiceView>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// A payment with the user who paid.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BilledPayment)]
struct BilledPaymentView {
    /// The user who paid.
    user: BilledUserView,
    /// The invoice; null for a payment into the wallet.
    invoice_id: Option<Uuid>,
    /// The payment with its instructions.
    payment: PaymentView,
}

/// A page of payments of all users, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BilledPayments)]
pub(in crate::routes) struct BilledPaymentsView {
    items: Vec<BilledPaymentView>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

/// Lists the invoices of all users without drafts, newest first.
#[utoipa::path(get, path = "/api/billing/invoices", tag = "billing", params(AllInvoicesQuery),
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = BilledInvoicesView, example = json!({
        "items": [{"user": {"id": "0199aa00-0000-7000-8000-000000000001", "name": "Ada", "email": "ada@example.com"},
            "invoice": super::views::example_invoice()}],
        "next": null
    }))))]
pub(in crate::routes) async fn invoices(
    State(app): State<Arc<App>>,
    _finance: Finance,
    request: Request,
) -> Result<Json<BilledInvoicesView>, Problem> {
    let AllInvoicesQuery { state, limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.unwrap_or(Uuid::max());
    if state.as_deref().is_some_and(|state| !STATES.contains(&state)) {
        return Err(Problem::new(Refusal::BadRequest, format!("`state` must be one of {}", STATES.join(", "))));
    }
    let books = books(&app)?;
    let store = books.store();
    let mut found = rows::of_all(store, state.as_deref(), before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |invoice| invoice.id);
    let users = by_id(parties::of_invoices(store, &found, state.as_deref()).await?);
    let mut unsigned = books.unsigned_days(&found).await.map_err(refused)?;
    let view = |of: StoredInvoice| {
        let user = users.get(&of.user.0).cloned().unwrap_or_else(|| BilledUserView::unknown(of.user));
        let days = unsigned.remove(&of.id);
        BilledInvoiceView { user, invoice: InvoiceView::short(of).with_unsigned(days) }
    };
    Ok(Json(BilledInvoicesView { items: found.into_iter().map(view).collect(), next }))
}

/// An invoice of any user with its lines, payments and credit notes.
#[utoipa::path(get, path = "/api/billing/invoices/{id}", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice")), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = InvoiceView, example = json!(super::views::example_invoice()))))]
pub(in crate::routes) async fn invoice(
    State(app): State<Arc<App>>,
    _finance: Finance,
    Segment(id): Segment,
) -> Result<Json<InvoiceView>, Problem> {
    let missing = || Problem::new(Refusal::NotFound, "no invoice has this id");
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let books = books(&app)?;
    let found = rows::present(books.store(), id).await?;
    let invoice = found.filter(|invoice| invoice.state != InvoiceState::Draft).ok_or_else(missing)?;
    let unsigned = books.unsigned_days(std::slice::from_ref(&invoice)).await.map_err(refused)?;
    let Json(view) = whole(&app, invoice.id).await?;
    Ok(Json(view.with_unsigned(unsigned.into_values().next())))
}

/// Lists payments of all users, newest first. Without a filter, the list has those that finance should look at: the fraud
/// check holds them, or a bank took them back.
#[utoipa::path(get, path = "/api/billing/payments", tag = "billing", params(AllPaymentsQuery),
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = BilledPaymentsView, example = json!({
        "items": [{"user": {"id": "0199aa00-0000-7000-8000-000000000001", "name": "Ada", "email": "ada@example.com"},
            "invoice_id": "0199aa00-0000-7000-8000-000000000002", "payment": {
                "id": "0199aa00-0000-7000-8000-000000000003", "state": "reversed", "method": "va",
                "order_id": "TG-0199aa00000070008000000000000003", "amount": {"amount": 150000, "currency": "IDR"}, "refunded": {"amount": 0, "currency": "IDR"},
                "expires_at": "2026-11-21T12:00:00Z", "va": {"bank": "permata", "number": "8778000000000001"}}}],
        "next": null
    }))))]
pub(in crate::routes) async fn payments(
    State(app): State<Arc<App>>,
    _finance: Finance,
    request: Request,
) -> Result<Json<BilledPaymentsView>, Problem> {
    let AllPaymentsQuery { user_id, state, limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.unwrap_or(Uuid::max());
    let books = books(&app)?;
    let store = books.store();
    let state = state.as_deref().map(payment_state).transpose()?;
    let of = PaymentFilter { user: user_id.map(UserId), state: state.map(PaymentState::as_str) };
    let mut found = payment_rows::listed(store, of, before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |payment| payment.id);
    let users = by_id(parties::of_payments(store, &found, of).await?);
    let items = found
        .iter()
        .map(|of| BilledPaymentView {
            user: users.get(&of.user.0).cloned().unwrap_or_else(|| BilledUserView::unknown(of.user)),
            invoice_id: of.invoice,
            payment: PaymentView::new(of),
        })
        .collect();
    Ok(Json(BilledPaymentsView { items, next }))
}

/// Parses the name of a payment's state.
fn payment_state(name: &str) -> Result<PaymentState, Problem> {
    PaymentState::of_name(name).ok_or_else(|| {
        let names = PaymentState::ALL.map(PaymentState::as_str).join(", ");
        Problem::new(Refusal::BadRequest, format!("`state` must be one of {names}"))
    })
}

impl From<BilledUser> for BilledUserView {
    fn from(BilledUser { id, name, email }: BilledUser) -> Self {
        Self { id, name, email }
    }
}

impl BilledUserView {
    /// Shows a user whose row cannot be read: the database never deletes one.
    const fn unknown(id: UserId) -> Self {
        Self { id, name: String::new(), email: None }
    }
}

/// Returns the users of a page by their ids.
fn by_id(users: Vec<BilledUser>) -> HashMap<Uuid, BilledUserView> {
    users.into_iter().map(|user| (user.id.0, user.into())).collect()
}
