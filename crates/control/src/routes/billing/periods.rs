//! `GET /api/billing/periods`: the billing periods of all subscriptions, for finance.

use std::sync::Arc;

use access::{Refusal, UserId};
use axum::Json;
use axum::extract::{Request, State};
use ledger::billing::{BilledPeriod, ClosingInvoice, PeriodFilter, PeriodState, billed_periods};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::enabled::books;
use super::lists::BilledUserView;
use super::views::PeriodView;
use crate::input;
use crate::message::listing;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// The query of the periods of all subscriptions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct PeriodsQuery {
    /// Only periods of this user.
    user_id: Option<Uuid>,
    /// Only periods in this state: `current`, `waiting` or `closed`.
    state: Option<String>,
    /// The maximum number of items on the page. Default 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// The value of `next` of the previous page. Without it, the first page is returned.
    cursor: Option<String>,
}

/// A period of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPeriod)]
struct SubscriptionPeriodView {
    /// The id of the period.
    id: Uuid,
    /// The subscription whose period it is.
    subscription_id: Uuid,
    /// The user who subscribed.
    user: BilledUserView,
    /// The name of the plan with which the period began.
    plan: String,
    /// The version of the plan's price, from 1.
    version: i64,
    /// The days of the period. A change to another interval and a cancellation end a period earlier.
    period: PeriodView,
    /// The state: `current`, `waiting` (the period ended and is not closed: usage of a node is not stored yet, an invoice is
    /// past its grace, or the user is suspended) or `closed`.
    state: &'static str,
    /// The invoice by which the period was closed; null if nothing was charged.
    invoice: Option<ClosingInvoiceView>,
}

/// The invoice by which a period was closed: its usage, and the price of the next period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClosingInvoice)]
struct ClosingInvoiceView {
    /// The id of the invoice.
    id: Uuid,
    /// The number; null before the invoice is opened.
    number: Option<String>,
    /// The state: `review`, `open`, `paid`, `void` or `uncollectible`.
    state: String,
}

/// A page of periods of all subscriptions, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPeriods)]
pub(in crate::routes) struct SubscriptionPeriodsView {
    items: Vec<SubscriptionPeriodView>,
    /// The cursor of the next page; null on the last page.
    next: Option<String>,
}

impl From<BilledPeriod> for SubscriptionPeriodView {
    fn from(of: BilledPeriod) -> Self {
        let invoice =
            |ClosingInvoice { id, number, state }| ClosingInvoiceView { id, number, state: state.as_str().to_owned() };
        Self {
            id: of.id,
            subscription_id: of.subscription,
            user: of.user.into(),
            plan: of.plan,
            version: of.version,
            period: PeriodView::new(of.first_day, of.last_day),
            state: of.state.as_str(),
            invoice: of.invoice.map(invoice),
        }
    }
}

/// Lists the periods of all subscriptions, newest first, each with the invoice by which it was closed.
#[utoipa::path(get, path = "/api/billing/periods", tag = "billing", params(PeriodsQuery),
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = SubscriptionPeriodsView, example = json!({
        "items": [{"id": "0199aa00-0000-7000-8000-000000000008", "subscription_id": "0199aa00-0000-7000-8000-000000000006",
            "user": {"id": "0199aa00-0000-7000-8000-000000000001", "name": "Ada", "email": "ada@example.com"},
            "plan": "pro", "version": 1, "period": {"first_day": "2026-11-01", "last_day": "2026-11-30"}, "state": "closed",
            "invoice": {"id": "0199aa00-0000-7000-8000-000000000002", "number": "INV-2026-000002", "state": "open"}}],
        "next": null
    }))))]
pub(in crate::routes) async fn list(
    State(app): State<Arc<App>>,
    _finance: Finance,
    request: Request,
) -> Result<Json<SubscriptionPeriodsView>, Problem> {
    let PeriodsQuery { user_id, state, limit, cursor } = input::query(request.uri())?;
    let limit = listing::limit(limit)?;
    let before = listing::after(cursor.as_deref())?.unwrap_or(Uuid::max());
    let of = PeriodFilter { user: user_id.map(UserId), state: state.as_deref().map(state_of).transpose()? };
    let today = app.clock.now().day();
    let mut found = billed_periods::page(books(&app)?.store(), of, today, before, limit + 1).await?;
    let next = listing::cut(&mut found, limit, |period| period.id);
    Ok(Json(SubscriptionPeriodsView { items: found.into_iter().map(SubscriptionPeriodView::from).collect(), next }))
}

/// Parses the name of a state.
fn state_of(name: &str) -> Result<PeriodState, Problem> {
    let found = PeriodState::ALL.into_iter().find(|state| state.as_str() == name);
    found.ok_or_else(|| {
        let names = PeriodState::ALL.map(PeriodState::as_str).join(", ");
        Problem::new(Refusal::BadRequest, format!("`state` must be one of {names}"))
    })
}
