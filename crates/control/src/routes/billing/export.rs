//! `GET /api/billing/export`: the invoices, the tax or the postings of a month as a table.

use std::io;
use std::sync::Arc;

use access::{CivilDate, Day, Refusal};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header};
use ledger::billing::{StoredInvoice, exports, invoices, parties};
use serde::Deserialize;
use store::Store;
use utoipa::IntoParams;
use uuid::Uuid;

use super::enabled::books;
use super::focus::{self, FocusMonth};
use super::{posting_rows, tax_rows};
use crate::input;
use crate::message::problem::Problem;
use crate::permissions::finance::Finance;
use crate::process::state::App;

/// Number of invoices or postings that are read at a time.
const PAGE: u32 = 100;

/// The query of an export.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(in crate::routes) struct ExportQuery {
    /// The month in UTC, by the time at which invoices were opened: `2026-11`.
    month: String,
    /// The form of the table: `focus` (FOCUS 1.2), `tax` (one row per invoice and credit note), or `postings` (the double
    /// entries of each change of money).
    format: String,
}

/// Exports the lines of a month's invoices as CSV in the form of FOCUS 1.2, the tax of each invoice, or the postings of a
/// month. Void invoices are only in the postings; the amounts of credit notes are negative. A debit is a positive posting, and
/// each transaction sums to zero.
#[utoipa::path(get, path = "/api/billing/export", tag = "billing", params(ExportQuery),
    security(("token" = []), ("cookie" = [])), extensions(("x-codes" = json!(["forbidden", "not_found"]))),
    responses((status = 200, body = String, content_type = "text/csv", example = "BilledCost,BillingAccountId…")))]
pub(in crate::routes) async fn export(
    State(app): State<Arc<App>>,
    _finance: Finance,
    request: Request,
) -> Result<Response, Problem> {
    let ExportQuery { month, format } = input::query(request.uri())?;
    let form = match format.as_str() {
        "focus" => ExportForm::Focus,
        "tax" => ExportForm::Tax,
        "postings" => ExportForm::Postings,
        _ => return Err(Problem::new(Refusal::BadRequest, "`format` must be `focus`, `tax` or `postings`")),
    };
    let invalid = || Problem::new(Refusal::BadRequest, "`month` must be a month, such as `2026-11`");
    let first_day = Day::parse(&format!("{month}-01")).ok_or_else(invalid)?;
    let CivilDate { year, month: nth, .. } = first_day.civil();
    let next = CivilDate { year: year + nth / 12, month: nth % 12 + 1, day: 1 }.to_day().ok_or_else(invalid)?;
    let books = books(&app)?;
    let store = books.store().clone();
    let brand = app.live.load().process.brand.name.clone();
    let seller = Some(books.settings().seller.name.clone()).filter(|name| !name.is_empty());
    let seller = seller.unwrap_or_else(|| brand.clone());
    let name =
        HeaderValue::try_from(format!("attachment; filename=\"{format}-{month}.csv\"")).map_err(Problem::fault)?;
    let body =
        ExportBody { store, month: FocusMonth { seller, brand, first_day, next }, form, after: None }.into_body();
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
    form: ExportForm,
    /// The last row that was written; `None` before the head.
    after: Option<WrittenRow>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExportForm {
    Focus,
    Tax,
    Postings,
}

/// The place after which the next part begins.
#[derive(Debug, Clone, Copy)]
enum WrittenRow {
    Head,
    Invoice(Uuid),
    /// The transaction and the number of an entry.
    Entry(Uuid, i64),
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

    /// Returns the next part; `None` after the last row.
    async fn next(&mut self) -> Result<Option<String>, store::DatabaseError> {
        let Some(after) = self.after else {
            self.after = Some(WrittenRow::Head);
            let head = match self.form {
                ExportForm::Focus => focus::HEAD,
                ExportForm::Tax => tax_rows::HEAD,
                ExportForm::Postings => posting_rows::HEAD,
            };
            return Ok(Some(head.to_owned()));
        };
        match (self.form, after) {
            (ExportForm::Focus | ExportForm::Tax, WrittenRow::Invoice(id)) => self.invoices(id).await,
            (ExportForm::Focus | ExportForm::Tax, WrittenRow::Head | WrittenRow::Entry(..)) => {
                self.invoices(Uuid::nil()).await
            }
            (ExportForm::Postings, WrittenRow::Entry(id, no)) => self.postings(Some((id, no))).await,
            (ExportForm::Postings, WrittenRow::Head | WrittenRow::Invoice(_)) => self.postings(None).await,
        }
    }

    async fn postings(&mut self, after: Option<(Uuid, i64)>) -> Result<Option<String>, store::DatabaseError> {
        let between = (self.month.first_day.start(), self.month.next.start());
        let page = exports::posted(&self.store, between, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after = Some(WrittenRow::Entry(last.transaction_id, last.no));
        Ok(Some(page.iter().map(posting_rows::row).collect()))
    }

    async fn invoices(&mut self, after: Uuid) -> Result<Option<String>, store::DatabaseError> {
        let between = (self.month.first_day.start(), self.month.next.start());
        let page = exports::issued(&self.store, between, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        self.after = Some(WrittenRow::Invoice(*last));
        let mut text = String::new();
        for (id, account) in &page {
            if let Some(invoice) = invoices::present(&self.store, *id).await? {
                text.push_str(&self.rows(&invoice, account).await?);
            }
        }
        Ok(Some(text))
    }

    /// Returns the rows of an invoice: those of its lines, or that of its tax.
    async fn rows(&self, invoice: &StoredInvoice, account: &str) -> Result<String, store::DatabaseError> {
        if self.form != ExportForm::Tax {
            let lines = invoices::lines(&self.store, invoice.id).await?;
            return Ok(focus::rows(&self.month, invoice, account, &lines));
        }
        let customer = parties::of_invoice(&self.store, invoice.id).await?.customer;
        let corrected = match invoice.of_invoice {
            Some(id) => invoices::present(&self.store, id).await?.and_then(|invoice| invoice.number),
            None => None,
        };
        Ok(tax_rows::row(invoice, &customer, corrected.as_deref()))
    }
}
