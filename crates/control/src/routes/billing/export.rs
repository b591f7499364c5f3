//! `GET /api/billing/export`: the invoices of a month as a table.

use std::io;
use std::sync::Arc;

use access::{CivilDate, Day, Refusal};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use ledger::billing::{exports, invoices};
use serde::Deserialize;
use store::Store;
use utoipa::IntoParams;
use uuid::Uuid;

use super::enabled::books;
use super::focus::{self, FocusMonth};
use crate::finance::Finance;
use crate::input;
use crate::problem::Problem;
use crate::state::App;

/// Number of invoices that are read at a time.
const PAGE: u32 = 100;

/// The query of an export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct ExportQuery {
    /// The month in UTC, by the time at which invoices were opened: `2026-11`.
    month: String,
    /// The form of the table: `focus` (FOCUS 1.2).
    format: String,
}

/// Exports the lines of a month's invoices as CSV in the form of FOCUS 1.2. Void invoices are not part of it; the amounts of
/// credit notes are negative.
#[utoipa::path(get, path = "/api/billing/export", tag = "billing", params(ExportQuery),
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = String, content_type = "text/csv", example = "BilledCost,BillingAccountId…")))]
pub(in crate::routes) async fn export(
    State(app): State<Arc<App>>,
    _finance: Finance,
    request: Request,
) -> Result<Response, Problem> {
    let ExportQuery { month, format } = input::query(request.uri())?;
    if format != "focus" {
        return Err(Problem::new(Refusal::BadRequest, "`format` must be `focus`"));
    }
    let invalid = || Problem::new(Refusal::BadRequest, "`month` is a month, such as `2026-11`");
    let first_day = Day::parse(&format!("{month}-01")).ok_or_else(invalid)?;
    let CivilDate { year, month: nth, .. } = first_day.civil();
    let next = CivilDate { year: year + nth / 12, month: nth % 12 + 1, day: 1 }.to_day().ok_or_else(invalid)?;
    let store = books(&app)?.store().clone();
    let seller = app.live.load().process.brand.name.clone();
    let name = HeaderValue::try_from(format!("attachment; filename=\"focus-{month}.csv\"")).map_err(Problem::fault)?;
    let body = ExportBody { store, month: FocusMonth { seller, first_day, next }, after: None }.into_body();
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present")),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, body).into_response())
}

/// A table that is being written.
struct ExportBody {
    store: Store,
    month: FocusMonth,
    /// The last invoice that was written; `None` before the head.
    after: Option<Uuid>,
}

impl ExportBody {
    /// Returns the table as a body. If a part cannot be read, the body ends early.
    fn into_body(self) -> Body {
        let parts = stream::try_unfold(self, |mut export| async move {
            let part = export.next().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>(part.map(|part| (Bytes::from(part), export)))
        });
        Body::from_stream(parts)
    }

    /// Returns the next part; `None` after the last invoice.
    async fn next(&mut self) -> Result<Option<String>, store::DatabaseError> {
        let Some(after) = self.after else {
            self.after = Some(Uuid::nil());
            return Ok(Some(focus::HEAD.to_owned()));
        };
        let between = (self.month.first_day.start(), self.month.next.start());
        let page = exports::issued(&self.store, between, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        self.after = Some(*last);
        let mut text = String::new();
        for (id, account) in &page {
            let lines = invoices::lines(&self.store, *id).await?;
            if let Some(invoice) = invoices::present(&self.store, *id).await? {
                text.push_str(&focus::rows(&self.month, &invoice, account, &lines));
            }
        }
        Ok(Some(text))
    }
}
