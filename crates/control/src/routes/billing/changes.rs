//! `POST /api/subscription/preview`, `/change`, `/cancel` and `/resume`: changes of a subscription.

use std::sync::Arc;

use access::Refusal;
use axum::Json;
use axum::extract::{Request, State};
use billing::books::{CancelAt, ChangePreview};
use billing::document::percent;
use billing::language::Language;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::enabled::{books, refused};
use super::subscription::SubscriptionView;
use super::views::{LineView, MoneyView, TaxView};
use crate::input;
use crate::message::moment::date;
use crate::message::problem::Problem;
use crate::process::state::App;
use crate::sign_in::caller::{Caller, Owner};

/// The plan of a change.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"plan": "business"}))]
#[serde(deny_unknown_fields)]
struct ChosenPlan {
    /// The name of a plan with a price.
    plan: String,
}

/// The time at which a subscription ends.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"at": "end"}))]
#[serde(deny_unknown_fields)]
struct Cancellation {
    /// `end`: with the current period; `now`: today.
    at: String,
}

/// The invoice that a change would have. Nothing is stored.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangePreview)]
pub(in crate::routes) struct ChangePreviewView {
    /// The lines in the order of printing.
    lines: Vec<LineView>,
    /// The sum of the lines.
    subtotal: MoneyView,
    /// The tax; null without one.
    tax: Option<TaxView>,
    /// The sum of subtotal and tax.
    total: MoneyView,
    /// The first day with the plan. For an upgrade, the invoice must be paid on this day.
    #[schema(format = Date)]
    applies_on: String,
}

impl ChangePreviewView {
    fn new(of: ChangePreview) -> Self {
        let money = |amount| MoneyView::new(amount, of.currency);
        let tax = (!of.tax_name.is_empty()).then(|| TaxView {
            name: of.tax_name.clone(),
            base: money(of.tax_base),
            rate: percent(&of.tax_rate, Language::English),
            amount: money(of.tax),
        });
        Self {
            tax,
            subtotal: money(of.subtotal),
            total: money(of.total),
            applies_on: date(of.applies_on),
            lines: of.lines.into_iter().map(|line| LineView::new(line, of.currency)).collect(),
        }
    }
}

/// Returns the invoice that a change to a plan would have: of an upgrade, the rest of the period; of a downgrade, the next
/// period. Without a subscription, it is the first invoice.
#[utoipa::path(post, path = "/api/subscription/preview", tag = "billing", request_body = ChosenPlan,
    security(("key" = []), ("cookie" = [])), extensions(("x-codes" = json!(["not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = ChangePreviewView, example = json!({
        "lines": [
            {"no": 1, "kind": "credit", "text": "pro", "quantity": 1, "unit": "period", "unit_price": null,
                "amount": {"amount": -101613, "currency": "IDR"}, "first_day": "2026-12-11", "last_day": "2026-12-31"},
            {"no": 2, "kind": "proration", "text": "business", "quantity": 1, "unit": "period", "unit_price": null,
                "amount": {"amount": 1016129, "currency": "IDR"}, "first_day": "2026-12-11", "last_day": "2026-12-31"}
        ],
        "subtotal": {"amount": 914516, "currency": "IDR"}, "tax": null, "total": {"amount": 914516, "currency": "IDR"},
        "applies_on": "2026-12-11"
    }))))]
pub(in crate::routes) async fn preview(
    State(app): State<Arc<App>>,
    caller: Caller,
    request: Request,
) -> Result<Json<ChangePreviewView>, Problem> {
    let ChosenPlan { plan } = input::required(request, app.limits.body).await?;
    let preview = books(&app)?.preview(caller.user, &plan).await.map_err(refused)?;
    Ok(Json(ChangePreviewView::new(preview)))
}

/// Changes the plan of the subscription. An upgrade opens the invoice in `invoice_id` and applies when it is paid; after 24
/// hours without a payment, it is void. A downgrade applies at the end of the period. The present plan takes a planned
/// downgrade back.
#[utoipa::path(post, path = "/api/subscription/change", tag = "billing", request_body = ChosenPlan,
    security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = SubscriptionView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000001", "state": "active", "access": "plan", "plan": "pro", "version": 1,
        "price": {"amount": 150000, "currency": "IDR"}, "interval": "month",
        "period": {"first_day": "2026-12-01", "last_day": "2026-12-31"}, "next_invoice_on": "2027-01-01",
        "trial_last_day": null, "cancel_at_end": false, "next_plan": null, "wallet": {"amount": 0, "currency": "IDR"},
        "invoice_id": "0199aa00-0000-7000-8000-000000000002"
    }))))]
pub(in crate::routes) async fn change(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    request: Request,
) -> Result<Json<SubscriptionView>, Problem> {
    let ChosenPlan { plan } = input::required(request, app.limits.body).await?;
    let invoice = books(&app)?.change(&caller.actor(), caller.user, &plan).await.map_err(refused)?;
    shown(&app, &caller, Some(invoice)).await
}

/// Cancels the subscription: with its period, or now. Now, a credit note takes the days after today back: it reduces the open
/// invoice, and the paid part goes to the wallet. The usage until today is invoiced when it is stored, and the rest of open
/// invoices stays due. Now is a conflict while one is overdue.
#[utoipa::path(post, path = "/api/subscription/cancel", tag = "billing", request_body = Cancellation,
    security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 200, body = SubscriptionView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000001", "state": "active", "access": "plan", "plan": "pro", "version": 1,
        "price": {"amount": 150000, "currency": "IDR"}, "interval": "month",
        "period": {"first_day": "2026-12-01", "last_day": "2026-12-31"}, "next_invoice_on": null,
        "trial_last_day": null, "cancel_at_end": true, "next_plan": null, "wallet": {"amount": 0, "currency": "IDR"}
    }))))]
pub(in crate::routes) async fn cancel(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    request: Request,
) -> Result<Json<SubscriptionView>, Problem> {
    let Cancellation { at } = input::required(request, app.limits.body).await?;
    let at = match at.as_str() {
        "end" => CancelAt::End,
        "now" => CancelAt::Now,
        _ => return Err(Problem::new(Refusal::Unprocessable, "`at` must be `end` or `now`")),
    };
    let books = books(&app)?;
    let id = books.cancel(&caller.actor(), caller.user, at).await.map_err(refused)?;
    let summary = books.summary_of(id).await.map_err(refused)?;
    Ok(Json(SubscriptionView::new(summary, None)))
}

/// Takes back that the subscription ends with its period.
#[utoipa::path(post, path = "/api/subscription/resume", tag = "billing", security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict"]))),
    responses((status = 200, body = SubscriptionView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000001", "state": "active", "access": "plan", "plan": "pro", "version": 1,
        "price": {"amount": 150000, "currency": "IDR"}, "interval": "month",
        "period": {"first_day": "2026-12-01", "last_day": "2026-12-31"}, "next_invoice_on": "2027-01-01",
        "trial_last_day": null, "cancel_at_end": false, "next_plan": null, "wallet": {"amount": 0, "currency": "IDR"}
    }))))]
pub(in crate::routes) async fn resume(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
) -> Result<Json<SubscriptionView>, Problem> {
    books(&app)?.resume(&caller.actor(), caller.user).await.map_err(refused)?;
    shown(&app, &caller, None).await
}

async fn shown(
    app: &Arc<App>,
    caller: &Caller,
    invoice: Option<Option<Uuid>>,
) -> Result<Json<SubscriptionView>, Problem> {
    let summary = books(app)?.summary(caller.user).await.map_err(refused)?;
    Ok(Json(SubscriptionView::new(summary, invoice)))
}
