//! `GET` and `POST /api/subscription`: the subscription of a user.

use std::sync::Arc;

use access::{Refusal, UserId};
use axum::Json;
use axum::extract::{Request, State};
use billing::books::SubscriptionSummary;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::enabled::{books, refused};
use super::views::{MoneyView, PeriodView};
use crate::input;
use crate::message::moment::date;
use crate::message::problem::Problem;
use crate::nouns::reach;
use crate::permissions::finance::Finance;
use crate::process::state::App;
use crate::sign_in::caller::{Owner, Payer};

/// The plan to subscribe to.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"plan": "pro"}))]
#[serde(deny_unknown_fields)]
struct NewSubscription {
    /// The name of a plan with a price.
    plan: String,
    /// The user who subscribes; only finance, in a session by password, may name another user. Default: the caller.
    user_id: Option<Uuid>,
}

/// A subscription of a user.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(in crate::routes) struct SubscriptionView {
    /// The id of the subscription.
    id: Uuid,
    /// The state: `pending`, `trialing`, `active`, `past_due`, `limited`, `closed` or `cancelled`.
    state: String,
    /// The limits that apply: the plan's, the fallback plan's, or none (keys are refused).
    access: &'static str,
    /// The name of the plan.
    plan: String,
    /// The version of the plan's price, from 1.
    version: i64,
    /// The price per interval, without tax.
    price: MoneyView,
    /// The length of a period: `month` or `year`.
    interval: &'static str,
    /// The current period of the subscription.
    period: PeriodView,
    /// The day on which the next invoice is made; null if the subscription ends before.
    #[schema(format = Date)]
    next_invoice_on: Option<String>,
    /// The last day of the trial.
    #[schema(format = Date)]
    trial_last_day: Option<String>,
    /// Whether the subscription ends with the period.
    cancel_at_end: bool,
    /// The plan of the next period, if it differs.
    next_plan: Option<String>,
    /// The money that is kept for the next invoices.
    wallet: MoneyView,
    /// The invoice that this request opened; null if it opened none, as for a trial or a downgrade.
    #[serde(skip_serializing_if = "Option::is_none")]
    invoice_id: Option<Option<Uuid>>,
}

impl SubscriptionView {
    pub(super) fn new(of: SubscriptionSummary, invoice: Option<Option<Uuid>>) -> Self {
        let SubscriptionSummary { subscription, version, next_plan, wallet } = of;
        let ends = subscription.cancel_at_end || subscription.ended_at.is_some();
        let next = (!ends).then(|| date(subscription.last_day.next()));
        Self {
            id: subscription.id,
            state: subscription.state.as_str().to_owned(),
            access: subscription.state.access().as_str(),
            plan: version.name,
            version: version.version,
            price: version.price.price.into(),
            interval: version.price.interval.as_str(),
            period: PeriodView::new(subscription.first_day, subscription.last_day),
            next_invoice_on: next,
            trial_last_day: subscription.trial_last_day.map(date),
            cancel_at_end: subscription.cancel_at_end,
            next_plan,
            wallet: wallet.into(),
            invoice_id: invoice,
        }
    }
}

/// The subscription of the authenticated user that is not cancelled.
#[utoipa::path(get, path = "/api/subscription", tag = "billing", security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["not_found"]))),
    responses((status = 200, body = SubscriptionView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000001", "state": "active", "access": "plan", "plan": "pro", "version": 1,
        "price": {"amount": 150000, "currency": "IDR"}, "interval": "month",
        "period": {"first_day": "2026-11-20", "last_day": "2026-12-19"}, "next_invoice_on": "2026-12-20",
        "trial_last_day": null, "cancel_at_end": false, "next_plan": null, "wallet": {"amount": 0, "currency": "IDR"}
    }))))]
pub(in crate::routes) async fn show(
    State(app): State<Arc<App>>,
    Payer(caller): Payer,
) -> Result<Json<SubscriptionView>, Problem> {
    let summary = books(&app)?.summary(caller.user).await.map_err(refused)?;
    Ok(Json(SubscriptionView::new(summary, None)))
}

/// Subscribes a user to a plan. Unless it begins with a trial or costs nothing, an invoice is opened, and the plan applies
/// when it is paid.
#[utoipa::path(post, path = "/api/subscription", tag = "billing", request_body = NewSubscription,
    security(("key" = []), ("cookie" = [])),
    extensions(("x-codes" = json!(["forbidden", "not_found", "conflict", "unprocessable"]))),
    responses((status = 201, body = SubscriptionView, example = json!({
        "id": "0199aa00-0000-7000-8000-000000000001", "state": "pending", "access": "fallback", "plan": "pro", "version": 1,
        "price": {"amount": 150000, "currency": "IDR"}, "interval": "month",
        "period": {"first_day": "2026-11-20", "last_day": "2026-12-19"}, "next_invoice_on": "2026-12-20",
        "trial_last_day": null, "cancel_at_end": false, "next_plan": null, "wallet": {"amount": 0, "currency": "IDR"},
        "invoice_id": "0199aa00-0000-7000-8000-000000000002"
    }))))]
pub(in crate::routes) async fn subscribe(
    State(app): State<Arc<App>>,
    Owner(caller): Owner,
    request: Request,
) -> Result<(StatusCode, Json<SubscriptionView>), Problem> {
    let NewSubscription { plan, user_id } = input::required(request, app.limits.body).await?;
    let user = match user_id.map(UserId).filter(|user| *user != caller.user) {
        None => caller.user,
        Some(user) => {
            if !Finance::permits(&app, &caller).await? {
                let message = "to subscribe another user, sign in with the password of an admin or of a user with the role \
                    `finance`; a key is not sufficient";
                return Err(Problem::new(Refusal::Forbidden, message));
            }
            reach::find_user(&app, user).await?.id
        }
    };
    let books = books(&app)?;
    let subscribed = books.subscribe(&caller.actor(), user, &plan).await.map_err(refused)?;
    let summary = books.summary(user).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(SubscriptionView::new(summary, Some(subscribed.invoice)))))
}
