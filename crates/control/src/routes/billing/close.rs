//! `POST /api/billing/close`: the invoices of periods that have ended, on demand.

use std::sync::Arc;

use access::{Day, Refusal};
use axum::Json;
use axum::extract::{Request, State};
use billing::close::CloseCounts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::enabled::{books, refused};
use crate::input;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// The periods that are closed.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = NewBillingClose, example = json!({"last_day": "2026-11-30", "dry_run": false}))]
#[serde(deny_unknown_fields)]
struct CloseBody {
    /// The last day of the periods in UTC. Default, and maximum: yesterday.
    last_day: Option<String>,
    /// With true, the response has the same counts, and nothing is stored. Default false.
    dry_run: Option<bool>,
}

/// The result of a close.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BillingClose)]
pub(in crate::routes) struct CloseView {
    /// Whether nothing was stored.
    dry_run: bool,
    /// The number of new invoices; 0 for a repeat.
    new: usize,
    /// The number of periods that were closed, also of those without an invoice.
    closed: usize,
    /// The number of periods that wait until the usage of every node is stored.
    waiting: usize,
    /// The number of periods that could not be closed; the log names them.
    failed: usize,
    /// The number of invoices that were opened because all their days are signed off in insights.
    signed: usize,
    /// The number of invoices that wait for days that are not signed off.
    unsigned: usize,
}

/// Closes the billing periods that ended by a day, as the job `billing_close` does every minute. A period is closed once. A
/// request that ends early has closed whole periods; a repeat closes the rest. A dry run counts one period per subscription.
#[utoipa::path(post, path = "/api/billing/close", tag = "billing", request_body = CloseBody,
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = CloseView, example = json!({
        "dry_run": false, "new": 12, "closed": 14, "waiting": 0, "failed": 0, "signed": 0, "unsigned": 0
    }))))]
pub(in crate::routes) async fn close(
    State(app): State<Arc<App>>,
    Finance(caller): Finance,
    request: Request,
) -> Result<Json<CloseView>, Problem> {
    let CloseBody { last_day, dry_run } = input::required(request, app.limits.body).await?;
    let last_day = last_day.as_deref().map(day).transpose()?;
    let books = books(&app)?;
    let dry_run = dry_run.unwrap_or_default();
    let closing =
        if dry_run { books.preview_close(last_day).await } else { books.close_all(&caller.actor(), last_day).await };
    let CloseCounts { made: new, closed, waiting, failed, signed, unsigned, .. } = closing.map_err(refused)?;
    Ok(Json(CloseView { dry_run, new, closed, waiting, failed, signed, unsigned }))
}

fn day(text: &str) -> Result<Day, Problem> {
    let invalid = || Problem::new(Refusal::BadRequest, "`last_day` must be a day, such as `2026-11-30`");
    Day::parse(text).ok_or_else(invalid)
}
