//! `POST /api/invoices/{id}/approve`, `/void`, `/write-off`, `/credit-notes` and `/refunds`, and `PATCH /api/invoices/{id}`:
//! what finance does with invoices.

use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::{Request, State};
use billing::books::{CreditedLine, NewCreditNote, NewRefund, RefundWay};
use billing::rules::invoice_state::InvoiceState;
use http::StatusCode;
use ledger::billing::invoices;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::enabled::{books, refused};
use super::invoices::whole;
use super::views::{InvoiceView, RefundView};
use crate::input::{self, Segment};
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// The maximum number of lines of a credit note.
const LINES_MAX: usize = 1_000;
/// The maximum length of a reason, a reference and a number.
const TEXT_CHARS_MAX: usize = 200;

/// The part of an invoice that a credit note takes back.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewCreditNote, example = json!({"lines": [{"no": 1, "amount": 50000}], "reason": "outage of 2026-11-20"}))]
#[serde(deny_unknown_fields)]
struct CreditNoteBody {
    /// The lines that are taken back.
    lines: Vec<CreditedLineBody>,
    /// The reason, which the customer sees.
    reason: String,
    /// The total of the invoice's credit notes so far. With another total the request is a conflict: a request whose response
    /// was lost can be repeated.
    credited: Option<i64>,
}

/// A line of an invoice that is taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = CreditedLine)]
#[serde(deny_unknown_fields)]
struct CreditedLineBody {
    /// The number of the line on the invoice.
    no: i64,
    /// The part without tax. Default: the whole line.
    amount: Option<i64>,
}

/// A refund of an invoice's payment.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewRefund, example = json!({"amount": 50000, "reason": "outage of 2026-11-20", "by": "midtrans"}))]
#[serde(deny_unknown_fields)]
struct RefundBody {
    /// The amount in whole rupiah. It must be in the wallet of the customer.
    amount: i64,
    /// The reason of the refund.
    reason: String,
    /// `midtrans`: by the payment provider, for QRIS and cards; `hand`: by a transfer.
    by: String,
    /// The reference of the transfer, for `hand`.
    reference: Option<String>,
    /// The sum of `refunded` of the invoice's payments so far. With another sum the request is a conflict: a request whose
    /// response was lost can be repeated.
    refunded: Option<i64>,
}

/// The number that another system gave the tax invoice.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TaxInvoiceNumber, example = json!({"tax_invoice_number": "04002600123456789"}))]
#[serde(deny_unknown_fields)]
struct TaxNumberBody {
    /// The number as it is printed; empty removes it.
    tax_invoice_number: String,
}

/// Opens an invoice that waits for finance.
#[utoipa::path(post, path = "/api/invoices/{id}/approve", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict"]))),
    responses((status = 200, body = InvoiceView, example = json!(super::views::example_invoice()))))]
pub(in crate::routes) async fn approve(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
) -> Result<Json<InvoiceView>, Problem> {
    let id = any(&app, &id).await?;
    books(&app)?.approve_invoice(&caller.actor(), id).await.map_err(refused)?;
    whole(&app, id).await
}

/// Voids an open invoice without payments, or an invoice in review. An opened invoice keeps its number.
#[utoipa::path(post, path = "/api/invoices/{id}/void", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict"]))),
    responses((status = 200, body = InvoiceView, example = json!(super::views::example_invoice()))))]
pub(in crate::routes) async fn void(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
) -> Result<Json<InvoiceView>, Problem> {
    let id = any(&app, &id).await?;
    books(&app)?.void_invoice(&caller.actor(), id).await.map_err(refused)?;
    whole(&app, id).await
}

/// Gives up the part of an open invoice that is not paid. A later payment is still accepted. The first invoice of a subscription
/// becomes void, the subscription is cancelled, and a payment goes to the wallet.
#[utoipa::path(post, path = "/api/invoices/{id}/write-off", tag = "billing", security(("token" = []), ("cookie" = [])),
    params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict"]))),
    responses((status = 200, body = InvoiceView, example = json!(super::views::example_invoice()))))]
pub(in crate::routes) async fn write_off(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
) -> Result<Json<InvoiceView>, Problem> {
    let id = any(&app, &id).await?;
    books(&app)?.write_off_invoice(&caller.actor(), id).await.map_err(refused)?;
    whole(&app, id).await
}

/// Makes a credit note of lines of an open or paid invoice. The part that was paid goes to the wallet of the customer.
#[utoipa::path(post, path = "/api/invoices/{id}/credit-notes", tag = "billing", request_body = CreditNoteBody,
    security(("token" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 201, body = InvoiceView, description = "The credit note", example = json!(super::views::example_invoice()))))]
pub(in crate::routes) async fn credit(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
    request: Request,
) -> Result<(StatusCode, Json<InvoiceView>), Problem> {
    let CreditNoteBody { lines, reason, credited } = input::required(request, app.limits.body).await?;
    let id = any(&app, &id).await?;
    check_text("reason", &reason)?;
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Problem::new(Refusal::Unprocessable, "`lines` must have 1 to 1000 lines"));
    }
    let lines: Vec<CreditedLine> =
        lines.into_iter().map(|line| CreditedLine { no: line.no, amount: line.amount }).collect();
    let new = NewCreditNote { lines: &lines, reason: &reason, expected: credited };
    let note = books(&app)?.credit_invoice(&caller.actor(), id, new).await.map_err(refused)?;
    Ok((StatusCode::CREATED, whole(&app, note).await?))
}

/// Returns a part of an invoice's payment to the customer. The amount leaves the wallet of the customer: a credit note or a
/// surplus puts it there. If the provider refuses the refund, the amount is in the wallet again.
#[utoipa::path(post, path = "/api/invoices/{id}/refunds", tag = "billing", request_body = RefundBody,
    security(("token" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable", "payment_unavailable"]))),
    responses((status = 201, body = RefundView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000004", "payment_id": "0199aa00-0000-7000-8000-000000000003",
        "amount": {"amount": 50000, "currency": "IDR"}, "reason": "outage of 2026-11-20", "by": "midtrans",
        "reference": null, "state": "done", "error": null, "created_at": "2026-11-21T12:00:00Z"
    }))))]
pub(in crate::routes) async fn refund(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
    request: Request,
) -> Result<(StatusCode, Json<RefundView>), Problem> {
    let RefundBody { amount, reason, by, reference, refunded } = input::required(request, app.limits.body).await?;
    let invoice = any(&app, &id).await?;
    check_text("reason", &reason)?;
    let reference = reference.unwrap_or_default();
    let way = match by.as_str() {
        "midtrans" if reference.is_empty() => RefundWay::Midtrans,
        "hand" => {
            check_text("reference", &reference)?;
            RefundWay::Hand
        }
        _ => {
            let message = "`by` is `midtrans`, or `hand` with the `reference` of the transfer";
            return Err(Problem::new(Refusal::Unprocessable, message));
        }
    };
    let new = NewRefund { invoice, amount, reason: &reason, way, reference: &reference, expected: refunded };
    let refund = books(&app)?.refund(&caller.actor(), new).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(RefundView::new(refund))))
}

/// Records the number of the tax invoice, which another system gives.
#[utoipa::path(patch, path = "/api/invoices/{id}", tag = "billing", request_body = TaxNumberBody,
    security(("token" = []), ("cookie" = [])), params(("id" = Uuid, Path, description = "The invoice")),
    extensions(("x-codes" = json!(["forbidden", "not_found", "unprocessable"]))),
    responses((status = 200, body = InvoiceView, example = json!(super::views::example_invoice()))))]
pub(in crate::routes) async fn change(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    Segment(id): Segment,
    request: Request,
) -> Result<Json<InvoiceView>, Problem> {
    let TaxNumberBody { tax_invoice_number: number } = input::required(request, app.limits.body).await?;
    let id = any(&app, &id).await?;
    if !number.is_empty() {
        check_text("tax_invoice_number", &number)?;
    }
    books(&app)?.set_tax_number(&caller.actor(), id, &number).await.map_err(refused)?;
    whole(&app, id).await
}

/// Returns the id of any user's invoice that is not a draft.
async fn any(app: &Arc<App>, id: &str) -> Result<Uuid, Problem> {
    let missing = || Problem::new(Refusal::NotFound, "no invoice has this id");
    let id = id.parse::<Uuid>().map_err(|_| missing())?;
    let found = invoices::present(books(app)?.store(), id).await?;
    found.filter(|invoice| invoice.state != InvoiceState::Draft).map(|invoice| invoice.id).ok_or_else(missing)
}

/// Checks a text for people: one line, which is not empty.
fn check_text(name: &str, text: &str) -> Result<(), Problem> {
    let is_fit =
        !text.trim().is_empty() && text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control);
    if is_fit {
        return Ok(());
    }
    let message = format!("`{name}` is one line with 1 to {TEXT_CHARS_MAX} characters");
    Err(Problem::new(Refusal::Unprocessable, message))
}
